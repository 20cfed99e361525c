"""A benchmark for any program: a list of tasks written as files, and clips that were made from it read again.

A task is a person's photos and a driver, frames of the same person that are held out. A program makes one frame for
each frame of the driver; what it should have made is the driver itself.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from talkinghead.errors import UserError
from talkinghead.media.files import atomic_path
from talkinghead.media.image import read_image, write_image
from talkinghead.media.video import VideoWriter, read_frames
from talkinghead.portrait.data.photos import sha256
from talkinghead.portrait.evaluation.methods import METHODS, OTHER, Case, Frames
from talkinghead.portrait.evaluation.protocol import Protocol

FORMAT = "talkinghead.tasks.1"
LIST = "tasks.json"
CLIP = "driver.mp4"
LANDMARKS = "landmarks.json"
ABOUT = (
    "For each task make one frame for each frame of the driver: the person of the photos, moved as the driver moves "
    "(absolute motion: the driver is the same person in the same framing), square, framed as the photos are. Write "
    "them to RENDERED/ID.mp4 at the rate given, or to RENDERED/ID/0000.png and so on. Use the first photo alone if "
    "only one can be used. Score: talkinghead evaluate --tasks THIS --rendered RENDERED -o RESULTS"
)


@dataclass(frozen=True)
class Listed:
    """A task of a list, in its folder."""

    folder: Path
    entry: dict[str, Any]
    hashes: dict[str, str]
    """SHA-256 of the list's files by their names."""

    @property
    def id(self) -> str:
        """What a program's clip is named after."""
        return str(self.entry["id"])

    def case(self) -> Case:
        """What is asked for.

        Raises:
            UserError: if a file is missing or was changed.
        """
        entry = self.entry
        points = json.loads(self._checked(entry["landmarks"]).read_text())
        photos, driver = (
            np.stack([read_image(self._checked(name)) for name in entry[part]]) for part in ("photos", "driver")
        )
        landmarks, wanted = (np.array(points[part], np.float32) for part in ("photos", "driver"))
        return Case(
            entry["person"],
            entry["video"],
            entry["shots"],
            photos=photos,
            landmarks=landmarks[: len(photos)],
            truth=driver,
            wanted=wanted,
            run=entry["run"],
        )

    def _checked(self, name: str) -> Path:
        """The path of a file that is as it was written."""
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()) or not path.is_file():
            raise UserError(f"{path} is missing from the task list; write the list again with evaluate --tasks")
        if sha256(path) != self.hashes.get(name):
            raise UserError(f"{path} is not as it was written; write the list again with evaluate --tasks")
        return path


def write_tasks(folder: Path, cases: Iterable[tuple[str, Fraction, Case]], protocol: Protocol) -> int:
    """Write a list of tasks with its photos and drivers; gives their number.

    Args:
        folder: a new one.
        cases: name, frames a second, and what is asked for; all T of a video after each other, the smallest first.
        protocol: how frames were chosen.

    Raises:
        UserError: if the folder exists.
    """
    tasks = []
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        for name, fps, case in cases:
            own = name.rsplit("_T", 1)[0]
            tasks.append({"id": name, "fps": str(fps), **_write_case(temporary, own, fps, case)})
        files = sorted(path for path in temporary.rglob("*") if path.is_file())
        listed = {
            "format": FORMAT,
            "about": ABOUT,
            "protocol": asdict(protocol),
            "tasks": tasks,
            "files": {path.relative_to(temporary).as_posix(): sha256(path) for path in files},
        }
        (temporary / LIST).write_text(json.dumps(listed, indent=1))
    return len(tasks)


def _write_case(folder: Path, name: str, fps: Fraction, case: Case) -> dict[str, Any]:
    """Write what no smaller T of the same video has written; gives the task's entry."""
    entry: dict[str, Any] = {"person": case.person, "video": case.video, "shots": case.shots}
    for part, frames, digits in (("photos", case.photos, 3), ("driver", case.truth, 4)):
        entry[part] = [f"{name}/{part}/{index:0{digits}}.png" for index in range(len(frames))]
        for file, frame in zip(entry[part], frames, strict=True):
            if not (folder / file).is_file():
                write_image(folder / file, frame)
    if not (folder / name / CLIP).is_file():
        with VideoWriter(folder / name / CLIP, fps=fps) as writer:
            for frame in case.truth:
                writer.write(frame)
    points = {"photos": case.landmarks.tolist(), "driver": case.wanted.tolist()}
    (folder / name / LANDMARKS).write_text(json.dumps(points))
    files = {"driver_clip": f"{name}/{CLIP}", "landmarks": f"{name}/{LANDMARKS}"}
    return entry | files | {"frames": len(case.truth), "side": case.truth.shape[1], "run": case.run}


def read_tasks(folder: Path) -> tuple[list[Listed], Protocol]:
    """A list of tasks, and how its frames were chosen.

    Raises:
        UserError: if there is none, or it cannot be read.
    """
    path = folder / LIST
    try:
        listed = json.loads(path.read_text())
        if listed["format"] != FORMAT:
            raise ValueError(f"its format is {listed['format']!r}, not {FORMAT!r}")
        settings = listed["protocol"]
        protocol = Protocol(**{**settings, "shots": tuple(settings["shots"])})
        return [Listed(folder, entry, listed["files"]) for entry in listed["tasks"]], protocol
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no task list here ({LIST} is missing); write one with evaluate --tasks") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({error}); write it again with evaluate --tasks") from error


def program_names(folders: Iterable[Path]) -> dict[str, Path]:
    """Folders of rendered clips by their names, which tables call the programs by.

    Raises:
        UserError: if one does not exist, or its name is another method's.
    """
    names: dict[str, Path] = {}
    for folder in folders:
        name = folder.resolve().name
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder; give the one that the program wrote its clips to")
        if name in names or name in METHODS or OTHER in name:
            raise UserError(f"{folder}: the table needs another name than {name!r}; rename the folder")
        names[name] = folder
    return names


def rendered(folder: Path, task: Listed) -> Frames:
    """The frames that a program made for a task.

    Raises:
        UserError: if there are none, or they are not as many as the driver's, or not square.
    """
    clip, pictures = folder / f"{task.id}.mp4", folder / task.id
    if pictures.is_dir():
        frames = [read_image(path) for path in sorted(pictures.glob("*.png"))]
    elif clip.is_file():
        frames = [frame for _, frame in read_frames(clip)]
    else:
        raise UserError(f"{folder} holds neither {clip.name} nor a folder {task.id}; render this task, too")
    wanted = task.entry["frames"]
    if len(frames) != wanted:
        raise UserError(f"{folder}: {task.id} has {len(frames)} frames, its driver {wanted}; make one for each")
    shapes = {frame.shape for frame in frames}
    if len(shapes) > 1 or frames[0].shape[0] != frames[0].shape[1]:
        height, width = frames[0].shape[:2]
        raise UserError(f"{folder}: {task.id} has frames of {width}x{height}; make all square and of one size")
    return np.stack(frames)


def frames_hash(frames: Frames) -> str:
    """Fingerprint of frames."""
    return hashlib.sha256(frames.tobytes()).hexdigest()
