"""prepare: videos -> shards."""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from talkinghead.commands.options import Tracking, Verb, config_from, ranged, rate_from
from talkinghead.commands.progress import bar, say
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from talkinghead.portrait.data.preparation.clips import ClipRecord
    from talkinghead.portrait.data.preparation.settings import PrepareSettings

log = logging.getLogger(__name__)

EXAMPLES = """
talkinghead prepare clips/train -o shards/train
talkinghead prepare VoxCeleb2/dev/mp4 -o shards/vox --size 224 --fps 5 --workers 16
talkinghead prepare clips -o shards --identities people.csv
talkinghead prepare --speech videos footage -o corpora/talkers   (what speech-train reads)
talkinghead prepare --speech --help   (the options of that)
"""


@dataclass(frozen=True, kw_only=True)
class Options(Tracking):
    """Find, follow, crop and store the faces of a folder of videos, as shards that meta-train and evaluate read.

    Beside the shards: report.json, with the fate of every video, and contact_sheet.png, with pictures of it. Who a clip
    shows is taken from VoxCeleb's idNNNNN folder, else from the top folder, or from a CSV with the columns path and
    identity. A run that was stopped goes on when the same command is given again.
    """

    videos: Path
    """A folder of videos, searched through and through."""
    output: Path
    """A new folder for shards, report and contact sheet."""
    identities: Path | None = None
    """A CSV with the columns path and identity, a row for each video."""
    size: int = ranged(256, least=32, most=1024)
    """Side of the stored frames, pixels."""
    quality: int = ranged(95, least=1, most=100)
    """JPEG quality of the stored frames."""
    fps: str = "12.5"
    """Frames a second kept at most, such as 12.5 or 30000/1001."""
    min_face: float = ranged(64, least=32)
    """Narrowest face kept, pixels of the video."""
    min_confidence: float = ranged(0.95, least=0, most=1)
    """Drop frames with less sure landmarks."""
    min_frames: int = ranged(16, least=2)
    """Drop tracks with fewer frames."""
    max_frames: int = ranged(1000, least=16)
    """Cut longer tracks."""
    workers: int | None = ranged(None, least=0)
    """Processes; all cores if not given."""
    overwrite: bool = False
    """Replace shards that are there."""
    device: str = "cpu"
    """For the neural detectors: auto, cpu or cuda."""


VERB = Verb("prepare", Options, positional=("videos",), examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name; with --speech it is another."""
    if any(argument == "--speech" or argument.startswith("--speech=") for argument in argv):
        from talkinghead.commands import prepare_speech

        prepare_speech.main(argv)
        return
    prepare(*VERB.parse(argv))


def prepare(options: Options) -> None:
    """Make the shards and say what was kept.

    Raises:
        UserError: if the options contradict each other, or the folders cannot be used.
    """
    from talkinghead.portrait.data.preparation.settings import PrepareSettings

    if options.max_frames < options.min_frames:
        raise UserError(
            f"--max-frames {options.max_frames} is under --min-frames {options.min_frames}; give a larger one."
        )
    place = options.device if options.device == "cpu" else options.place
    settings = config_from(options, PrepareSettings, fps=rate_from(options.fps), device=place)
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    workers = count if options.workers is None else options.workers
    records = run(
        options.videos,
        options.output,
        settings,
        identities=options.identities,
        workers=workers,
        overwrite=options.overwrite,
    )
    summarise(records, options.output)


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
    from talkinghead.portrait.data.preparation.prepare import find_clips
    from talkinghead.portrait.data.preparation.prepare import prepare as prepare_shards

    clips = find_clips(videos, identities)
    total = sum(clip.path.stat().st_size for clip in clips)
    began, done, read, kept, frames = time.monotonic(), 0, 0, 0, 0
    with bar("preparing", unit="") as report:

        def progress(record: "ClipRecord", size: int) -> None:
            nonlocal done, read, kept, frames
            done, read, kept = done + 1, read + size, kept + (record.fate == "kept")
            frames += record.frames_kept
            rate = frames / max(time.monotonic() - began, 1e-3)
            report(read, total, f"{done}/{len(clips)} videos, {kept} kept, {rate:.0f} frames a second")
            if record.fate != "kept":
                say(f"{record.video}: {record.why}")

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
