"""One set of points laid over another: the turn, size and shift that bring them nearest (least squares).

References:
    Umeyama 1991, Least-squares estimation of transformation parameters between two point patterns.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Similarity:
    """Points are turned, scaled and shifted, in two or three dimensions."""

    rotation: Float[np.ndarray, "d d"]
    scale: float
    shift: Float[np.ndarray, " d"]

    def __call__(self, points: Float[np.ndarray, "*n d"]) -> Float[np.ndarray, "*n d"]:
        return self.scale * points @ self.rotation.T + self.shift


def similarity(
    source: Float[np.ndarray, "n d"], target: Float[np.ndarray, "n d"], *, scaled: bool = True
) -> Similarity:
    """What brings `source` nearest to `target`; without `scaled`, a turn and a shift alone."""
    source, target = source.astype(np.float64), target.astype(np.float64)
    middle, wanted = source.mean(0), target.mean(0)
    centred = source - middle
    both = (target - wanted).T @ centred
    rotation = nearest_rotation(both)
    spread = (centred**2).sum()
    scale = float((rotation * both).sum() / spread) if scaled and spread > 0 else 1.0
    return Similarity(rotation, scale, wanted - scale * rotation @ middle)


def nearest_rotation(matrices: Float[np.ndarray, "*t d d"]) -> Float[np.ndarray, "*t d d"]:
    """The rotations nearest to matrices, never a reflection (Kabsch 1976): of sum(target_i source_i'), the rotations
    that turn the source towards the target."""
    left, _, right = np.linalg.svd(matrices)
    left[..., -1] *= np.sign(np.linalg.det(left @ right))[..., None]
    return np.asarray(left @ right)
