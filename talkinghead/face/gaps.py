"""Frames of a track in which no face was seen."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

Missing = Literal["hold", "fade", "fail"]

FADE_SECONDS = 0.5
"""How long a face takes to come to rest, and to leave it."""


def fill_gaps(
    landmarks: Float32[np.ndarray, "t 68 2"], seen: Bool[np.ndarray, " t"], *, fps: float, how: Missing = "hold"
) -> Float32[np.ndarray, "t 68 2"]:
    """Landmarks for all frames, those without a face made up.

    Args:
        landmarks: fractions of the crop's side.
        seen: whether a frame shows a face.
        fps: frames a second.
        how: "hold" repeats the last face (before the first: that one). "fade" moves from the face before the gap to the
            one after it; where the gap is long or has one end only, by way of the face at rest.

    Raises:
        ValueError: if no frame shows a face, or `how` is unknown or "fail" and a face is missing.
    """
    if how not in get_args(Missing):
        raise ValueError(f"how is {how!r}; it is one of {', '.join(get_args(Missing))}")
    if not seen.any():
        raise ValueError(f"none of the {len(seen)} frames shows a face")
    if seen.all():
        return landmarks
    if how == "fail":
        raise ValueError(f"{int((~seen).sum())} of {len(seen)} frames show no face, the first is {int(seen.argmin())}")
    filled = landmarks.copy()
    if how == "hold":
        hold_gaps(filled, seen)
        return filled
    rest = landmarks[_resting_frame(landmarks, seen)]
    steps = max(1, round(FADE_SECONDS * fps))
    for start, stop in _gaps(seen):
        before = landmarks[start - 1] if start > 0 else None
        after = landmarks[stop] if stop < len(seen) else None
        filled[start:stop] = _fade(before, after, rest, stop - start, steps)
    return filled


def hold_gaps(landmarks: Float32[np.ndarray, "t 68 2"], seen: Bool[np.ndarray, " t"]) -> None:
    """Repeat, in place, the last face where none is seen; before the first, that one. Some frame must show a face."""
    for start, stop in _gaps(seen):
        landmarks[start:stop] = landmarks[start - 1 if start > 0 else stop]


def _gaps(seen: Bool[np.ndarray, " t"]) -> list[list[int]]:
    """First frame of each gap and the frame after its last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], seen, [True]]).astype(np.int8)))
    spans: list[list[int]] = edges.reshape(-1, 2).tolist()
    return spans


def _fade(
    before: Float32[np.ndarray, "68 2"] | None,
    after: Float32[np.ndarray, "68 2"] | None,
    rest: Float32[np.ndarray, "68 2"],
    frames: int,
    steps: int,
) -> Float[np.ndarray, "f 68 2"]:
    """The frames of one gap."""
    position = np.arange(1, frames + 1)
    if before is not None and after is not None and frames <= 2 * steps:
        share = _ease(position / (frames + 1))
        return before + share * (after - before)
    path = np.repeat(rest[None], frames, 0)
    if before is not None:
        path = path + (1 - _ease(position / (steps + 1))) * (before - rest)
    if after is not None:
        path = path + (1 - _ease(position[::-1] / (steps + 1))) * (after - rest)
    return path


def _ease(share: Float[np.ndarray, " f"] | Int[np.ndarray, " f"]) -> Float[np.ndarray, "f 1 1"]:
    """0..1 with a slow start and end."""
    share = np.clip(share, 0, 1)[:, None, None]
    return share * share * (3 - 2 * share)


def _resting_frame(landmarks: Float32[np.ndarray, "t 68 2"], seen: Bool[np.ndarray, " t"]) -> int:
    """The frame whose face is nearest to the median face."""
    known = np.flatnonzero(seen)
    median = np.median(landmarks[known[:: max(1, len(known) // 1000)]], axis=0)
    distance = np.abs(landmarks - median).sum((1, 2))
    return int(np.where(seen, distance, np.inf).argmin())
