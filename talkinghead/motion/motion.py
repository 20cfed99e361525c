"""Motion: what drives a head, whatever it came from."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int
from safetensors.numpy import save_file

from talkinghead.errors import UserError
from talkinghead.face.crop import CropWindow, stable_windows, to_crop
from talkinghead.face.detection.choice import make_detector
from talkinghead.face.detection.detector import FaceDetector
from talkinghead.face.track import follow_face
from talkinghead.face.which_face import WhichFace
from talkinghead.media.files import atomic_path
from talkinghead.media.tensors import as_single, frame_rate, read_tensors, words_of
from talkinghead.media.video import probe, read_frames

FORMAT = "talkinghead.motion"
VERSION = 1

TRACKED_SIDE = 1280
"""Longer side, pixels, that a driving video is shrunk to before its face is looked for."""

Progress = Callable[[int, int | None], None]
"""Called with how much is done and how much there is in all, if known."""


@dataclass(frozen=True, eq=False)
class Motion:
    """A moving face over `t` frames at a constant rate."""

    landmarks: Float32[np.ndarray, "t 68 2"]
    """Fractions of the crop's side, (x, y) from the top-left corner."""
    confidence: Float32[np.ndarray, " t"]
    """0..1; 0 where no face was seen and the last landmarks are repeated."""
    fps: Fraction
    """Frames a second, exactly."""
    pose: Float32[np.ndarray, "t 3"] | None = None
    """Head rotation: yaw, pitch, roll in radians."""
    blendshapes: Float32[np.ndarray, "t n"] | None = None
    """0..1, one column for each of `blendshape_names`."""
    blendshape_names: tuple[str, ...] = ()
    vertices: Float32[np.ndarray, "t v 3"] | None = None
    """Metres."""
    topology: Int[np.ndarray, "f 3"] | None = None
    """Triangles of the vertices."""
    windows: Float32[np.ndarray, "t 3"] | None = None
    """Where the crop lies in `video`: centre x, y and side in pixels."""
    sound: Path | None = None
    """A media file with the sound that belongs to it."""
    video: Path | None = None
    """The video it was tracked in."""

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ValueError(problem)

    def __len__(self) -> int:
        return len(self.landmarks)

    @property
    def seen(self) -> Bool[np.ndarray, " t"]:
        """Whether a frame shows a face; one whose landmarks lie all in one place does not."""
        return (self.confidence > 0) & (np.ptp(self.landmarks, axis=1).max(1) > 0)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return float(len(self) / self.fps)

    def cut(self, start: int, stop: int) -> "Motion":
        """Frames `start` up to `stop`.

        Raises:
            ValueError: if there are no such frames.
        """
        if not 0 <= start < stop <= len(self):
            raise ValueError(f"frames {start} to {stop} of {len(self)}")
        frames: dict[str, Any] = {
            name: array[start:stop]
            for name, array in self._arrays().items()
            if array is not None and name != "topology"
        }
        return replace(self, **frames)

    def window(self, frame: int) -> CropWindow:
        """Where the crop of one frame lies in `video`.

        Raises:
            ValueError: if the motion was not tracked in a video.
        """
        if self.windows is None:
            raise ValueError("this motion has no windows: it was not tracked in a video")
        return CropWindow(*self.windows[frame].tolist())

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write it as safetensors; by convention the name ends in .motion.safetensors.

        Raises:
            UserError: if the file exists and `overwrite` is false.
        """
        arrays = {name: np.ascontiguousarray(array) for name, array in self._arrays().items() if array is not None}
        about = {
            "version": VERSION,
            "fps": str(self.fps),
            "blendshape_names": list(self.blendshape_names),
            "sound": str(self.sound.absolute()) if self.sound else None,
            "video": str(self.video.absolute()) if self.video else None,
        }
        with atomic_path(Path(path), overwrite=overwrite) as temporary:
            save_file(arrays, temporary, metadata={"format": FORMAT, "motion": json.dumps(about)})

    @classmethod
    def load(cls, path: str | Path) -> "Motion":
        """Read what `save` wrote. Nothing in the file is executed.

        Raises:
            UserError: if the file is absent or is not a motion.
        """
        path = Path(path)
        if not path.exists():
            raise UserError(f"{path}: there is no such file.")
        try:
            arrays, header = read_tensors(path, FORMAT)
            about = words_of(header, "motion")
            if about["version"] != VERSION:
                raise ValueError(f"its version is {about['version']}, this program reads {VERSION}")
            motion = cls(
                fps=frame_rate(about["fps"]),
                blendshape_names=tuple(map(str, about["blendshape_names"])),
                sound=Path(about["sound"]) if about["sound"] else None,
                video=Path(about["video"]) if about["video"] else None,
                **{name: _as_made(name, arrays[name]) for name in arrays if name in _DIMENSIONS},
            )
            if not len(motion):
                raise ValueError("it has no frames")
            return motion
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a motion file ({error}); make one with reenact --save-motion.") from error

    @classmethod
    def from_video(
        cls,
        path: str | Path,
        *,
        detector: str | FaceDetector = "auto",
        device: str = "cpu",
        max_side: int = TRACKED_SIDE,
        face: str = "largest",
        progress: Progress | None = None,
    ) -> "Motion":
        """Track the main face of a video: one frame of motion for each frame of the video, at its exact rate.

        Memory does not grow with the video, but for the landmarks (550 bytes a frame).

        Args:
            path: the video.
            detector: a detector or its name (see `face.detect.make_detector`).
            device: what a detector made here computes on.
            max_side: frames are shrunk to this longer side, pixels, before tracking.
            face: whose, where there are several: largest, left, right, a number from the left, or a picture.
            progress: called for each frame.

        Raises:
            UserError: if the video cannot be read or shows no face, or not the one that is meant.
        """
        path = Path(path)
        info = probe(path)
        finder = make_detector(detector, device) if isinstance(detector, str) else detector
        frames = read_frames(path, max_side=max_side, colour=finder.colour, threads=2)
        choose = None if face == "largest" else WhichFace(face).chooser(path, max_side, finder)
        track = follow_face(_counted(frames, info.frames, progress), finder, name=str(path), choose=choose)
        windows = stable_windows(track.landmarks_px)
        landmarks = track.landmarks_px  # turned into fractions in place: there are many of them
        for frame, window in enumerate(windows.tolist()):
            landmarks[frame] = to_crop(landmarks[frame], CropWindow(*window))
        shrunk = max(1.0, max(info.width, info.height) / max_side)
        windows = (windows + [0.5, 0.5, 0]) * shrunk - [0.5, 0.5, 0]
        return cls(
            landmarks,
            track.confidence.astype(np.float32),
            info.fps,
            windows=windows.astype(np.float32),
            sound=path if info.has_sound else None,
            video=path,
        )

    def _arrays(self) -> dict[str, np.ndarray | None]:
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: values[name] for name in _DIMENSIONS}

    def _problem(self) -> str | None:
        """What is wrong with it, in a sentence."""
        for name, array in self._arrays().items():
            if array is None:
                continue
            if array.ndim != len(_DIMENSIONS[name]) or any(
                want not in (0, have) for want, have in zip(_DIMENSIONS[name], array.shape, strict=True)
            ):
                return f"{name} has the shape {array.shape}"
            if name != "topology" and len(array) != len(self.landmarks):
                return f"{name} has {len(array)} frames, landmarks have {len(self.landmarks)}"
            if not np.isfinite(array).all():
                return f"{name} holds a value that is not finite"
        if self.fps <= 0:
            return f"fps is {self.fps}; it must be above 0"
        vertices = 0 if self.vertices is None else self.vertices.shape[1]
        if self.topology is not None and vertices and self.topology.max(initial=-1) >= vertices:
            return f"topology names vertex {self.topology.max()} of {vertices}"
        columns = 0 if self.blendshapes is None else self.blendshapes.shape[1]
        if len(self.blendshape_names) != columns:
            return f"there are {columns} blendshapes and {len(self.blendshape_names)} names"
        return None


_DIMENSIONS = {
    "landmarks": (0, 68, 2),
    "confidence": (0,),
    "pose": (0, 3),
    "blendshapes": (0, 0),
    "vertices": (0, 0, 3),
    "topology": (0, 3),
    "windows": (0, 3),
}
"""Shape of each array; 0 stands for any length."""

_REACH = {
    "landmarks": (16.0, "fractions of the crop's side"),
    "confidence": (1.0, "0..1"),
    "pose": (2 * np.pi, "radians"),
    "blendshapes": (100.0, "about 0..1"),
    "vertices": (100.0, "metres"),
    "windows": (1e6, "pixels"),
}
"""How far from 0 the values of a file may lie, and their unit: beyond, they are in another unit, or damaged."""


def _as_made(name: str, array: np.ndarray) -> np.ndarray:
    """An array of a file, as `Motion` has it.

    Raises:
        ValueError: if its type or its values are not those of its name.
    """
    if name == "topology":
        if array.dtype.kind not in "iu" or array.min(initial=0) < 0:
            raise ValueError("topology holds what is no vertex's number")
        return array
    values = as_single(name, array)
    most, unit = _REACH[name]
    reach = float(np.abs(values).max(initial=0))
    if reach > most or (name == "confidence" and values.min(initial=0) < 0):
        raise ValueError(f"{name} reaches {reach:g}; they are {unit}")
    return values


def _counted(frames: Iterable[Any], total: int | None, progress: Progress | None) -> Iterator[Any]:
    for done, frame in enumerate(frames, 1):
        yield frame
        if progress:
            progress(done, total)
