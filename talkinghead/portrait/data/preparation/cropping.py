"""Tracks of faces -> crops on disk: what of a track is good enough, and the second reading that crops it."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from talkinghead.errors import UserError
from talkinghead.face.crop import CropWindow, crop_frame, stable_windows, to_crop
from talkinghead.face.detection.detector import box_around
from talkinghead.face.frames import evenly_spread
from talkinghead.face.track import FaceTrack
from talkinghead.media.files import atomic_path
from talkinghead.media.image import encode_jpeg
from talkinghead.media.video import read_frames
from talkinghead.portrait.data.preparation.settings import Clip, PrepareSettings
from talkinghead.portrait.data.shards import Track

ZOOM = 1.8
"""A track is cut where its face has become this much larger or smaller: the crop does not zoom."""

ZOOM_WINDOW = 9
"""Frames over which the size is smoothed for that, so that an opened mouth is no zoom."""

OUTSIDE = 0.02
"""A frame is dropped whose inner landmarks come nearer than this, over the side, to the crop's edge."""

STILL_PICTURE = 0.011
"""A face whose inner landmarks move by less than this, over its size, is a picture on the wall. (A still person who
speaks little moves by 0.016, a poster by 0.008: dlib's tremble.)"""

STRIP = 4
"""Pictures of a clip on the contact sheet."""

THUMB = 96
"""Side of one of them, pixels."""


@dataclass
class ChosenTrack:
    """A track that will be stored, and what of it has been cropped so far."""

    track: FaceTrack
    windows: Float[np.ndarray, "t 3"]
    kept: list[int]
    """Indices into the track."""
    sizes: list[int] = field(default_factory=list)
    """Bytes of each JPEG. The JPEGs themselves are on disk."""
    times: list[float] = field(default_factory=list)

    def crop_landmarks(self) -> Float[np.ndarray, "n 68 2"]:
        rows = [to_crop(self.track.landmarks_px[j], CropWindow(*self.windows[j].tolist())) for j in self.kept]
        return np.array(rows, np.float32)


def choose_track(
    track: FaceTrack, settings: PrepareSettings, frame_size: tuple[int, int]
) -> tuple[dict[str, Any], ChosenTrack | None]:
    """What the report says of a track, and the track with its windows if it is good enough."""
    face = float(np.median(_box_sides(track.landmarks_px)))
    windows = stable_windows(track.landmarks_px, margin=settings.margin, frame_size=frame_size)
    sure = (track.confidence >= settings.min_confidence) & _inside(track.landmarks_px, windows, frame_size)
    about = {
        "start": round(float(track.times[0]), 3),
        "end": round(float(track.times[-1]), 3),
        "frames": len(track),
        "sure": int(sure.sum()),
        "face_px": round(face, 1),
        "fate": "kept",
    }
    if face < settings.min_face:
        about["fate"] = f"the face is {face:.0f} px wide, under {settings.min_face:.0f} px"
    elif sure.sum() < settings.min_frames:
        about["fate"] = f"only {sure.sum()} frames with sure landmarks in the picture, under {settings.min_frames}"
    elif movement(track.landmarks_px) < STILL_PICTURE:
        about["fate"] = "the face does not move: it is a picture"
    else:
        return about, ChosenTrack(track, windows, np.flatnonzero(sure).tolist())
    return about, None


def _box_sides(landmarks_px: Float[np.ndarray, "t 68 2"]) -> Float[np.ndarray, " t"]:
    boxes = [box_around(one)[0] for one in landmarks_px]
    return np.array([box[2] - box[0] for box in boxes])


def _inside(
    landmarks_px: Float[np.ndarray, "t 68 2"], windows: Float[np.ndarray, "t 3"], frame_size: tuple[int, int]
) -> Bool[np.ndarray, " t"]:
    """Whether all inner landmarks (all but the jaw) lie in the crop and in the image."""
    inner = landmarks_px[:, 17:]
    corner = windows[:, None, :2] - windows[:, None, 2:] / 2
    fractions = (inner - corner) / windows[:, None, 2:]
    in_crop = ((fractions > OUTSIDE) & (fractions < 1 - OUTSIDE)).all((1, 2))
    in_image = ((inner > -0.5) & (inner < np.array(frame_size[::-1]) - 0.5)).all((1, 2))
    return in_crop & in_image


def movement(landmarks_px: Float[np.ndarray, "t 68 2"]) -> float:
    """How far the inner landmarks move within the face, as a fraction of its size."""
    inner = landmarks_px[:, 17:] - landmarks_px[:, 17:].mean(1, keepdims=True)
    size = float(np.sqrt((inner**2).sum(2).mean()))
    return float(np.linalg.norm(inner - np.median(inner, 0), axis=2).mean()) / max(size, 1e-6)


def split_zooms(track: FaceTrack) -> list[FaceTrack]:
    """The track cut where the face has grown or shrunk by `ZOOM` since the part began."""
    sizes = _box_sides(track.landmarks_px)
    half = ZOOM_WINDOW // 2
    sizes = np.array([np.median(sizes[max(0, j - half) : j + half + 1]) for j in range(len(sizes))])
    starts, low, high = [0], sizes[0], sizes[0]
    for j, size in enumerate(sizes.tolist()):
        low, high = min(low, size), max(high, size)
        if high > ZOOM * low:
            starts.append(j)
            low = high = size
    spans = zip(starts, [*starts[1:], len(track)], strict=True)
    return [
        FaceTrack(track.landmarks_px[a:b], track.confidence[a:b], track.frame_index[a:b], track.times[a:b])
        for a, b in spans
    ]


def store_tracks(
    clip: Clip,
    settings: PrepareSettings,
    chosen: list[ChosenTrack],
    *,
    fps: Fraction,
    stem: Path,
    strip: UInt8[np.ndarray, "h w 3"],
) -> None:
    """Read the clip again, crop what was chosen, and finish each track when its last frame has come.

    Pictures go to disk as they come: memory does not grow with a clip's length or the people in it.
    """
    wanted: dict[int, list[tuple[int, int]]] = {}
    for number, one in enumerate(chosen):
        for j in one.kept:
            wanted.setdefault(int(one.track.frame_index[j]), []).append((number, j))
    shown = evenly_spread(sum(len(one.kept) for one in chosen), STRIP, repeat=True).tolist()
    count, last = 0, max(wanted)
    for index, (seconds, frame) in enumerate(read_frames(clip.path, fps=fps, repeat=False)):
        for number, j in wanted.get(index, ()):
            one = chosen[number]
            window = CropWindow(*one.windows[j].tolist())
            crop = crop_frame(frame, window, settings.size)
            jpeg = encode_jpeg(crop, settings.quality)
            with _jpegs_path(part_path(stem, number)).open("ab" if one.sizes else "wb") as file:
                file.write(jpeg)
            one.sizes.append(len(jpeg))
            one.times.append(seconds)
            for place in (place for place, when in enumerate(shown) if when == count):
                strip[:, place * THUMB : (place + 1) * THUMB] = _dotted(
                    crop, to_crop(one.track.landmarks_px[j], window)
                )
            count += 1
            if j == one.kept[-1]:
                _write_part(clip, settings, one, number=number, stem=stem)
        if index == last:
            return
    raise UserError(f"{clip.path}: the second reading gave other frames than the first.")


def _write_part(clip: Clip, settings: PrepareSettings, one: ChosenTrack, *, number: int, stem: Path) -> None:
    tensors = {
        "offsets": np.array([0, *one.sizes], np.int64).cumsum(),
        "landmarks": one.crop_landmarks(),
        "confidence": one.track.confidence[one.kept],
        "times": np.array(one.times, np.float64),
    }
    about = {"identity": clip.identity, "video": clip.video, "track": str(number), "side": str(settings.size)}
    with atomic_path(part_path(stem, number), overwrite=True) as temporary:
        save_file(tensors, temporary, metadata=about)


def part_path(stem: Path, number: int) -> Path:
    """Where a clip's track waits to be put into a shard, but for its JPEGs, which lie beside it."""
    return stem.with_name(f"{stem.name}.{number}.safetensors")


def _jpegs_path(part: Path) -> Path:
    """The JPEGs of a track, one after the other, written as they come."""
    return part.with_suffix(".jpegs")


def read_part(path: Path) -> Track:
    """A track that `process_clip` wrote. Its JPEGs stay on disk until they are looked at.

    Raises:
        UserError: if it is damaged.
    """
    try:
        jpegs = np.memmap(_jpegs_path(path), np.uint8, "r").data
        tensors = load_file(path)
        with safe_open(path, "numpy") as file:
            about = file.metadata()
        if len(jpegs) != tensors["offsets"][-1]:
            raise ValueError(f"{len(jpegs)} bytes of pictures")
        return Track(
            jpegs=jpegs,
            offsets=tensors["offsets"],
            landmarks=tensors["landmarks"],
            confidence=tensors["confidence"],
            times=tensors["times"],
            identity=about["identity"],
            video=about["video"],
            track=int(about["track"]),
            side=int(about["side"]),
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: a half-finished file is damaged ({error}); delete {path.parent} and start again."
        ) from error


def _dotted(crop: UInt8[np.ndarray, "s s 3"], landmarks: Float[np.ndarray, "68 2"]) -> UInt8[np.ndarray, "t t 3"]:
    """A small copy of a crop with its landmarks as dots."""
    thumb = cv2.resize(crop, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    for x, y in (np.clip(landmarks, -1, 2) * THUMB - 0.5) * 16:
        cv2.circle(thumb, (round(float(x)), round(float(y))), 8, (0, 255, 0), -1, cv2.LINE_AA, 4)
    return thumb
