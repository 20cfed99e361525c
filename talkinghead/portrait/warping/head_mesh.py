"""The rig as a photo's face needs it: skin above the jaw, eyes and mouth closed, following 68 landmarks exactly.

Space: the rig's own, metres, x to the viewer's right, y up, z toward the viewer.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Float32, Int

from talkinghead.face import landmarks as scheme
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.fitting.person import FitSettings, PersonFit, fit_person, penalties_of
from talkinghead.rig.fitting.solver import Points, State, solve, start
from talkinghead.rig.rig import Rig

DOWN = np.array([1.0, -1.0], np.float32)
"""From the rig's x and y, y up, to a picture's, y down."""

REACH = 0.025
"""How far a landmark's residual carries over the skin, metres: the kernel falls to 1/e there."""

BELOW_JAW, BEFORE_EARS, CHEEK_WIDTH, CHEEK_DEPTH = 0.008, 0.022, 0.073, 0.050
"""Metres: where the mesh ends. Ears and neck would dangle beside a face that is turned."""

BLOCK = 128
"""Pictures fitted at once."""

STEPS = 6
"""Gauss-Newton steps of the fit of each picture."""


@dataclass(frozen=True)
class HeadMesh:
    """The face's surface, cut out of a rig."""

    neutral: Float32[np.ndarray, "v 3"]
    expressions: Float32[np.ndarray, "k v 3"]
    identity: Float32[np.ndarray, "m v 3"]
    faces: Int[np.ndarray, "f 3"]
    """Triangles; the last vertices are the centres of the eyes' and the mouth's fans."""
    rims: tuple[Int[np.ndarray, " _"], ...]
    """The rim of each fan."""
    spread: Float32[np.ndarray, "v 68"]
    """How a residual of each landmark moves each vertex: 1 at its own place, falling with the distance on the face."""

    def closed(self, vertices: Float[np.ndarray, "v d"]) -> Float[np.ndarray, "w d"]:
        """Vertices with the fans' centres."""
        return np.concatenate([vertices, *(vertices[rim].mean(0, keepdims=True) for rim in self.rims)])


@cache
def head_mesh() -> HeadMesh:
    """The surface of the rig that ships."""
    rig = default_rig()
    faces = _face_triangles(rig)
    used, corners = np.unique(faces, return_inverse=True)
    faces = corners.reshape(faces.shape)
    neutral, expressions = rig.neutral[used], rig.expressions[:, used]
    rims = tuple(rim for rim in _rims(faces) if len(rim) < len(used) // 40)
    fans = [np.stack([np.roll(rim, -1), rim, np.full(len(rim), len(used) + i)], 1) for i, rim in enumerate(rims)]
    return HeadMesh(
        neutral,
        expressions,
        rig.identity[:, used],
        np.concatenate([faces, *fans]),
        rims,
        _spread(rig, used),
    )


def _face_triangles(rig: Rig) -> Int[np.ndarray, "f 3"]:
    """The skin above the jaw line and before the ears."""
    rest = rig.neutral
    jaw = rig.landmarks_3d(rest[None])[0][scheme.JAW]
    nearest = np.abs(rest[:, None, 0] - jaw[None, :, 0]).argmin(1)
    low = rest[:, 1] < jaw[nearest, 1] - BELOW_JAW
    back = (rest[:, 2] < BEFORE_EARS) | ((np.abs(rest[:, 0]) > CHEEK_WIDTH) & (rest[:, 2] < CHEEK_DEPTH))
    keep = rig.skin & ~(low | back)
    return rig.faces[keep[rig.faces].all(1)]


def _rims(faces: Int[np.ndarray, "f 3"]) -> list[Int[np.ndarray, " r"]]:
    """The loops of edges that belong to one triangle alone, each in the order of its triangles."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, which, count = np.unique(np.sort(edges, 1), axis=0, return_inverse=True, return_counts=True)
    after = dict(edges[count[which.ravel()] == 1].tolist())
    rims = []
    while after:
        here = next(iter(after))
        rim = []
        while here in after:
            rim.append(here)
            here = after.pop(here)
        rims.append(np.array(rim))
    return sorted(rims, key=len)


def _spread(rig: Rig, used: Int[np.ndarray, " v"]) -> Float32[np.ndarray, "v 68"]:
    """Kernel regression of the landmarks' residuals, by distances on a face whose eyes and mouth stand open: at rest
    upper and lower lip lie 0.8 mm apart, and would tear at each other."""
    weights = np.array(
        [0.5 if name == "jawOpen" else float(name.startswith("eyeWide")) for name in rig.expression_names]
    )
    open_face = rig.vertices(weights[None].astype(np.float32))
    points = rig.landmarks_3d(open_face)[0]

    def kernel(some: np.ndarray) -> np.ndarray:
        return np.exp(-np.linalg.norm(some[:, None] - points[None], axis=-1) / REACH)

    return (kernel(open_face[0, used]) @ np.linalg.inv(kernel(points) + 1e-3 * np.eye(68))).astype(np.float32)


@dataclass(frozen=True)
class Person:
    """One person's head: the mesh at rest, and the rig's 68 points on it."""

    fit: PersonFit
    rest: Float32[np.ndarray, "v 3"]
    points: Points

    @classmethod
    def fitted(cls, landmarks: Float[np.ndarray, "f 68 2"]) -> "Person":
        """The head of somebody whose landmarks these are, in any pose; a second's work of one core."""
        return cls.of(fit_person(landmarks.astype(np.float64), default_rig()))

    @classmethod
    def of(cls, fit: PersonFit) -> "Person":
        """The head of a person who was fitted."""
        mesh = head_mesh()
        own = np.einsum("m,mvi->vi", fit.identity, mesh.identity) + mesh.spread @ fit.own_shape
        return cls(fit, (mesh.neutral + own).astype(np.float32), fit.points(default_rig()))

    def states(self, landmarks: Float[np.ndarray, "t 68 2"]) -> State:
        """Pose and expression of pictures in no order."""
        seen, penalties = landmarks.astype(np.float64), penalties_of(default_rig(), FitSettings())
        parts = []
        for block in np.array_split(seen, range(BLOCK, len(seen), BLOCK)):
            begun, trust = start(block, self.points), np.ones((len(block), 68))
            parts.append(solve(block, trust, self.points, begun, penalties=penalties, steps=STEPS))
        return State.joined(parts)

    def seen(self, landmarks: Float[np.ndarray, "68 2"], state: State) -> "SeenHead":
        """The mesh where these landmarks lie exactly on it.

        Args:
            landmarks: fractions of the picture's side.
            state: of this one picture.
        """
        mesh = head_mesh()
        shape = self.rest + np.tensordot(state.weights[0].astype(np.float32), mesh.expressions, 1)
        turned = shape @ state.rotation[0].T.astype(np.float32)
        flat = turned[:, :2] * DOWN * np.float32(state.scale[0]) + state.shift[0].astype(np.float32)
        residual = (landmarks - state.predict(self.points)[0]).astype(np.float32)
        place = mesh.closed((flat + mesh.spread @ residual).astype(np.float32))
        depth = mesh.closed(turned[:, 2:])[:, 0]
        return SeenHead(place, depth, state.rotation[0], float(state.scale[0]), state.shift[0])


@dataclass(frozen=True)
class SeenHead:
    """A head as a picture shows it."""

    place: Float32[np.ndarray, "w 2"]
    """Where each vertex is seen, fractions of the picture's side."""
    depth: Float32[np.ndarray, " w"]
    """How near each vertex is, metres towards the viewer."""
    rotation: Float[np.ndarray, "3 3"]
    scale: float
    """Fractions of the side per metre."""
    shift: Float[np.ndarray, " 2"]
    """Where the rig's origin is seen."""
