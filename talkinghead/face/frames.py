"""Frames in time: some of many, values between them, two curves compared, and those in which no face was seen."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

_STILL = 1e-10
"""Product of the lengths of two curves, less their means, up to which one of them does not move."""

Missing = Literal["hold", "fade", "fail"]

FADE_SECONDS = 0.5
"""How long a face takes to come to rest, and to leave it."""


def evenly_spread(count: int, most: int, *, repeat: bool = False) -> Int[np.ndarray, " n"]:
    """Indices of at most `most` of `count` frames, the first and the last among them; with `repeat` always as many."""
    chosen = np.linspace(0, max(count - 1, 0), most).round().astype(int)
    return chosen if repeat else np.unique(chosen)[:count]


def between(
    values: Float[np.ndarray, "t *c"], places: Float[np.ndarray, "*n"], *, wrap: bool = False
) -> Float[np.ndarray, "*m"]:
    """Values at places between frames, by linear interpolation, in the precision of the values.

    Args:
        values: of each frame.
        places: numbers of frames, with fractions.
        wrap: the first frame follows the last; otherwise the first and the last go on for ever.
    """
    places = np.asarray(places) if wrap else np.clip(places, 0, len(values) - 1)
    below = np.floor(places).astype(np.int64)
    share = (places - below).astype(values.dtype).reshape(*below.shape, *[1] * (values.ndim - 1))
    before, after = (values.take(index, 0, mode="wrap" if wrap else "clip") for index in (below, below + 1))
    return np.asarray(before * (1 - share) + after * share)


def from_known(
    values: Float[np.ndarray, "s *c"], known: Float[np.ndarray, " s"] | Int[np.ndarray, " s"], wanted: np.ndarray
) -> Float[np.ndarray, "t *c"]:
    """Values that are known at some times (rising) at other times, by linear interpolation; the ends go on for ever."""
    columns = [np.interp(wanted, known, column) for column in values.reshape(len(known), -1).T]
    return np.stack(columns, 1).reshape(len(wanted), *values.shape[1:])


def correlation(
    first: Float[np.ndarray, " t"], second: Float[np.ndarray, " u"], *, lag: int = 0, still: float = 0.0
) -> float:
    """Pearson correlation of one curve with another `lag` frames later, over the frames that both have.

    Gives `still` where one of them does not move.
    """
    count = min(len(first), len(second)) - abs(lag)
    a, b = first[max(-lag, 0) :][:count], second[max(lag, 0) :][:count]
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > _STILL else still


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
