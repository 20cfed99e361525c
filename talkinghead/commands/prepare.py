"""prepare: videos -> shards."""

import logging
import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkinghead.commands import best_device, run_command
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from talkinghead.portrait.data.preparation.clips import ClipRecord
    from talkinghead.portrait.data.preparation.settings import PrepareSettings

log = logging.getLogger(__name__)

_EPILOG = """Examples:

talkinghead prepare clips/train -o shards/train

talkinghead prepare VoxCeleb2/dev/mp4 -o shards/vox --size 224 --fps 5 --workers 16

talkinghead prepare clips -o shards --identities people.csv

talkinghead prepare --speech videos footage -o corpora/talkers      (what speech-train reads)

talkinghead prepare --speech --help      (the options of that)

Who a clip shows is taken from VoxCeleb's idNNNNN folder, else from the top folder, or from a CSV with the columns path
and identity. A run that was stopped goes on when the same command is given again.
"""


def prepare(
    videos: Annotated[Path, typer.Argument(help="A folder of videos, searched through and through.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder for shards, report and contact sheet.")],
    identities: Annotated[
        Path | None, typer.Option(help="A CSV with the columns path and identity, a row for each video.")
    ] = None,
    size: Annotated[int, typer.Option(min=32, max=1024, help="Side of the stored frames, pixels.")] = 256,
    quality: Annotated[int, typer.Option(min=1, max=100, help="JPEG quality of the stored frames.")] = 95,
    fps: Annotated[str, typer.Option(help="Frames a second kept at most, such as 12.5 or 30000/1001.")] = "12.5",
    min_face: Annotated[int, typer.Option(min=32, help="Narrowest face kept, pixels of the video.")] = 64,
    min_confidence: Annotated[float, typer.Option(min=0, max=1, help="Drop frames with less sure landmarks.")] = 0.95,
    min_frames: Annotated[int, typer.Option(min=2, help="Drop tracks with fewer frames.")] = 16,
    max_frames: Annotated[int, typer.Option(min=16, help="Cut longer tracks.")] = 1000,
    detector: Annotated[str, typer.Option(help="auto, dlib, face-alignment or mtcnn.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda: for the neural detectors.")] = "cpu",
    workers: Annotated[int | None, typer.Option(min=0, help="Processes; all cores if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace shards that are there.")] = False,
) -> None:
    """Find, follow, crop and store the faces of a folder of videos, as shards that meta-train and evaluate read.

    Beside the shards: report.json, with the fate of every video, and contact_sheet.png, with pictures of it.
    """
    from talkinghead.portrait.data.preparation.settings import PrepareSettings

    if not 1 < max_frames >= min_frames:
        raise UserError(f"--max-frames {max_frames} is under --min-frames {min_frames}; give a larger one.")
    if device != "cpu":
        device = best_device(device)
    settings = PrepareSettings(
        size=size,
        quality=quality,
        fps=read_rate(fps),
        min_face=min_face,
        min_confidence=min_confidence,
        min_frames=min_frames,
        max_frames=max_frames,
        detector=detector,
        device=device,
    )
    count = len(os.sched_getaffinity(0)) if workers is None and hasattr(os, "sched_getaffinity") else workers
    records = run(videos, output, settings, identities=identities, workers=count or 0, overwrite=overwrite)
    summarise(records, output)


def main(argv: list[str]) -> None:
    """Run the command with the arguments that follow its name; with --speech it is another."""
    if any(argument == "--speech" or argument.startswith("--speech=") for argument in argv):
        from talkinghead.commands import prepare_speech

        prepare_speech.main(argv)
        return
    run_command(prepare, argv, epilog=_EPILOG)


def read_rate(text: str) -> Fraction:
    """Frames a second as written on the command line.

    Raises:
        UserError: if it is no positive number.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if rate <= 0:
        raise UserError(f"--fps is {text!r}; give a positive number, such as 12.5 or 30000/1001.")
    return rate


def run(
    videos: Path,
    output: Path,
    settings: "PrepareSettings",
    *,
    identities: Path | None,
    workers: int,
    overwrite: bool,
) -> list["ClipRecord"]:
    """Prepare with a progress bar."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from talkinghead.portrait.data.preparation.prepare import find_clips
    from talkinghead.portrait.data.preparation.prepare import prepare as prepare_shards

    clips = find_clips(videos, identities)
    total = sum(clip.path.stat().st_size for clip in clips)
    done = kept = frames = 0
    columns = (
        BarColumn(),
        TextColumn("{task.fields[done]}/{task.fields[clips]} videos, {task.fields[kept]} kept"),
        TextColumn("{task.fields[rate]:.0f} frames/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, done=0, clips=len(clips), kept=0, rate=0.0)

        def progress(record: "ClipRecord", size: int) -> None:
            nonlocal done, kept, frames
            done, kept, frames = done + 1, kept + (record.fate == "kept"), frames + record.frames_kept
            rate = frames / max(bar.tasks[0].elapsed or 0, 1e-3)
            bar.update(task, advance=size, done=done, kept=kept, rate=rate)
            if record.fate != "kept":
                bar.console.print(f"{record.video}: {record.why}", style="yellow", markup=False, highlight=False)

        return prepare_shards(clips, output, settings=settings, workers=workers, overwrite=overwrite, progress=progress)


def summarise(records: list["ClipRecord"], output: Path) -> None:
    """Say what was kept and where it lies."""
    kept = [record for record in records if record.fate == "kept"]
    log.info(
        "%d frames in %d tracks of %d people, from %d of %d videos: %s",
        sum(record.frames_kept for record in kept),
        sum(record.tracks_kept for record in kept),
        len({person for record in kept for person in record.people}),
        len(kept),
        len(records),
        output,
    )
    log.info("the fate of every video: %s and contact_sheet.png beside it", output / "report.json")
    log.info("next: talkinghead meta-train --config configs/small.yaml --data.shards %s", output)
