"""What was measured of one video at one number of source frames, and its file."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from talkinghead.media.files import atomic_path
from talkinghead.portrait.data.shards import Track

VERSION = 4
"""Raised when a measure or the rendering changes, so that records of an older one are made again."""


@dataclass(frozen=True)
class Record:
    """Measures of one video, for one T."""

    person: str
    video: str
    shots: int
    """T that was asked for."""
    sources: int
    """T that the video had."""
    values: dict[str, np.ndarray]
    """`METHOD/MEASURE` -> one row a target frame; `wanted` landmarks, `distance` and `turn` to the nearest source,
    `cross/...`."""

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]

    @property
    def targets(self) -> int:
        """How many frames were held out."""
        return len(self.values["distance"])

    @property
    def methods(self) -> list[str]:
        """What was measured."""
        return list(dict.fromkeys(name.split("/")[0] for name in self.values if name.endswith("/ssim")))

    def save(self, path: Path) -> None:
        """Write the record."""
        about = json.dumps([self.person, self.video, self.shots, self.sources])
        with atomic_path(path, overwrite=True) as temporary:
            np.savez(temporary, about=np.array(about), **self.values)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> "Record":
        """Read a record."""
        with np.load(path, allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
        person, video, shots, sources = json.loads(str(values.pop("about")))
        return cls(person, video, shots, sources, values)


def fingerprint(track: Track) -> str:
    """Hash of a track's frames and landmarks."""
    whole = hashlib.sha256(track.jpegs)
    whole.update(track.landmarks.tobytes() + track.times.tobytes())
    return whole.hexdigest()


def record_key(**settings: Any) -> str:
    """A short hash of everything that a record follows from."""
    text = json.dumps({"version": VERSION, **settings}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
