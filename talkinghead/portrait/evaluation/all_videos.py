"""All videos of an evaluation, each at every T: resumable, because what was measured stays in the output folder."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from talkinghead.media.files import atomic_path
from talkinghead.media.image import write_image
from talkinghead.memory import give_back
from talkinghead.portrait.data.shards import Shards, Track
from talkinghead.portrait.evaluation.methods import Case, resized
from talkinghead.portrait.evaluation.one_video import Examined, Examiner
from talkinghead.portrait.evaluation.protocol import (
    FEWEST_TARGETS,
    Protocol,
    Split,
    frame_rate,
    one_track_per_video,
    split_frames,
    strangers,
)
from talkinghead.portrait.evaluation.report.records import Record, fingerprint, record_key
from talkinghead.portrait.evaluation.report.tables import Results, finite, to_markdown
from talkinghead.portrait.evaluation.tasks import Listed, frames_hash, rendered

RESULTS, TABLE, RECORDS, SHEETS = "results.json", "table.md", "records", "sheets"


@dataclass(frozen=True)
class Task:
    """One video at one T."""

    track: int
    """Index in the shards."""
    driver: int | None
    """Index of a track that shows somebody else."""
    split: Split
    shots: int

    def case(self, track: Track) -> Case:
        """What is asked for."""
        sources, targets = self.split.pool[: self.shots], np.concatenate([self.split.targets, self.split.run])
        return Case(
            track.identity,
            track.video,
            self.shots,
            photos=track.frames(sources.tolist()),
            landmarks=track.landmarks[sources],
            truth=track.frames(targets.tolist()),
            wanted=track.landmarks[targets],
            run=len(self.split.run),
        )

    def name(self, track: Track) -> str:
        """What its files are called."""
        return f"{Path(track.video).with_suffix('').as_posix().replace('/', '_')}_T{self.shots:02d}"

    def weight(self, steps: int) -> int:
        """Work, in fine-tuning steps."""
        return steps + 2 * len(self.split.targets)


def plan(shards: Shards, protocol: Protocol, *, people: int | None = None) -> tuple[list[Task], dict[str, str]]:
    """What to do, person by person, and the videos left out with the reason.

    Args:
        shards: tracks; the longest of each video is taken.
        protocol: how frames are chosen.
        people: only the first so many.
    """
    chosen = one_track_per_video(shards.about)
    known = sorted({shards.identities[index] for index in chosen})[:people]
    chosen = [index for index in chosen if shards.identities[index] in known]
    drivers = strangers([shards.identities[index] for index in chosen])
    tasks, left_out = [], {}
    for index, driver in zip(chosen, drivers, strict=True):
        track = shards[index]
        pictures = resized(track.frames(), 32).reshape(len(track), -1)
        split = split_frames(track.times, track.video, protocol, pictures=pictures)
        if len(split.targets) < FEWEST_TARGETS or not len(split.pool):
            left_out[track.video] = f"{len(track)} frames leave {len(split.targets)} to hold out, not {FEWEST_TARGETS}"
            continue
        other = None if driver is None else chosen[driver]
        tasks += [Task(index, other, split, shots) for shots in protocol.shots]
    return tasks, left_out


def run(
    tasks: Sequence[Task], shards: Shards, examiner: Examiner, output: Path, *, settings: dict[str, Any]
) -> Iterator[Record]:
    """The record of each task, as it is made or, when it was made before of the same things, read.

    Args:
        tasks: from `plan`.
        shards: that they were planned for.
        examiner: does the work.
        output: folder of records and sheets.
        settings: everything but the frames that results follow from.
    """
    prints: dict[int, str] = {}
    for task in tasks:
        track = shards[task.track]
        other = task.driver if task.shots == examiner.settings.cross_shots else None
        parts = [task.track] if other is None else [task.track, other]
        for part in parts:
            if part not in prints:
                prints[part] = fingerprint(shards[part])
        split = task.split
        chosen = {"pool": split.pool[: task.shots], "targets": split.targets, "run": split.run}
        frames = {name: one.tolist() for name, one in chosen.items()}
        key = record_key(**settings, **frames, tracks=[prints[part] for part in parts], measures=examiner.judges.names)
        driver = None if other is None else shards[other]
        yield _kept(output, task.name(track), key, partial(_examined, examiner, task, track, driver))


def _examined(examiner: Examiner, task: Task, track: Track, driver: Track | None) -> Examined:
    return examiner.examine(task.case(track), driver=driver)


def run_rendered(
    tasks: Sequence[Listed], programs: dict[str, Path], examiner: Examiner, output: Path, *, settings: dict[str, Any]
) -> Iterator[Record]:
    """The record of each task of a list, with clips that other programs made; the rest as for `run`.

    Args:
        tasks: from a list.
        programs: folders of their clips, by name.
        examiner, output, settings: as for `run`.
    """
    for task in tasks:
        case = task.case()
        made = {name: rendered(folder, task) for name, folder in programs.items()}
        hashes = {name: frames_hash(frames) for name, frames in made.items()}
        asked = {"task": task.entry, "photos": frames_hash(case.photos), "truth": frames_hash(case.truth)}
        key = record_key(**settings, **asked, programs=hashes, measures=examiner.judges.names)
        yield _kept(output, task.id, key, partial(examiner.examine, case, programs=made))


def _kept(output: Path, name: str, key: str, make: Callable[[], Examined]) -> Record:
    """A record that was made before of the same things, or is made now and stays, with its sheet."""
    path, picture = output / RECORDS / f"{name}_{key}.npz", output / SHEETS / f"{name}.png"
    if path.is_file() and picture.is_file():
        return Record.load(path)
    record, sheet = make()
    write_image(picture, sheet, overwrite=True)
    record.save(path)
    give_back()
    return record


def listed_cases(tasks: Sequence[Task], shards: Shards) -> Iterator[tuple[str, Fraction, Case]]:
    """Name, frames a second, and what is asked for, of each task."""
    for task in tasks:
        track = shards[task.track]
        yield task.name(track), frame_rate(track.times), task.case(track)


def run_settings(examiner: Examiner, heads: dict[str, str], detector: str) -> dict[str, Any]:
    """What results follow from beside the frames: the heads' hashes, and how they are used."""
    settings = examiner.settings
    tuning = asdict(settings.fine_tuning) if settings.fine_tuning is not None else None
    return {
        "heads": heads,
        "size": settings.size,
        "fine_tuning": tuning,
        "cross": [settings.cross_shots, settings.cross_frames],
        "detector": detector,
        "centre": examiner.judges.centre.tolist(),
    }


def write_results(output: Path, results: Results) -> None:
    """results.json and table.md."""
    with atomic_path(output / RESULTS, overwrite=True) as temporary:
        temporary.write_text(json.dumps(finite(results), indent=1))
    with atomic_path(output / TABLE, overwrite=True) as temporary:
        temporary.write_text(to_markdown(results))
