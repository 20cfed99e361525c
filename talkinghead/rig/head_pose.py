"""How a head is held, from its landmarks: the pose in which a 3-D face lies nearest to them.

Axes and units are the rig's (`rig.rig`). The camera is a scaled orthographic one.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from talkinghead.face import landmarks as scheme
from talkinghead.face.alignment import nearest_rotation

RIGID = [27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 39, 42, 45]
"""Nose and eye corners: what an expression hardly moves."""

TEMPLES = [0, 1, 2, 14, 15, 16]

OUTLINE_SLIDES = 12.0
"""Degrees: the outline of a head turned by more is not that of the jaw."""

PICTURE = np.array([1.0, -1.0])
"""From the rig's x and y, y up, to a picture's, y down."""


@dataclass(frozen=True)
class Pose:
    """How a head is held and where it is, frame by frame."""

    rotation: Float[np.ndarray, "t 3 3"]
    scale: Float[np.ndarray, " t"]
    """Fractions of the crop's side per metre."""
    position: Float[np.ndarray, "t 2"]
    """Where the origin is seen, fractions of the crop's side."""

    @property
    def camera(self) -> Float[np.ndarray, "t 2 3"]:
        """What takes points on the head to the picture's directions, x right and y down."""
        return self.rotation[:, :2] * PICTURE[:, None]

    def project(self, points: Float[np.ndarray, "*t n 3"]) -> Float[np.ndarray, "t n 2"]:
        """Points on the head, metres -> where they are seen, fractions of the crop's side."""
        seen = points @ self.camera.transpose(0, 2, 1)
        return seen * self.scale[:, None, None] + self.position[:, None]

    def lift(
        self, landmarks: Float[np.ndarray, "t 68 2"], shape: Float[np.ndarray, "*t 68 3"]
    ) -> Float[np.ndarray, "t 68 3"]:
        """Landmarks -> points on the head, facing forward, as deep as those of `shape`: `project` gives them back."""
        offsets = (landmarks - self.project(shape)) / self.scale[:, None, None]
        return shape + offsets @ self.camera


def estimate_pose(
    landmarks: Float[np.ndarray, "t 68 2"],
    shape: Float[np.ndarray, "*t 68 3"],
    *,
    weights: Float[np.ndarray, " 68"] | None = None,
    steps: int = 12,
) -> Pose:
    """The poses in which the shape's projection lies nearest to the landmarks.

    The unseen depths of the landmarks are filled in from the last estimate, and the two point clouds aligned.

    References:
        DeMenthon and Davis 1995 (POSIT: iterating over the depths).
    """
    weights = rigid_weights() if weights is None else weights / weights.sum()
    seen_mean = np.einsum("tni,n->ti", landmarks, weights)
    shape = np.broadcast_to(shape, (*landmarks.shape[:2], 3))
    shape_mean = np.einsum("tni,n->ti", shape, weights)
    seen, solid = (landmarks - seen_mean[:, None]) * PICTURE, shape - shape_mean[:, None]
    rotation = np.broadcast_to(np.eye(3), (len(landmarks), 3, 3))
    turned = solid
    scale = np.sqrt(_dot(seen, seen, weights) / _dot(solid[..., :2], solid[..., :2], weights))
    for _ in range(steps):
        filled = np.concatenate([seen / scale[:, None, None], turned[..., 2:]], -1)
        rotation = nearest_rotation(np.einsum("tni,tnj,n->tij", filled, solid, weights))
        turned = solid @ rotation.transpose(0, 2, 1)
        flat = turned[..., :2]
        scale = np.maximum(_dot(seen, flat, weights) / _dot(flat, flat, weights), 1e-6)
    facing = Pose(rotation, scale, 0 * seen_mean)
    return Pose(rotation, scale, seen_mean - facing.project(shape_mean[:, None])[:, 0])


def rigid_weights() -> Float[np.ndarray, " 68"]:
    """How far each point is trusted to be still on the head while the face moves."""
    weights = np.full(68, 0.1)
    weights[TEMPLES] = 0.3
    weights[RIGID] = 1.0
    return weights / weights.sum()


def outline_trust(sideways: Float[np.ndarray, " t"]) -> Float[np.ndarray, "t 68"]:
    """Less for the jaw of a turned head: what is marked there is the outline, which slides over the cheek.

    Args:
        sideways: sine of how far each head is turned to either side.
    """
    turned = np.degrees(np.arcsin(np.clip(sideways, -1, 1)))
    trust = np.ones((len(sideways), 68))
    trust[:, scheme.JAW] = np.maximum(np.exp(-((turned / OUTLINE_SLIDES) ** 2)), 0.02)[:, None]
    return trust


def _dot(
    a: Float[np.ndarray, "t n d"], b: Float[np.ndarray, "t n d"], weights: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " t"]:
    return np.einsum("tni,tni,n->t", a, b, weights)
