"""One random change of appearance and shape for a whole episode, so that a small collection holds more people.

Every frame and every landmark of an episode gets the same change: to the networks it is a new person.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from talkinghead.face.landmarks import MIRROR

_INVERSION_STEPS = 8


@dataclass(frozen=True)
class AugmentConfig:
    """How strong the changes are; 0 turns one off."""

    mirror: float = 0.5
    """Chance of mirroring the episode."""
    shape: float = 0.5
    """Chance of changing the shape by the four values below."""
    scale: float = 0.08
    """Largest relative change of size."""
    stretch: float = 0.06
    """Largest relative change of width against height."""
    rotation: float = 4.0
    """Largest rotation, degrees."""
    shift: float = 0.03
    """Largest shift, fractions of the side."""
    warp: float = 0.012
    """Typical displacement of a smooth warp, fractions of the side."""
    colour: float = 0.15
    """Strength of changes of brightness, contrast, saturation and tint."""
    landmark_noise: float = 0.0015
    """Standard deviation of noise on the drawn landmarks, fractions of the side, against detector jitter."""


NO_AUGMENTATION = AugmentConfig(mirror=0, shape=0, colour=0, landmark_noise=0)


class EpisodeAugmentation:
    """One draw of the changes.

    Args:
        config: strengths.
        size: side of the frames, pixels.
        rng: source of the draw.
    """

    def __init__(self, config: AugmentConfig, size: int, rng: np.random.Generator):
        self.size = size
        self.mirror = rng.random() < config.mirror
        changes_shape = rng.random() < config.shape
        angle = np.deg2rad(rng.uniform(-config.rotation, config.rotation))
        zoom = 1 + rng.uniform(-config.scale, config.scale)
        stretch = 1 + rng.uniform(-config.stretch, config.stretch)
        shift = rng.uniform(-config.shift, config.shift, 2)
        control = rng.normal(0, config.warp, (4, 4, 2)).astype(np.float32)
        cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
        self._matrix = np.array([[cosine / stretch, -sine], [sine / stretch, cosine]])
        self._shift = shift
        self._field: Float[np.ndarray, "s s 2"] | None = None
        if changes_shape:
            self._field = cv2.resize(control, (size, size), interpolation=cv2.INTER_CUBIC)
            grid = (np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1) + 0.5) / size
            self._map = (self._to_source(grid) * size - 0.5).astype(np.float32)
        self.colours = self._draw_colour(config.colour, rng)

    @staticmethod
    def _draw_colour(strength: float, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        """A 3 x 3 matrix and an offset on RGB in 0..255."""
        gain = np.exp(rng.normal(0, strength, 1) + rng.normal(0, strength / 3, 3))
        saturation = np.exp(rng.normal(0, 1.5 * strength))
        grey = np.full((3, 3), 1 / 3)
        mix = saturation * np.eye(3) + (1 - saturation) * grey
        return (gain[:, None] * mix).astype(np.float32), float(rng.normal(0, 60 * strength))

    def _to_source(self, points: Float[np.ndarray, "*p 2"]) -> Float[np.ndarray, "*p 2"]:
        """Where in the original crop a point of the changed crop comes from, both as fractions of the side."""
        centred = points + self._displacement(points) - 0.5
        return centred @ self._matrix.T + self._shift + 0.5

    def _displacement(self, points: Float[np.ndarray, "*p 2"]) -> Float[np.ndarray, "*p 2"]:
        assert self._field is not None
        pixels = (points * self.size - 0.5).astype(np.float32)  # in rows: OpenCV holds no row of 32,767
        sampled = cv2.remap(self._field, pixels, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return sampled.reshape(points.shape)

    def frames(self, frames: UInt8[np.ndarray, "n s s 3"], *, colour: bool = True) -> UInt8[np.ndarray, "n s s 3"]:
        """The changed frames; of masks the colours stay as they are."""
        changed = []
        for frame in frames:
            if self._field is not None:
                frame = cv2.remap(frame, self._map, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            if colour:
                frame = cv2.transform(frame, np.column_stack([self.colours[0], np.repeat(self.colours[1], 3)]))
            changed.append(frame[:, ::-1] if self.mirror else frame)
        return np.stack(changed)

    def warped_source(self, source: UInt8[np.ndarray, "s s 6"]) -> UInt8[np.ndarray, "s s 6"]:
        """A picture and its masks, changed."""
        picture, masks = source[None, ..., :3], source[None, ..., 3:]
        return np.dstack([self.frames(picture)[0], self.frames(masks, colour=False)[0]])

    def landmarks(self, landmarks: Float[np.ndarray, "n 68 2"]) -> Float[np.ndarray, "n 68 2"]:
        """The landmarks of the changed frames."""
        points = landmarks.astype(np.float64)
        if self._field is not None:
            unwarped = (points - self._shift - 0.5) @ np.linalg.inv(self._matrix).T + 0.5
            points = unwarped
            for _ in range(_INVERSION_STEPS):  # p = A^-1(q) - d(p)
                points = unwarped - self._displacement(points)
        if self.mirror:
            points = points[:, MIRROR]
            points[..., 0] = 1 - points[..., 0]
        return points.astype(np.float32)
