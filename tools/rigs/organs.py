"""Eyes, teeth and the inside of the mouth for a face that has holes there, with the expressions that move them.

Lengths are centimetres; x to the viewer's right, y up, z towards the viewer.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from talkinghead.face.alignment import similarity

GAZE_DEGREES = {
    "eyeLookUp": (-20.0, 0.0),
    "eyeLookDown": (25.0, 0.0),
    "eyeLookLeft": (0.0, 30.0),
    "eyeLookRight": (0.0, -30.0),
}
"""Down and to the viewer's right, at weight 1."""

JAW = ("jawOpen", "jawForward", "jawLeft", "jawRight")

RINGS = ((10.0, "pupil"), (10.5, "iris"), (24.0, "iris"), (25.0, "eye"), (48.0, "eye"), (80.0, "eye"))
"""Degrees from the middle of the pupil."""

SEGMENTS = 14


@dataclass
class Organ:
    """A piece of surface to add to a face."""

    neutral: np.ndarray
    faces: np.ndarray
    expressions: np.ndarray
    identity: np.ndarray
    parts: list[str]


def eyeball(face: Organ, lid: np.ndarray, names: list[str], *, closing: int) -> Organ:
    """The front of a ball that the lid's edge (indices) slides over when expression `closing` shuts it."""
    rim = np.concatenate([face.neutral[lid], face.neutral[lid] + face.expressions[closing, lid]])
    solved = np.linalg.lstsq(np.column_stack([2 * rim, np.ones(len(rim))]), (rim**2).sum(1), rcond=None)[0]
    centre = solved[:3]
    radius = np.sqrt(solved[3] + centre @ centre) - 0.06
    points, parts = [np.array([[0.0, 0.0, 1.0]])], ["pupil"]
    turn = np.arange(SEGMENTS) * 2 * np.pi / SEGMENTS
    for degrees, part in RINGS:
        tilt = np.radians(degrees)
        flat = np.sin(tilt) * np.stack([np.cos(turn), np.sin(turn)], 1)
        points.append(np.column_stack([flat, np.full(SEGMENTS, np.cos(tilt))]))
        parts += [part] * SEGMENTS
    ball = np.concatenate(points) * radius
    first = 1 + np.arange(SEGMENTS)
    faces = [np.stack([np.zeros(SEGMENTS, int), first, np.roll(first, -1)], 1)]
    faces += [strip(1 + np.arange(SEGMENTS) + SEGMENTS * ring, closed=True) for ring in range(len(RINGS) - 1)]
    offsets = np.zeros((len(names), *ball.shape))
    for name, (down, right) in GAZE_DEGREES.items():
        offsets[names.index(name)] = ball @ _turn(down, right).T - ball
    identity = np.broadcast_to(face.identity[:, lid].mean(1, keepdims=True), (len(face.identity), *ball.shape))
    return Organ(centre + ball, np.concatenate(faces), offsets, identity, parts)


def mouth(face: Organ, lips: np.ndarray) -> Organ:
    """The dark inside of the mouth: the edge of the lips (indices, in order) drawn backwards and closed."""
    edge = face.neutral[lips]
    middle = edge.mean(0)
    rings = [middle + (edge - middle) * [1.0, 2.0, 1.0] - [0, 0, 1.5], middle + (edge - middle) * 0.7 - [0, 0, 4.5]]
    points = np.concatenate([edge, *rings, [middle - [0, 0, 5.0]]])
    count = len(lips)
    around = np.arange(count)
    faces = [strip(around, closed=True), strip(around + count, closed=True)]
    faces.append(np.stack([around + 2 * count, np.full(count, 3 * count), np.roll(around, -1) + 2 * count], 1))

    def follow(offsets: np.ndarray) -> np.ndarray:
        moved = offsets[:, lips]
        return np.concatenate([moved, moved, moved * [0.7, 0.7, 0.7], moved.mean(1, keepdims=True)], 1)

    return Organ(
        points, np.concatenate(faces), follow(face.expressions), follow(face.identity), ["mouth"] * len(points)
    )


def teeth(face: Organ, lips: np.ndarray, names: list[str], *, chin: np.ndarray) -> tuple[Organ, Organ]:
    """Both rows. The upper one stays with the skull; the lower one goes with the jaw, as the chin does."""
    front = face.neutral[lips].max(0)[2] - 0.6
    line = np.median(face.neutral[lips, 1])
    x = np.linspace(-2.3, 2.3, 13)
    z = front - 0.26 * x**2
    rows = []
    for gum, tip in ((line + 0.8, line - 0.05), (line - 0.85, line - 0.15)):
        ys = (gum, (gum + tip) / 2, tip)
        grid = np.concatenate([np.column_stack([x, np.full_like(x, y), z]) for y in ys])
        faces = np.concatenate([strip(np.arange(13)), strip(np.arange(13) + 13)])
        faces = faces if gum > tip else faces[:, ::-1]
        identity = np.broadcast_to(face.identity[:, lips].mean(1, keepdims=True), (len(face.identity), *grid.shape))
        rows.append(Organ(grid, faces, np.zeros((len(names), *grid.shape)), identity, ["teeth"] * len(grid)))
    for name in JAW:
        at = names.index(name)
        rows[1].expressions[at] = _rigid(face.neutral[chin], face.expressions[at, chin], rows[1].neutral)
    return rows[0], rows[1]


def joined(organs: list[Organ]) -> Organ:
    """All pieces as one."""
    starts = np.cumsum([0] + [len(organ.neutral) for organ in organs])
    return Organ(
        np.concatenate([organ.neutral for organ in organs]),
        np.concatenate([organ.faces + start for organ, start in zip(organs, starts[:-1], strict=True)]),
        np.concatenate([organ.expressions for organ in organs], 1),
        np.concatenate([organ.identity for organ in organs], 1),
        [part for organ in organs for part in organ.parts],
    )


def strip(row: np.ndarray, *, closed: bool = False) -> np.ndarray:
    """Triangles between a row of vertices and the next one, which has the same length and follows in number."""
    here, there = (row, np.roll(row, -1)) if closed else (row[:-1], row[1:])
    below = len(row)
    return np.concatenate([np.stack([here, here + below, there], 1), np.stack([there, here + below, there + below], 1)])


def _turn(down: float, right: float) -> np.ndarray:
    return Rotation.from_euler("xy", [down, right], degrees=True).as_matrix()


def _rigid(points: np.ndarray, offsets: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How other points move when they are one solid with these."""
    return similarity(points, points + offsets, scaled=False)(others) - others
