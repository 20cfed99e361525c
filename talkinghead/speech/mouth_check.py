"""Does a mouth move with its sound? Labels that do not are dropped before anybody learns from them."""

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from talkinghead.face.frames import correlation

SMOOTHING = 0.04
"""Seconds: standard deviation of the Gaussian over loudness and opening before they are compared."""

FLOOR = 1e-3
"""Amplitude (full scale 1) under which a sound is silent."""

SWEEP = 0.2
"""Seconds that the mouth is shifted either way to find where it fits the sound best."""

LEAST_FRAMES = 25
"""A shorter sequence is too short to judge."""


@dataclass(frozen=True)
class MouthCheck:
    """How well a mouth's opening follows the loudness of the sound."""

    correlation: float
    """-1..1, at the best lag."""
    correlation_now: float
    """-1..1, with no lag."""
    lag_seconds: float
    """Positive: the mouth comes after the sound."""
    opening_range: float
    """Difference of the 95th and 5th percentiles of the opening, in its unit."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def is_silent(waveform: Float[np.ndarray, " s"]) -> bool:
    """Whether a sound (-1..1) has no more than noise in it: 99 of 100 samples lie under the floor."""
    return not len(waveform) or float(np.percentile(np.abs(waveform), 99)) < FLOOR


def loudness(
    waveform: Float[np.ndarray, " s"], sample_rate: int, *, fps: Fraction, frames: int
) -> Float[np.ndarray, " t"]:
    """Log loudness of the sound around each frame (decades above the floor, 0 in silence).

    Args:
        waveform: -1..1.
        sample_rate: Hz.
        fps: frames a second.
        frames: how many; sound that ends before is silent there.
    """
    squares = np.concatenate([[0.0], np.cumsum(np.asarray(waveform, np.float64) ** 2)])
    middle = np.arange(frames) / float(fps) * sample_rate
    half = sample_rate / float(fps) / 2
    first, last = (np.clip(np.round(middle + edge), 0, len(waveform)).astype(int) for edge in (-half, half))
    power = (squares[last] - squares[first]) / np.maximum(last - first, 1)
    return np.log10(np.sqrt(np.maximum(power, 0)) / FLOOR + 1)


def check_mouth(
    opening: Float[np.ndarray, " t"], waveform: Float[np.ndarray, " s"], sample_rate: int, *, fps: Fraction
) -> MouthCheck | None:
    """Compare a mouth's opening (any unit) with the loudness; None where there is too little to compare.

    The lag is found to a fraction of a frame, by a parabola through the best three.
    """
    if len(opening) < LEAST_FRAMES:
        return None
    sigma = SMOOTHING * float(fps)
    loud = gaussian_filter1d(loudness(waveform, sample_rate, fps=fps, frames=len(opening)), sigma)
    mouth = gaussian_filter1d(np.asarray(opening, np.float64), sigma)
    if loud.std() < 1e-6 or mouth.std() < 1e-9:
        return None
    reach = min(round(SWEEP * float(fps)), len(opening) // 4)
    scores = np.array([correlation(loud, mouth, lag=lag) for lag in range(-reach, reach + 1)])
    best = int(scores.argmax())
    low, high = np.percentile(opening, [5, 95])
    return MouthCheck(
        correlation=float(scores[best]),
        correlation_now=float(scores[reach]),
        lag_seconds=float((best - reach + _peak(scores, best)) / float(fps)),
        opening_range=float(high - low),
    )


def _peak(scores: Float[np.ndarray, " l"], best: int) -> float:
    """Where between its neighbours the best score peaks, -0.5..0.5."""
    if not 0 < best < len(scores) - 1:
        return 0.0
    left, middle, right = scores[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0
