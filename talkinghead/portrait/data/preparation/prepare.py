"""A folder of videos -> shards: clips in parallel, each finished one kept, so that a killed run goes on."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

from talkinghead.claims import LOCK
from talkinghead.errors import UserError
from talkinghead.face.detection.choice import make_detector
from talkinghead.media.collection import VIDEO_SUFFIXES, identity_of, read_listing
from talkinghead.media.files import atomic_path, is_hidden, run_folder, say_left_out
from talkinghead.portrait.data.preparation.clips import ClipRecord
from talkinghead.portrait.data.preparation.contact_sheet import PAGES, write_contact_sheets
from talkinghead.portrait.data.preparation.cropping import part_path, read_part
from talkinghead.portrait.data.preparation.jobs import Job, do_job, finished_record
from talkinghead.portrait.data.preparation.pool import run_in_pool
from talkinghead.portrait.data.preparation.settings import Clip, PrepareSettings
from talkinghead.portrait.data.shards import INDEX, TRACKS, Track, write_shards

log = logging.getLogger(__name__)


PARTS = ".parts"
"""Folder, inside the output, of what is finished of a run that is not."""

REPORT = "report.json"
SHARD_FILES = (INDEX, TRACKS, "chunk-*.bin", REPORT, PAGES)
"""What `prepare` writes, and what --overwrite removes."""

FORMAT = 5
"""Counted up when the same video and settings give other tracks than before, or finished clips are kept otherwise."""


Progress = Callable[[ClipRecord, int], None]
"""Called for each finished clip with its record and its bytes."""


def prepare(
    clips: list[Clip],
    output: Path,
    *,
    settings: PrepareSettings | None = None,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[ClipRecord]:
    """Track, crop and store the faces of all videos, as shards with a report and contact sheets.

    The shards depend on the videos and the settings alone, not on the number of workers nor on interruptions. A run
    that was stopped goes on where it stood when it is started again.

    Args:
        clips: the videos, as `find_clips` finds them in a folder.
        output: a new or half-finished folder.
        settings: sizes and thresholds.
        workers: processes; 0 works in this one.
        overwrite: replace shards that are there.
        progress: told of each finished clip.

    Raises:
        UserError: if no face is kept from any video, or the output holds something else or cannot be made.
    """
    _check_output(output, overwrite=overwrite)
    with run_folder(output):
        return _prepare(clips, output, settings or PrepareSettings(), workers=workers, progress=progress)


def _prepare(
    clips: list[Clip],
    output: Path,
    settings: PrepareSettings,
    *,
    workers: int,
    progress: Progress | None,
) -> list[ClipRecord]:
    parts = output / PARTS
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{output}: the folder cannot be made ({error.strerror}); choose another output.") from error
    jobs = [Job(clip, parts / _key(clip, settings)) for clip in clips]
    records = _run(jobs, settings, workers=workers, progress=progress)
    _write_report(output, settings, records)
    write_contact_sheets(output, records, [job.strip_path for job in jobs])
    kept = sum(record.tracks_kept for record in records)
    if not kept:
        raise UserError(f"no face was kept from the {len(clips)} videos; {output / REPORT} says why.")
    _assemble(jobs, records, output)
    shutil.rmtree(parts)
    return records


def find_clips(source: Path, identities: Path | None = None) -> list[Clip]:
    """The videos of a folder, in order of their paths, with who they show.

    Args:
        source: the folder.
        identities: a CSV with columns `path` and `identity` (or `person`); by default the folders say who it is.

    Raises:
        UserError: if the folder holds no video, or the CSV cannot be read or leaves one out.
    """
    source = Path(source)
    if source.is_file():
        raise UserError(f"{source} is a file; give the folder of videos that it lies in.")
    if not source.is_dir():
        raise UserError(f"{source}: there is no such folder of videos.")
    files = sorted(path for path in source.rglob("*") if path.is_file() and not is_hidden(path, source))
    paths = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    videos = {path.relative_to(source).as_posix(): path for path in paths}
    if not videos:
        raise UserError(f"{source}: there is no video in it ({', '.join(sorted(VIDEO_SUFFIXES))}).")
    others = [path.relative_to(source).as_posix() for path in files if path not in set(paths) | {identities}]
    say_left_out(source, [name for name in others if not Path(name).name.startswith(".")], "no videos by their names")
    known = None if identities is None else {video: person for video, person, _ in read_listing(identities)}
    if known is not None and (strangers := [video for video in videos if video not in known]):
        raise UserError(f"{identities}: {len(strangers)} videos have no line in it, {strangers[0]} for one; add them.")
    return [Clip(path, video, identity_of(video) if known is None else known[video]) for video, path in videos.items()]


def _check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse a folder with finished shards (or remove them) and one that is not ours."""
    if (output / INDEX).exists() and not (output / PARTS).exists():  # else a run was killed while it tidied up
        if not overwrite:
            raise UserError(f"{output} holds shards; give another output or --overwrite.")
        (output / INDEX).unlink()
        for pattern in SHARD_FILES:
            for path in output.glob(pattern):
                path.unlink()
    elif output.exists():
        if not output.is_dir():
            raise UserError(f"{output} is a file; give a new folder.")
        ours = {path for pattern in (*SHARD_FILES, PARTS, LOCK) for path in output.glob(pattern)}
        others = sorted(set(output.iterdir()) - ours)
        if others:
            raise UserError(f"{output} holds other things ({others[0].name}); give a new folder.")


def _key(clip: Clip, settings: PrepareSettings) -> str:
    """Names what a clip becomes under these settings: if any of it changes, the clip is processed again."""
    state = clip.path.stat()
    facts = [FORMAT, clip.video, clip.identity, state.st_size, state.st_mtime_ns, settings.to_dict()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]


def _run(jobs: list[Job], settings: PrepareSettings, *, workers: int, progress: Progress | None) -> list[ClipRecord]:
    records: dict[Path, ClipRecord] = {}

    def finished(job: Job, record: ClipRecord) -> None:
        records[job.stem] = record
        if progress is not None:
            progress(record, job.clip.path.stat().st_size)

    left = []
    for job in jobs:
        if (record := finished_record(job)) is not None:
            finished(job, record)
        else:
            left.append(job)
    if left and len(left) < len(jobs):
        log.info("%d of %d videos are finished already", len(jobs) - len(left), len(jobs))
    if not workers:
        detector = make_detector(settings.detector, settings.device)
        for job in left:
            finished(job, do_job(job, settings, detector))
    elif left:
        make_detector(settings.detector, settings.device)  # a wrong name is said here, not once in every worker
        run_in_pool(left, settings, workers=min(workers, len(left)), finished=finished)
    return [records[job.stem] for job in jobs]


def _assemble(jobs: list[Job], records: list[ClipRecord], output: Path) -> None:
    """Put the tracks of all clips into shards, in the order of the clips; the index comes last."""

    def tracks() -> Iterator[Track]:
        for job, record in zip(jobs, records, strict=True):
            for number in range(record.tracks_kept):
                yield replace(read_part(part_path(job.stem, number)), identity=record.people[number])

    building = output / PARTS / "shards"
    shutil.rmtree(building, ignore_errors=True)
    write_shards(tracks(), building)
    for path in sorted(building.iterdir(), key=lambda path: path.name == INDEX):
        path.replace(output / path.name)


def _write_report(output: Path, settings: PrepareSettings, records: list[ClipRecord]) -> None:
    cpu_seconds = sum(record.cpu_seconds for record in records)
    frames = sum(record.frames_kept for record in records)
    kept = [record for record in records if record.fate == "kept"]
    totals = {
        "clips": len(records),
        "clips_kept": len(kept),
        "identities_kept": len({person for record in kept for person in record.people}),
        "tracks_kept": sum(record.tracks_kept for record in records),
        "frames_kept": frames,
        "seconds": round(sum(record.seconds for record in records), 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "kept_frames_per_cpu_second": round(frames / max(cpu_seconds, 1e-3), 1),
    }
    report = {"totals": totals, "settings": settings.to_dict(), "clips": [asdict(record) for record in records]}
    with atomic_path(output / REPORT, overwrite=True) as temporary:
        temporary.write_text(json.dumps(report, indent=1))
