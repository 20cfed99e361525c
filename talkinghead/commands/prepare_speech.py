"""prepare --speech: recordings of speech -> a corpus that speech-train reads."""

import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from talkinghead.commands.options import Tracking, Verb, ranged
from talkinghead.commands.progress import bar, say
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from talkinghead.speech.corpora.recordings import Source, SpeechRecord

log = logging.getLogger(__name__)

EXAMPLES = """
talkinghead prepare --speech videos footage -o corpora/talkers   (train/ and val/ inside, or a CSV by --list)
talkinghead prepare --speech facegood facegood -o corpora/facegood
talkinghead prepare --speech vocaset VOCASET -o corpora/vocaset --fps 30
talkinghead prepare --speech biwi BIWI -o corpora/biwi
talkinghead prepare --speech ravdess RAVDESS -o corpora/ravdess
talkinghead prepare --speech sounds voices -o corpora/taught --teacher voca   (a model says what the face does)
"""

Kind = Literal["videos", "facegood", "vocaset", "biwi", "ravdess", "sounds"]
"""What the source is."""
Names = list[str]


@dataclass(frozen=True, kw_only=True)
class Options(Tracking):
    """Turn recordings of speech into a corpus: for each sequence its sound, its motion, and who says what and how.

    Talking videos are tracked; the others come with blendshapes or meshes of their own. A run that was stopped goes on
    when the same command is given again. report.json holds the fate of every recording.
    """

    source: Path
    """The folder with the recordings."""
    speech: Kind
    """What they are."""
    output: Path
    """A new folder for the corpus and its report."""
    list: Path | None = None
    """videos: a CSV: path, person and maybe split, talking, delay."""
    fps: int = 60
    """vocaset: 60, or 30 for every other frame."""
    min_correlation: float | None = ranged(None, least=-1, most=1)
    """Drop takes whose mouth follows the loudness less; 0.2 for videos, else none."""
    synchronise: bool = False
    """videos: find how far each sound lies from its picture by what karras and voca make of it, take that out, and drop
    mouths that do not follow (in place of --min-correlation)."""
    teacher: Names | None = None
    """sounds: the model that says what the face does, voca if not given; given more than once, their mean."""
    overwrite: bool = False
    """Replace a corpus that is there."""
    device: str = "cpu"
    """For the neural detectors: cpu or cuda."""


VERB = Verb("prepare", Options, positional=("source",), examples=EXAMPLES)


MIN_CORRELATION = {"videos": 0.2}
"""What --min-correlation is where it is not given. Footage has dubbed voices, other people's voices and music."""


JUDGES = ("karras", "voca")
"""Whose mouths --synchronise compares a mouth with."""


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name; --help is answered also where a kind is due.

    Raises:
        UserError: if no kind that there is follows --speech.
    """
    if "--help" not in argv:
        refuse_other_kinds(argv)
    (options,) = VERB.parse(argv)
    if not options.source.is_dir():
        raise UserError(f"{options.source}: there is no such folder.")
    least = options.min_correlation
    if least is None and not options.synchronise:
        least = MIN_CORRELATION.get(options.speech)
    records = run(find(options), options.output, min_correlation=least, overwrite=options.overwrite)
    summarise(records, options.output)


def refuse_other_kinds(argv: list[str]) -> None:
    """See that --speech is followed by a kind.

    Raises:
        UserError: if it is not.
    """
    for option, following in zip(argv, [*argv[1:], ""], strict=True):
        name, has_value, value = option.partition("=")
        kind = value if has_value else following
        if name == "--speech" and kind not in get_args(Kind):
            kinds = ", ".join(get_args(Kind))
            raise UserError(
                f"--speech is followed by {kind!r}; give {kinds} (see talkinghead prepare --speech --help)."
            )


def find(options: Options) -> "Source":
    """Ask the reader of that kind what there is."""
    source = options.source
    match options.speech:
        case "facegood":
            from talkinghead.speech.corpora.facegood import find_facegood

            return find_facegood(source)
        case "vocaset":
            from talkinghead.speech.corpora.vocaset import find_vocaset

            return find_vocaset(source, fps=Fraction(options.fps))
        case "biwi":
            from talkinghead.speech.corpora.biwi import find_biwi

            return find_biwi(source)
        case "sounds":
            from talkinghead.speech.model import load_model
            from talkinghead.speech.training.distillation import find_sounds

            return find_sounds(source, [load_model(name) for name in options.teacher or ["voca"]])
    return find_footage(options)


def find_footage(options: Options) -> "Source":
    """What there is to be tracked."""
    from talkinghead.speech.corpora.ravdess import find_ravdess
    from talkinghead.speech.corpora.talking_videos import VideoTracker, find_talking_videos

    measure = None
    if options.synchronise:
        from talkinghead.speech.evaluation.synchrony import delay_by
        from talkinghead.speech.model import load_model

        measure = delay_by([load_model(name) for name in JUDGES])
    tracker = VideoTracker(options.detector, options.device, measure=measure)
    if options.speech == "ravdess":
        return find_ravdess(options.source, tracker)
    return find_talking_videos(options.source, tracker, listing=options.list)


def run(source: "Source", output: Path, *, min_correlation: float | None, overwrite: bool) -> list["SpeechRecord"]:
    """Write the corpus with a progress bar."""
    from talkinghead.speech.corpora.write import write_corpus

    done = 0
    with bar("preparing", unit="recordings") as report:

        def progress(record: "SpeechRecord") -> None:
            nonlocal done
            done += 1
            report(done, len(source.recordings), record.name)
            if record.fate != "kept":
                say(f"{record.name}: {record.why}")

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
