"""A 3-D head that moves: neutral vertices, expressions, identity, and where the 68 landmarks lie on it.

Space: right-handed, metres; x to the viewer's right, y up, z towards the viewer; a head looks along +z. The origin lies
near the middle of the head.

A pose is (yaw, pitch, roll) in radians. Positive yaw turns to the viewer's right, positive pitch looks down, positive
roll leans to the viewer's right; the head is pitched first, then turned, then rolled. These are the signs of `Motion`
and of drawn faces.

A rig's methods take NumPy arrays or torch tensors and give back the same; in torch they are differentiable.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from scipy.spatial.transform import Rotation
from skimage.measure import points_in_poly
from torch import Tensor

from talkinghead.face import landmarks as scheme

Array = TypeVar("Array", np.ndarray, Tensor)


SKIN = "skin"
"""Name of the part of the surface that is face; a rig may have eyes, teeth and more."""

UPPER_LID, LOWER_LID = [37, 38, 43, 44], [41, 40, 47, 46]


@dataclass(frozen=True, eq=False)
class Rig:
    """A head with expressions and identities; `v` vertices, `f` triangles, `k` expressions, `m` identity modes."""

    neutral: Float32[np.ndarray, "v 3"]
    """The face at rest, metres."""
    faces: Int[np.ndarray, "f 3"]
    """Triangles, counter-clockwise seen from outside."""
    expressions: Float32[np.ndarray, "k v 3"]
    """Offsets of each expression at weight 1, metres."""
    expression_names: tuple[str, ...]
    identity: Float32[np.ndarray, "m v 3"]
    """Offsets of one standard deviation of each identity mode, metres."""
    landmark_faces: Int[np.ndarray, " 68"]
    """The triangle that each of the iBUG points lies on."""
    landmark_weights: Float32[np.ndarray, "68 3"]
    """Its barycentric coordinates there."""
    name: str = "rig"
    part_names: tuple[str, ...] = (SKIN,)
    parts: Int[np.ndarray, " v"] | None = None
    """For each vertex, the index of its part's name; None if all is skin."""
    tensors: dict[object, Tensor] = field(default_factory=dict, repr=False, init=False)
    """Copies of the arrays in torch, by device and precision, made when first asked for."""

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise ValueError(f"rig {self.name}: {problem}")

    def vertices(self, weights: Array, identity: Array | None = None) -> Array:
        """Vertices (t, v, 3), metres, of expression weights (t, k) and one identity (m,) or one a frame (t, m)."""
        vertices = self._as("neutral", weights) + _blend(weights, self._as("expressions", weights))
        if identity is None:
            return vertices
        return vertices + _blend(identity, self._as("identity", identity))

    def landmarks_3d(self, vertices: Array) -> Array:
        """Vertices (t, v, 3) -> the iBUG points (t, 68, 3) on them."""
        corners = vertices[..., self.landmark_corners, :]
        return (corners * self._as("landmark_weights", vertices)[..., None]).sum(-2)

    def at_landmarks(self) -> "Rig":
        """The rig of the 68 points alone: the same expressions and identities, fast to evaluate. It has no surface."""
        corner = np.arange(68)
        return Rig(
            self.landmarks_3d(self.neutral[None])[0],
            np.stack([corner, corner, corner], 1),
            self.landmarks_3d(self.expressions),
            self.expression_names,
            self.landmarks_3d(self.identity),
            corner,
            np.eye(3, dtype=np.float32)[np.zeros(68, int)],
            name=f"{self.name} at 68 points",
        )

    def mouth_opening(self, vertices: Array) -> Array:
        """Distance of the middles of the inner lips, metres, of vertices (t, v, 3) -> (t,)."""
        points = self.landmarks_3d(vertices)
        return _length(points[:, 62] - points[:, 66])

    def lip_gap(self) -> tuple[Float32[np.ndarray, " 3"], Float32[np.ndarray, "k 3"]]:
        """From the lower to the upper inner lip, metres, at rest, and what each expression adds: the mouth's opening
        is the length of their sum."""
        rest, added = (self.landmarks_3d(one) for one in (self.neutral[None], self.expressions))
        return (rest[:, 62] - rest[:, 66])[0].astype(np.float32), (added[:, 62] - added[:, 66]).astype(np.float32)

    def eye_opening(self, vertices: Array) -> Array:
        """Mean distance of upper and lower lids of both eyes, metres, of vertices (t, v, 3) -> (t,)."""
        points = self.landmarks_3d(vertices)
        return _length(points[:, UPPER_LID] - points[:, LOWER_LID]).mean(-1)

    @cached_property
    def landmark_corners(self) -> Int[np.ndarray, "68 3"]:
        """Vertices of the triangles that the landmarks lie on."""
        return self.faces[self.landmark_faces]

    @cached_property
    def lip_vertices(self) -> Int[np.ndarray, " n"]:
        """Vertices of the lips: skin inside the outer lip line of the neutral face, or within 3 mm of a lip point."""
        points = self.landmarks_3d(self.neutral[None])[0]
        lips = points[scheme.OUTER_LIPS + scheme.INNER_LIPS]
        deep = self.neutral[:, 2] > lips[:, 2].min() - 0.01
        inside = points_in_poly(self.neutral[:, :2], points[scheme.OUTER_LIPS, :2])
        near = np.linalg.norm(self.neutral[:, None] - lips, axis=-1).min(1) < 0.003
        return np.flatnonzero(self.skin & ((inside & deep) | near))

    @cached_property
    def upper_face_vertices(self) -> Int[np.ndarray, " n"]:
        """Vertices of brows, eyelids and forehead: skin above the middle of the nose's bridge and before the ears."""
        points = self.landmarks_3d(self.neutral[None])[0]
        above, before = self.neutral[:, 1] > points[29, 1], self.neutral[:, 2] > points[[0, 16], 2].mean()
        return np.flatnonzero(self.skin & above & before)

    @cached_property
    def skin(self) -> Bool[np.ndarray, " v"]:
        """Which vertices are skin."""
        if self.parts is None:
            return np.ones(len(self.neutral), bool)
        return self.parts == self.part_names.index(SKIN)

    def part(self, name: str) -> Int[np.ndarray, " n"]:
        """Vertices of a part; none if the rig does not have it."""
        if self.parts is None or name not in self.part_names:
            return np.flatnonzero(self.skin) if name == SKIN else np.zeros(0, np.int64)
        return np.flatnonzero(self.parts == self.part_names.index(name))

    def _as(self, name: str, like: Array) -> Array:
        """One of the arrays, as `like` is: NumPy or torch, its precision and device."""
        array: np.ndarray = getattr(self, name)
        if isinstance(like, np.ndarray):
            return array.astype(like.dtype, copy=False)
        key = (name, like.dtype, like.device)
        if key not in self.tensors:
            self.tensors[key] = torch.as_tensor(array, dtype=like.dtype, device=like.device)
        return self.tensors[key]

    def _problem(self) -> str | None:
        count = len(self.neutral)
        if self.expressions.shape[1:] != (count, 3) or self.identity.shape[1:] != (count, 3):
            return f"{count} vertices, but offsets of {self.expressions.shape[1]} and {self.identity.shape[1]}"
        if len(self.expression_names) != len(self.expressions):
            return f"{len(self.expressions)} expressions and {len(self.expression_names)} names"
        if len(self.faces) and not 0 <= self.faces.min() <= self.faces.max() < count:
            return f"a triangle names vertex {self.faces.max()} of {count}"
        if self.landmark_faces.min() < 0 or self.landmark_faces.max() >= len(self.faces):
            return f"a landmark lies on triangle {self.landmark_faces.max()} of {len(self.faces)}"
        if not all(np.isfinite(array).all() for array in (self.neutral, self.expressions, self.identity)):
            return "a coordinate is not finite"
        return None


def rotation_of_pose(pose: Float[np.ndarray, "*t 3"]) -> Rotation:
    """Yaw, pitch, roll, radians, of one pose or one a frame."""
    yaw, pitch, roll = np.moveaxis(pose, -1, 0)
    return Rotation.from_euler("xyz", np.stack([pitch, yaw, -roll], -1))


def rotation_matrix(pose: Float[np.ndarray, "*t 3"]) -> Float[np.ndarray, "*t 3 3"]:
    """The same as matrices."""
    return np.asarray(rotation_of_pose(pose).as_matrix(), pose.dtype)


def pose_of_rotation(rotation: Float[np.ndarray, "*t 3 3"]) -> Float[np.ndarray, "*t 3"]:
    """What `rotation_matrix` makes these matrices of: radians, yaw in -pi/2..pi/2."""
    yaw = np.arcsin(np.clip(-rotation[..., 2, 0], -1, 1))
    pitch = np.arctan2(rotation[..., 2, 1], rotation[..., 2, 2])
    roll = np.arctan2(-rotation[..., 1, 0], rotation[..., 0, 0])
    return np.stack([yaw, pitch, roll], -1)


def rotate(points: Float[np.ndarray, "*t n 3"], pose: Float[np.ndarray, "t 3"]) -> Float[np.ndarray, "t n 3"]:
    """Points on the head, turned about the origin."""
    return np.asarray(points @ rotation_matrix(pose).swapaxes(-1, -2))


def _blend(weights: Array, offsets: Array) -> Array:
    """Sum of offsets (k, v, 3) by weights (..., k)."""
    return (weights @ offsets.reshape(len(offsets), -1)).reshape(*weights.shape[:-1], *offsets.shape[1:])


def _length(offsets: Array) -> Array:
    return (offsets * offsets).sum(-1) ** 0.5
