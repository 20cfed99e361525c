"""A photo's head turned in three dimensions: for each pixel wanted, where in the photo it is fetched from.

Two layers. The face is a mesh that lands on the wanted landmarks and knows what hides what. Hair and skull are a dome
around it: its outline moves with the head, what lies within slides by its depth. Below the chin and away from the head
the movement fades, so that shoulders and background stay where they are.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int

from talkinghead.face.landmarks import downwards
from talkinghead.portrait.warping.denoise import denoised
from talkinghead.portrait.warping.head_mesh import DOWN, Person, SeenHead, head_mesh
from talkinghead.portrait.warping.warp import uncrossed
from talkinghead.rig.fitting.solver import State
from talkinghead.rig.rig import pose_of_rotation
from talkinghead.rig.shade import rasterise, vertex_normals

DOME_CENTRE = np.array([0.0, 0.045, 0.0])
DOME_RADII = np.array([0.092, 0.125], np.float32)
DOME_DEPTH = 0.105
"""Metres: middle, half width and height, and depth of the skull with its hair."""

JOIN = 0.04
"""Over which the mesh's movement passes into the dome's, fractions of the side."""

THROAT = 0.16
"""The same below the jaw."""

NECK = (-0.05, 0.75)
"""Between these, in lengths from the nose's bridge to the chin below the chin, the movement fades."""

JAW_LINE = (-0.45, -0.1)
"""Between these, in the same unit, hair beside the face passes into throat."""

AWAY = (1.9, 2.9)
"""Between these, in radii of the dome, too."""

EDGE_ON, DEPTH_SLACK = (0.05, 0.35), (0.006, 0.014)
"""What of the photo's face is seen well enough to be shown: cosine of the skin's angle, metres behind what hides it."""

TURNED_AWAY = (0.0, 0.3)
"""Cosine of the dome's angle to the photo's camera: below the first the photo cannot show it."""

DEPTH_SIDE = 192
"""Side of the photo's depth map."""


@dataclass(frozen=True)
class Maps:
    """Where the pixels of a picture come from, on a coarse grid."""

    head: Float32[np.ndarray, "s s 2"]
    """Of hair, neck and shoulders; fractions of the photo's side."""
    face: Float32[np.ndarray, "s s 2"]
    """Of the face's mesh, carried on a little beyond its edge."""
    coverage: Float32[np.ndarray, "s s"]
    """How far the mesh covers the pixel and the photo shows it, 0..1."""
    revealed: Float32[np.ndarray, "s s"]
    """1 where the head shows what the photo does not."""
    moved: Float32[np.ndarray, "s s"]
    """1 where anything may move, falling to 0 where the photo stays as it is."""


class MeshWarp:
    """A photo of a person, ready to be moved to any landmarks of hers.

    Args:
        landmarks: in the photo, fractions of its side.
        person: whose head it is.
        state: her pose and expression in the photo; None fits them.
    """

    def __init__(self, landmarks: Float[np.ndarray, "68 2"], person: Person, *, state: State | None = None):
        self.landmarks, self.person = landmarks, person
        self.head = person.seen(uncrossed(landmarks), person.states(landmarks[None]) if state is None else state)
        faces = head_mesh().faces
        upright = np.concatenate([self.head.place / self.head.scale * DOWN, self.head.depth[:, None]], 1)
        self.facing = vertex_normals(upright.astype(np.float32), faces)[:, 2]
        self.nearest = _depth_map(self.head, faces)

    def maps(self, target: Float[np.ndarray, "68 2"], state: State, side: int) -> Maps:
        """The way back from each cell of a grid to the photo.

        Args:
            target: wanted landmarks, fractions of the side.
            state: pose and expression of the person there, of this one picture.
            side: of the grid.
        """
        wanted = uncrossed(denoised(self.landmarks, target))
        there = self.person.seen(wanted, state)
        cells = _cells(side)
        dome, rim, hidden = _dome_map(self.head, there, cells)
        weight = _fading(wanted, rim, cells)
        head = cells + weight[..., None] * (dome - cells)
        face, inside, seen = self._mesh_map(there, side)
        sure = inside * seen
        coverage = cv2.GaussianBlur(sure, (0, 0), 0.7)
        revealed = np.maximum(hidden * (1 - inside), inside * (1 - seen))
        return Maps(
            _joined(head, face, sure, _throat(wanted, cells)).astype(np.float32),
            _carried_on(face, inside),
            coverage,
            revealed.astype(np.float32),
            weight.astype(np.float32),
        )

    def _mesh_map(
        self, there: SeenHead, side: int
    ) -> tuple[Float32[np.ndarray, "s s 2"], Float32[np.ndarray, "s s"], Float32[np.ndarray, "s s"]]:
        """Where the face comes from, which pixels it covers, and how well the photo shows each of them."""
        faces = head_mesh().faces
        triangle, weights = rasterise(there.place * side - 0.5, there.depth, faces, side)
        on = triangle >= 0
        corners, weights = faces[triangle[on]], weights[on]
        source = _mixed(self.head.place, corners, weights)
        depth = _mixed(self.head.depth[:, None], corners, weights)[:, 0]
        facing = _mixed(self.facing[:, None], corners, weights)[:, 0]
        x, y = np.clip((source * DEPTH_SIDE).astype(np.int32), 0, DEPTH_SIDE - 1).T
        behind = self.nearest[y, x] - depth
        face, inside, seen = (np.zeros((side * side, *tail), np.float32) for tail in ((2,), (), ()))
        face[on], inside[on] = source, 1
        seen[on] = _smooth(facing, *EDGE_ON) * (1 - _smooth(behind, *DEPTH_SLACK))
        return face.reshape(side, side, 2), inside.reshape(side, side), seen.reshape(side, side)


def _depth_map(head: SeenHead, faces: Int[np.ndarray, "f 3"]) -> Float32[np.ndarray, "d d"]:
    """How near the face is at each cell of the photo; far away where there is none."""
    triangle, weights = rasterise(head.place * DEPTH_SIDE - 0.5, head.depth, faces, DEPTH_SIDE)
    nearest = np.full(DEPTH_SIDE * DEPTH_SIDE, -1e3, np.float32)
    on = triangle >= 0
    nearest[on] = _mixed(head.depth[:, None], faces[triangle[on]], weights[on])[:, 0]
    return nearest.reshape(DEPTH_SIDE, DEPTH_SIDE)


def _dome_map(
    source: SeenHead, target: SeenHead, cells: Float32[np.ndarray, "s s 2"]
) -> tuple[Float32[np.ndarray, "s s 2"], Float32[np.ndarray, "s s"], Float32[np.ndarray, "s s"]]:
    """Where the dome's cells come from, how far out they lie (1 at its rim), and whether the photo hides them."""
    (from_centre, from_roll, from_pole), (centre, roll, pole) = (_dome(head) for head in (source, target))
    upright = ((cells - centre) / np.float32(target.scale)) @ _turn(roll)
    rim = np.linalg.norm(upright / DOME_RADII, axis=-1)
    height = DOME_DEPTH * np.clip(1 - rim * rim, 0, None)
    fetched = upright + height[..., None] * (from_pole - pole)
    flat = (cells - centre) / np.float32(target.scale) * DOWN / DOME_RADII
    outwards = np.dstack([flat, np.sqrt(np.clip(1 - rim * rim, 0, 1))])
    towards = outwards @ (source.rotation @ target.rotation.T)[2].astype(np.float32)
    hidden = (1 - _smooth(towards, *TURNED_AWAY)) * (rim < 1)
    return (fetched @ _turn(-from_roll)) * np.float32(source.scale) + from_centre, rim, hidden


def _dome(head: SeenHead) -> tuple[Float32[np.ndarray, " 2"], float, Float32[np.ndarray, " 2"]]:
    """Where the dome's middle is seen, how far the head leans, and where its front points when it is upright."""
    yaw, pitch, roll = pose_of_rotation(head.rotation)
    centre = (head.rotation @ DOME_CENTRE)[:2] * DOWN * head.scale + head.shift
    pole = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch)], np.float32)
    return centre.astype(np.float32), float(roll), pole


def _turn(angle: float) -> Float32[np.ndarray, "2 2"]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]], np.float32)


def _fading(
    landmarks: Float[np.ndarray, "68 2"], rim: Float32[np.ndarray, "s s"], cells: Float32[np.ndarray, "s s 2"]
) -> Float32[np.ndarray, "s s"]:
    """How far each cell follows the head: 1 on it, 0 below the neck and away from it."""
    return (1 - _smooth(_below_chin(landmarks, cells), *NECK)) * (1 - _smooth(rim, *AWAY))


def _throat(landmarks: Float[np.ndarray, "68 2"], cells: Float32[np.ndarray, "s s 2"]) -> Float32[np.ndarray, "s s"]:
    """1 below the jaw, 0 above the mouth."""
    return _smooth(_below_chin(landmarks, cells), *JAW_LINE)


def _below_chin(
    landmarks: Float[np.ndarray, "68 2"], cells: Float32[np.ndarray, "s s 2"]
) -> Float32[np.ndarray, "s s"]:
    """How far each cell lies below the chin, in lengths from the nose's bridge to the chin."""
    length = max(float(np.linalg.norm(landmarks[8] - landmarks[27])), 1e-6)
    return (cells - landmarks[8].astype(np.float32)) @ (downwards(landmarks) / length).astype(np.float32)


def _carried_on(
    values: Float32[np.ndarray, "s s 2"], inside: Float32[np.ndarray, "s s"]
) -> Float32[np.ndarray, "s s 2"]:
    """Values inside a region, continued beyond its edge as far as a soft edge needs them."""
    cells = _cells(len(inside))
    offset = _blurred(values - cells, inside, JOIN / 2)
    return np.where(inside[..., None] > 0, values, cells + offset).astype(np.float32)


def _joined(
    head: Float32[np.ndarray, "s s 2"],
    face: Float32[np.ndarray, "s s 2"],
    sure: Float32[np.ndarray, "s s"],
    throat: Float32[np.ndarray, "s s"],
) -> Float32[np.ndarray, "s s 2"]:
    """The head's map, drawn to the face's near its edge so that hair and skin meet; farther down, where throat
    and beard follow the chin."""
    distance = cv2.distanceTransform((sure < 0.5).astype(np.uint8), cv2.DIST_L2, 5) / len(sure)
    offset = face - head
    for width, where in ((JOIN, 1 - throat), (THROAT, throat)):
        strength = where * np.exp(-((distance / (1.2 * width)) ** 2))
        head = head + strength[..., None] * _blurred(offset, sure, width)
    return head


def _blurred(
    values: Float32[np.ndarray, "s s 2"], weight: Float32[np.ndarray, "s s"], width: float
) -> Float32[np.ndarray, "s s 2"]:
    """Weighted means around each cell, over as little as holds any weight and `width` of the side at most."""
    total, mean = np.full_like(weight, 1e-6), np.zeros_like(values)
    for part, share in ((0.25, 1.0), (0.5, 0.02), (1.0, 0.0004)):
        blur = part * width * len(weight)
        total += share * cv2.GaussianBlur(weight, (0, 0), blur)
        mean += share * cv2.GaussianBlur(values * weight[..., None], (0, 0), blur)
    return mean / total[..., None]


def _mixed(
    values: Float32[np.ndarray, "v d"], corners: Int[np.ndarray, "p 3"], weights: Float32[np.ndarray, "p 3"]
) -> Float32[np.ndarray, "p d"]:
    """Values of vertices at points of triangles."""
    return sum(values[corners[:, i]] * weights[:, i : i + 1] for i in range(3))  # type: ignore[return-value]


def _smooth(values: Float[np.ndarray, "*n"], low: float, high: float) -> Float[np.ndarray, "*n"]:
    """0 below `low`, 1 above `high`, without a kink."""
    part = np.clip((values - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)


@lru_cache(maxsize=8)
def _cells(side: int) -> Float32[np.ndarray, "{side} {side} 2"]:
    """The middle of each cell of a grid, fractions of the side."""
    line = (np.arange(side, dtype=np.float32) + 0.5) / side
    return np.stack(np.meshgrid(line, line), -1)
