"""Taking the jitter out of tracked landmarks."""

import numpy as np
from jaxtyping import Float, Float32

SLOW_CUTOFF = 2.0
"""Hz: what a point at rest may still do, at strength 1."""

SPEED_GAIN = 60.0
"""Hz of cutoff per side of the crop a second: a closing eyelid (0.2 a second) passes at 14 Hz."""

SPEED_CUTOFF = 4.0
"""Hz of the low-pass that the speed is measured through."""


class OneEuro:
    """The One-Euro filter over many points at once: slow points are smoothed, fast ones pass without delay.

    References:
        Casiez, Roussel and Vogel 2012, 1€ Filter.
    """

    def __init__(self, fps: float, *, strength: float = 1.0) -> None:
        """`strength`: 1 suits the default detector; larger is smoother; 0 gives the input back."""
        if fps <= 0 or strength < 0:
            raise ValueError(f"fps is {fps} and strength {strength}; fps must be above 0 and strength 0 or more")
        self.fps = fps
        self.strength = strength
        self._last: Float[np.ndarray, "n 2"] | None = None
        self._raw: Float[np.ndarray, "n 2"] | None = None
        self._velocity: Float[np.ndarray, "n 2"] | None = None

    def __call__(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """The next frame's points, smoothed. Points are fractions of the crop's side."""
        if self.strength == 0:
            return points
        if self._last is None or self._raw is None or self._velocity is None:
            self._last, self._raw, self._velocity = points, points, np.zeros_like(points)
            return points
        velocity = (points - self._raw) * self.fps
        self._velocity = self._velocity + self._blend(SPEED_CUTOFF) * (velocity - self._velocity)
        speed = np.linalg.norm(self._velocity, axis=-1, keepdims=True)
        cutoff = SLOW_CUTOFF / self.strength + SPEED_GAIN * speed
        self._last, self._raw = self._last + self._blend(cutoff) * (points - self._last), points
        return self._last

    def _blend(self, cutoff: Float[np.ndarray, "n 1"] | float) -> Float[np.ndarray, "n 1"] | float:
        """Share of the new value at a cutoff in Hz."""
        return 1 / (1 + self.fps / (2 * np.pi * cutoff))


def one_euro(
    landmarks: Float[np.ndarray, "t n 2"], fps: float, *, strength: float = 1.0
) -> Float32[np.ndarray, "t n 2"]:
    """Landmarks without jitter and without delay: the mean of the filter run forward and run backward.

    Args:
        landmarks: fractions of the crop's side.
        fps: frames a second.
        strength: 1 suits the default detector; larger is smoother; 0 gives the input back.

    Raises:
        ValueError: if fps is not above 0 or strength is below 0.
    """
    forward, backward = OneEuro(float(fps), strength=strength), OneEuro(float(fps), strength=strength)
    if strength == 0:
        return landmarks.astype(np.float32)
    smooth = np.empty(landmarks.shape, np.float32)
    for index, frame in enumerate(landmarks):
        smooth[index] = forward(frame.astype(np.float64)) / 2
    for index in range(len(landmarks) - 1, -1, -1):
        smooth[index] += backward(landmarks[index].astype(np.float64)) / 2
    return smooth
