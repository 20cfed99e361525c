"""Shards: tracks of faces as a litdata dataset, one sample a track."""

import hashlib
import json
import os
import warnings
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8
from litdata import StreamingDataset
from litdata.streaming.writer import BinaryWriter

from talkinghead.errors import UserError
from talkinghead.media.image import decode_jpeg

INDEX = "index.json"
TRACKS = "tracks.json"
"""Beside litdata's index: identity, video, track number and frames of each sample, so that lists need no decoding."""

CHUNK_BYTES = 32_000_000
"""Of one shard. Writing holds it three times over."""

FURTHEST = 1000.0
"""No landmark lies further from its crop's corner, in sides."""

SAFE_FORMATS = ("bytes", "int", "numpy", "no_header_numpy")
"""litdata's serializers that are ours to read. Among the others is pickle, which runs what it reads."""


class DamagedTrackError(UserError):
    """A track whose record cannot be read: training goes on without it, evaluation does not."""


@dataclass(frozen=True)
class Track:
    """One face over time: frames (decoded on demand) and what is known of each."""

    jpegs: bytes | memoryview
    offsets: Int[np.ndarray, " t1"]
    landmarks: Float[np.ndarray, "t 68 2"]
    """Fractions of the crop's side."""
    confidence: Float[np.ndarray, " t"]
    times: Float[np.ndarray, " t"]
    """Seconds in the source video."""
    identity: str
    video: str
    """The source, relative to the folder that was prepared."""
    track: int
    """Which track of that video."""
    side: int
    """Pixels."""

    def __len__(self) -> int:
        return len(self.times)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "jpegs": bytes(self.jpegs)}  # a view of a shard cannot go to another process

    def frames(self, indices: Iterable[int] | None = None) -> UInt8[np.ndarray, "n s s 3"]:
        """The frames at `indices` (default: all).

        Raises:
            DamagedTrackError: if one cannot be decoded.
        """
        chosen = range(len(self)) if indices is None else indices
        pictures = [self._frame(i) for i in chosen]
        return np.stack(pictures) if pictures else np.zeros((0, self.side, self.side, 3), np.uint8)

    def _frame(self, index: int) -> UInt8[np.ndarray, "s s 3"]:
        try:
            picture = decode_jpeg(self.jpegs[self.offsets[index] : self.offsets[index + 1]])
        except (ValueError, cv2.error) as error:
            raise DamagedTrackError(
                f"{self.video}, track {self.track}: frame {index} is damaged; run `talkinghead prepare` again."
            ) from error
        if picture.shape != (self.side, self.side, 3):
            raise DamagedTrackError(
                f"{self.video}, track {self.track}: frame {index} is damaged: it is {picture.shape[1]} px wide, not "
                f"{self.side}; run `talkinghead prepare` again."
            )
        return picture

    def to_sample(self) -> dict[str, Any]:
        """As litdata stores it. Texts are UTF-8 bytes: litdata takes a string that names a file for the file."""
        return {
            "jpegs": bytes(self.jpegs),
            "offsets": self.offsets.astype(np.int64),
            "landmarks": self.landmarks.astype(np.float32),
            "confidence": self.confidence.astype(np.float32),
            "times": self.times.astype(np.float64),
            "identity": self.identity.encode(),
            "video": self.video.encode(),
            "track": int(self.track),
            "side": int(self.side),
        }

    @classmethod
    def from_sample(cls, sample: dict[str, Any]) -> "Track":
        """The inverse of `to_sample`.

        Raises:
            ValueError: if its parts do not fit each other.
        """
        frames = len(sample["times"])
        for name, shape in (("offsets", (frames + 1,)), ("landmarks", (frames, 68, 2)), ("confidence", (frames,))):
            if sample[name].shape != shape:
                raise ValueError(f"{name} has the shape {sample[name].shape}, not {shape}")
        if not all(np.isfinite(sample[name]).all() for name in ("landmarks", "confidence", "times")):
            raise ValueError("a value in it is not finite")
        if np.abs(sample["landmarks"]).max(initial=0) > FURTHEST:
            raise ValueError(f"a landmark lies at {np.abs(sample['landmarks']).max():g}")
        offsets = sample["offsets"]
        if offsets[0] != 0 or offsets[-1] != len(sample["jpegs"]) or (np.diff(offsets) < 0).any():
            raise ValueError("its frames do not follow each other")
        texts = {name: bytes(sample[name]).decode() for name in ("identity", "video")}
        return cls(**{**sample, **texts})


class TrackList(Sequence[dict[str, Any]]):
    """Identity, video, track number and frames of each sample, as `write_shards` writes them, in arrays.

    VoxCeleb2's 1,092,009 take 53 MiB, a seventh of what dictionaries take, and worker processes share them.

    Args:
        text: JSON.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: if it is something else.
    """

    def __init__(self, text: str):
        names: dict[str, int] = {}
        identity, track, frames, ends = array("i"), array("i"), array("i"), array("q", [0])
        videos = bytearray()

        def keep(entry: dict[str, Any]) -> None:
            videos.extend(entry["video"].encode())
            ends.append(len(videos))
            identity.append(names.setdefault(entry["identity"], len(names)))
            track.append(entry.get("track", 0))
            frames.append(entry["frames"])

        entries = json.loads(text, object_hook=keep)
        if not isinstance(entries, list) or len(entries) != len(frames) or any(entry is not None for entry in entries):
            raise ValueError("it is no list of tracks")
        self._videos, self._ends = bytes(videos), np.frombuffer(ends, np.int64)
        self.people = np.array(sorted(names), dtype=object)
        """The identities, sorted."""
        ranks = np.empty(len(names), np.int32)
        ranks[[names[name] for name in self.people]] = np.arange(len(names))
        self.person = ranks[np.frombuffer(identity, np.int32)] if len(frames) else np.zeros(0, np.int32)
        """Of each track, the index of its identity."""
        self.frames, self._track = np.frombuffer(frames, np.int32), np.frombuffer(track, np.int32)

    def __len__(self) -> int:
        return len(self.frames)

    @overload
    def __getitem__(self, i: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, i: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, i: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"track {i} of {len(self)}")
        i %= len(self)
        return {
            "identity": self.people[self.person[i]],
            "video": self._videos[self._ends[i] : self._ends[i + 1]].decode(),
            "track": int(self._track[i]),
            "frames": int(self.frames[i]),
        }

    def columns(self) -> tuple[Int[np.ndarray, " t"], list[str]]:
        """Of each track, the index of its video; and the names of the videos, sorted."""
        names: dict[str, int] = {}
        column = np.empty(len(self), np.int32)
        people, ends = self.people[self.person], self._ends.tolist()
        for i, identity in enumerate(people):
            clip = self._videos[ends[i] : ends[i + 1]].decode()
            column[i] = names.setdefault(video_of(identity, clip), len(names))
        ordered = sorted(names)
        ranks = np.empty(len(names), np.int32)
        ranks[[names[name] for name in ordered]] = np.arange(len(names))
        return ranks[column], ordered


def video_of(identity: str, clip: str) -> str:
    """The name of the video that a clip was cut from: of its column in W.

    A folder inside a person's folder holds the clips of one video, as VoxCeleb's `id00012/21Uxsk56VDQ/00001.mp4`; a
    clip that lies in the person's folder itself is a video of its own. A second person in a video is another video.
    """
    folder = clip.rpartition("/")[0]
    folders, person = folder.split("/"), identity.partition("#")[0]
    inside = folders[-1] != person and person in folders
    return f"{identity}: {folder if inside else clip}"


class Shards(Sequence[Track]):
    """A folder of shards, read one track at a time. Other processes may be handed it: each opens the files itself."""

    def __init__(self, path: Path) -> None:
        """Open the folder.

        Raises:
            UserError: if it is not a folder of shards, one is cut off, or they hold formats that are not safe to read.
        """
        self.path = Path(path)
        try:
            index = json.loads((self.path / INDEX).read_text())
            self.about = TrackList((self.path / TRACKS).read_text())
            formats = index["config"]["data_format"]
            chunks = {str(chunk["filename"]): int(chunk["chunk_bytes"]) for chunk in index["chunks"]}
        except FileNotFoundError as error:
            raise UserError(
                f"{self.path}: no shards here ({Path(error.filename).name} is missing); run `talkinghead prepare`."
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise UserError(
                f"{self.path}: the shards' index is damaged ({error}); run `talkinghead prepare` again."
            ) from error
        for name, size in chunks.items():
            chunk = self.path / name
            if not chunk.is_file() or chunk.stat().st_size < size:
                raise UserError(f"{chunk} is {'cut off' if chunk.is_file() else 'missing'}; run `talkinghead prepare`.")
        for name in formats:
            if name.split(":")[0] not in SAFE_FORMATS:
                raise UserError(
                    f"{self.path}: the shards hold {name!r}, which is not safe to read; use shards made by `prepare`."
                )
        self._reader: Any = None
        self._reader_process = 0

    @property
    def identities(self) -> list[str]:
        """Who each track shows."""
        return [str(name) for name in self.about.people[self.about.person]]

    def __len__(self) -> int:
        return len(self.about)

    @overload
    def __getitem__(self, i: int) -> Track: ...
    @overload
    def __getitem__(self, i: slice) -> list[Track]: ...
    def __getitem__(self, i: int | slice) -> Track | list[Track]:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(f"track {i} of {len(self)}")
        try:
            track = Track.from_sample(self._open()[i % len(self)])
            if len(track) != self.about[i % len(self)]["frames"]:
                raise ValueError(f"it has {len(track)} frames, its list says {self.about[i % len(self)]['frames']}")
            return track
        except Exception as error:  # what litdata makes of a damaged record may raise anything
            about = self.about[i % len(self)]
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DamagedTrackError(
                f"{self.path}: track {i} is damaged ({about['video']}: {reason}); run `talkinghead prepare` again."
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None}

    def _open(self) -> Any:
        if self._reader is None or self._reader_process != os.getpid():
            self._reader = StreamingDataset(str(self.path))
            self._reader_process = os.getpid()
        return self._reader


def write_shards(tracks: Iterator[Track], folder: Path, *, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Write tracks as shards into a new folder; the same tracks give the same bytes. Gives their number.

    A track larger than `chunk_bytes` gets a shard of its own.
    """
    writer = BinaryWriter(str(folder), chunk_bytes=chunk_bytes)
    about = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "An item was larger than the target chunk size")
        for number, track in enumerate(tracks):
            writer[number] = track.to_sample()
            about.append({"identity": track.identity, "video": track.video, "track": track.track, "frames": len(track)})
        writer.done()
    writer.merge(1)
    (folder / TRACKS).write_text(json.dumps(about, indent=0))
    _date_by_content(folder / INDEX)
    return len(about)


def _date_by_content(path: Path) -> None:
    """Put a hash where litdata puts the time (its caches are named after it), so that equal shards are equal."""
    index = json.loads(path.read_text())
    index.pop("updated_at", None)
    text = json.dumps(index, sort_keys=True)
    index["updated_at"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(index, sort_keys=True))
