"""prepare --speech: recordings of speech -> a corpus that speech-train reads."""

import logging
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkinghead.commands import run_command
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from talkinghead.speech.corpora.recordings import Source, SpeechRecord

log = logging.getLogger(__name__)

_EPILOG = """Examples:

talkinghead prepare --speech videos footage -o corpora/talkers      (train/ and val/ inside, or a CSV by --list)

talkinghead prepare --speech facegood facegood -o corpora/facegood

talkinghead prepare --speech vocaset VOCASET -o corpora/vocaset --fps 30

talkinghead prepare --speech biwi BIWI -o corpora/biwi

talkinghead prepare --speech ravdess RAVDESS -o corpora/ravdess

talkinghead prepare --speech sounds voices -o corpora/taught --teacher voca      (a model says what the face does)

A run that was stopped goes on when the same command is given again. report.json holds the fate of every recording.
"""


class Kind(StrEnum):
    """What the source is."""

    videos = "videos"
    facegood = "facegood"
    vocaset = "vocaset"
    biwi = "biwi"
    ravdess = "ravdess"
    sounds = "sounds"


def prepare(
    source: Annotated[Path, typer.Argument(help="The folder with the recordings.")],
    speech: Annotated[Kind, typer.Option(help="What they are.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder for the corpus and its report.")],
    listing: Annotated[
        Path | None,
        typer.Option("--list", help="videos: a CSV: path, person and maybe split, talking, delay."),
    ] = None,
    fps: Annotated[int, typer.Option(help="vocaset: 60, or 30 for every other frame.")] = 60,
    min_correlation: Annotated[
        float | None,
        typer.Option(
            min=-1, max=1, help="Drop takes whose mouth follows the loudness less; 0.2 for videos, else none."
        ),
    ] = None,
    detector: Annotated[str, typer.Option(help="videos: auto, dlib, face-alignment or mtcnn.")] = "auto",
    device: Annotated[str, typer.Option(help="cpu or cuda, for the neural detectors.")] = "cpu",
    synchronise: Annotated[
        bool,
        typer.Option(
            "--synchronise",
            help="videos: find how far each sound lies from its picture by what karras and voca make of it, take that "
            "out, and drop mouths that do not follow (in place of --min-correlation).",
        ),
    ] = False,
    teacher: Annotated[
        list[str] | None,
        typer.Option(help="sounds: the model that says what the face does; of several, the mean. voca if not given."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a corpus that is there.")] = False,
) -> None:
    """Turn recordings of speech into a corpus: for each sequence its sound, its motion, and who says what and how.

    Talking videos are tracked; the others come with blendshapes or meshes of their own.
    """
    if not source.is_dir():
        raise UserError(f"{source}: there is no such folder.")
    found = find(
        speech,
        source,
        listing=listing,
        fps=Fraction(fps),
        detector=detector,
        device=device,
        synchronise=synchronise,
        teachers=teacher or ["voca"],
    )
    least = MIN_CORRELATION.get(speech) if min_correlation is None and not synchronise else min_correlation
    records = run(found, output, min_correlation=least, overwrite=overwrite)
    summarise(records, output)


MIN_CORRELATION = {Kind.videos: 0.2}
"""What --min-correlation is where it is not given. Footage has dubbed voices, other people's voices and music."""


JUDGES = ("karras", "voca")
"""Whose mouths --synchronise compares a mouth with."""


def main(argv: list[str]) -> None:
    """Run the command with the arguments that follow its name; --help is answered also where a kind is due.

    Raises:
        UserError: if no kind that there is follows --speech.
    """
    if "--help" in argv:
        argv = ["--help"]
    else:
        refuse_other_kinds(argv)
    run_command(prepare, argv, epilog=_EPILOG)


def refuse_other_kinds(argv: list[str]) -> None:
    """See that --speech is followed by a kind.

    Raises:
        UserError: if it is not.
    """
    for option, following in zip(argv, [*argv[1:], ""], strict=True):
        name, has_value, value = option.partition("=")
        kind = value if has_value else following
        if name == "--speech" and kind not in set(Kind):
            raise UserError(
                f"--speech is followed by {kind!r}; give {', '.join(Kind)} (see talkinghead prepare --speech --help)."
            )


def find(
    kind: Kind,
    source: Path,
    *,
    listing: Path | None,
    fps: Fraction,
    detector: str,
    device: str,
    synchronise: bool,
    teachers: list[str],
) -> "Source":
    """Ask the reader of that kind what there is."""
    match kind:
        case Kind.facegood:
            from talkinghead.speech.corpora.facegood import find_facegood

            return find_facegood(source)
        case Kind.vocaset:
            from talkinghead.speech.corpora.vocaset import find_vocaset

            return find_vocaset(source, fps=fps)
        case Kind.biwi:
            from talkinghead.speech.corpora.biwi import find_biwi

            return find_biwi(source)
        case Kind.sounds:
            from talkinghead.speech.model import load_model
            from talkinghead.speech.training.distillation import find_sounds

            return find_sounds(source, [load_model(name) for name in teachers])
    from talkinghead.speech.corpora.ravdess import find_ravdess
    from talkinghead.speech.corpora.talking_videos import VideoTracker, find_talking_videos

    measure = None
    if synchronise:
        from talkinghead.speech.evaluation.synchrony import delay_by
        from talkinghead.speech.model import load_model

        measure = delay_by([load_model(name) for name in JUDGES])
    tracker = VideoTracker(detector, device, measure=measure)
    return (
        find_ravdess(source, tracker) if kind is Kind.ravdess else find_talking_videos(source, tracker, listing=listing)
    )


def run(source: "Source", output: Path, *, min_correlation: float | None, overwrite: bool) -> list["SpeechRecord"]:
    """Write the corpus with a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from talkinghead.speech.corpora.write import write_corpus

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=len(source.recordings))

        def progress(record: "SpeechRecord") -> None:
            bar.update(task, advance=1, description=record.name)
            if record.fate != "kept":
                bar.console.print(f"{record.name}: {record.why}", style="yellow", markup=False, highlight=False)

        return write_corpus(source, output, min_correlation=min_correlation, overwrite=overwrite, progress=progress)


def summarise(records: list["SpeechRecord"], output: Path) -> None:
    """Say what was kept and where it lies."""
    lines = [line for record in records for line in record.sequences]
    for split in dict.fromkeys(line["split"] for line in lines):
        part = [line for line in lines if line["split"] == split]
        speakers = len({line["speaker"] for line in part})
        minutes = sum(line["seconds"] for line in part) / 60
        log.info("%s: %d sequences, %d speakers, %.1f minutes", split, len(part), speakers, minutes)
    dropped = sum(record.fate != "kept" for record in records)
    log.info("%d of %d recordings were not kept; %s says why", dropped, len(records), output / "report.json")
    if any(line["motion"] for line in lines):
        log.info('next: talkinghead speech-train --config configs/karras.yaml --data.corpora "[%s]"', output)
