"""Poses and expression weights of many frames at once: Gauss-Newton steps, each a small bounded quadratic problem.

All frames of a block are solved together in single precision. In each step the projection is linearised, the six
numbers of the camera are eliminated (Schur complement), the weights are found between their bounds by coordinate
descent, and the camera follows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from talkinghead.face.alignment import nearest_rotation
from talkinghead.rig.head_pose import PICTURE, Pose, estimate_pose, outline_trust

SWEEPS = 12
"""Of coordinate descent in each step; each step starts where the last one ended."""

OUTLIER, LEAST_OUTLIER = 4.0, 0.008
"""A landmark that lies this many times its usual distance away, and so many metres, counts for a quarter."""


MOST_SCALING = 1.5
"""How far the size may move away from where it starts: landmarks of no face would lead it anywhere."""


@dataclass(frozen=True)
class Points:
    """A rig at the 68 landmarks, for one person."""

    base: Float[np.ndarray, "68 3"]
    """At rest, metres."""
    expressions: Float[np.ndarray, "k 68 3"]


@dataclass(frozen=True)
class Penalties:
    """What the solver weighs against the distance of the landmarks."""

    noise: float
    """Standard deviation of a landmark, metres."""
    rate: Float[np.ndarray, " k"]
    """Of the exponential distribution of each weight: the larger, the rarer the expression."""
    step: Float[np.ndarray, " k"]
    """Standard deviation of a weight's change from frame to frame; infinite if frames are not in order."""
    turn: float
    """Standard deviation of the head's turn from frame to frame, radians."""


@dataclass(frozen=True)
class State:
    """What is sought, for `t` frames."""

    rotation: Float[np.ndarray, "t 3 3"]
    scale: Float[np.ndarray, " t"]
    """Fractions of the crop's side per metre."""
    shift: Float[np.ndarray, "t 2"]
    weights: Float[np.ndarray, "t k"]

    def part(self, chosen: slice | Int[np.ndarray, " n"]) -> "State":
        """Some of the frames."""
        return State(self.rotation[chosen], self.scale[chosen], self.shift[chosen], self.weights[chosen])

    def steadied(self, over: float) -> "State":
        """Frames in order, the head's turn, size and place averaged over neighbours: what is left is how it moves.

        Args:
            over: standard deviation of the average, frames.
        """
        rotation, scale, shift = (
            gaussian_filter1d(part, over, axis=0, mode="nearest") for part in (self.rotation, self.scale, self.shift)
        )
        return State(nearest_rotation(rotation), scale, shift, self.weights)

    @classmethod
    def joined(cls, parts: Sequence["State"]) -> "State":
        """Several states as one, frame after frame."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @property
    def pose(self) -> Pose:
        """How the head is held."""
        return Pose(self.rotation, self.scale, self.shift)

    def predict(self, points: Points) -> Float[np.ndarray, "t 68 2"]:
        """Where the landmarks are seen, fractions of the crop's side."""
        return self.pose.project(shapes(points, self.weights))


def shapes(points: Points, weights: Float[np.ndarray, "t k"]) -> Float[np.ndarray, "t 68 3"]:
    """The 68 points of each frame, facing forward, metres."""
    moved = weights @ points.expressions.reshape(len(points.expressions), -1)
    return points.base + moved.reshape(len(weights), 68, 3)


def start(landmarks: Float[np.ndarray, "t 68 2"], points: Points) -> State:
    """The resting face in the pose that explains the landmarks best."""
    pose = estimate_pose(landmarks.astype(np.float64), points.base)
    return State(pose.rotation, pose.scale, pose.position, np.zeros((len(landmarks), len(points.expressions))))


def solve(
    landmarks: Float[np.ndarray, "t 68 2"],
    trust: Float[np.ndarray, "t 68"],
    points: Points,
    state: State,
    *,
    penalties: Penalties,
    steps: int,
) -> State:
    """The likeliest poses and weights in 0..1, after some Gauss-Newton steps from `state`."""
    least, most = state.scale / MOST_SCALING, state.scale * MOST_SCALING
    for _ in range(steps):
        camera, by_weight, residual = linearise(landmarks, points, state)
        counted = trust * outline_trust(state.rotation[:, 2, 0]) * robust(residual, penalties.noise)
        counted = np.concatenate([counted, counted], 1)
        state = _step(camera, by_weight, residual, counted.astype(np.float32), state, penalties)
        state = replace(state, scale=np.clip(state.scale, least, most))
    return state


def linearise(
    landmarks: Float[np.ndarray, "t 68 2"], points: Points, state: State
) -> tuple[Float[np.ndarray, "t 136 6"], Float[np.ndarray, "t 136 k"], Float[np.ndarray, "t 136"]]:
    """Derivatives by the camera (turn about x, y, z; log of scale; shift over scale) and by the weights, and what is
    left of the landmarks: first all x, then all y; in metres."""
    frames, kinds = state.weights.shape
    turned = shapes(points, state.weights) @ state.rotation.transpose(0, 2, 1)
    x, y, z, nil = turned[..., 0], turned[..., 1], turned[..., 2], np.zeros(turned.shape[:2])
    one = nil + 1
    across = np.stack([nil, z, -y, x, one, nil], -1)
    down = np.stack([z, nil, -x, -y, nil, one], -1)
    camera = np.concatenate([across, down], 1)
    seen = state.pose.camera.astype(np.float32)
    flat = points.expressions.astype(np.float32).transpose(2, 1, 0).reshape(3, -1)
    by_weight = (seen.reshape(-1, 3) @ flat).reshape(frames, 136, kinds)
    offset = (landmarks - state.shift[:, None]) / state.scale[:, None, None] - turned[..., :2] * PICTURE
    return camera.astype(np.float32), by_weight, np.concatenate([offset[..., 0], offset[..., 1]], 1)


def robust(residual: Float[np.ndarray, "t 136"], noise: float) -> Float[np.ndarray, "t 68"]:
    """How far each landmark counts (Geman and McClure 1987)."""
    squared = (residual[:, :68] ** 2 + residual[:, 68:] ** 2) / max(OUTLIER * noise, LEAST_OUTLIER) ** 2
    return np.asarray(1 / (1 + squared) ** 2)


def _step(
    camera: Float[np.ndarray, "t 136 6"],
    by_weight: Float[np.ndarray, "t 136 k"],
    residual: Float[np.ndarray, "t 136"],
    trust: Float[np.ndarray, "t 136"],
    state: State,
    penalties: Penalties,
) -> State:
    """One Gauss-Newton step."""
    counted = trust[..., None] / np.float32(penalties.noise**2)
    given_camera, given_weight = (counted * camera).transpose(0, 2, 1), (counted * by_weight).transpose(0, 2, 1)
    left = residual[..., None].astype(np.float32)
    inner = (given_camera @ camera).astype(np.float64)
    pull = (given_camera @ left).astype(np.float64)
    _hold_turns(inner, pull, state, penalties)
    inner += 1e-6 * np.trace(inner, axis1=1, axis2=2)[:, None, None] * np.eye(6)
    both = (given_camera @ by_weight).astype(np.float64)
    solved = np.linalg.solve(inner, np.concatenate([both, pull], 2))
    matrix = given_weight @ by_weight - both.transpose(0, 2, 1) @ solved[..., :-1]
    vector = (given_weight @ left - both.transpose(0, 2, 1) @ solved[..., -1:])[..., 0]
    vector += np.einsum("tij,tj->ti", matrix, state.weights)
    weights = bounded(matrix, vector - penalties.rate, state.weights, walk=1 / penalties.step**2)
    change = solved[..., -1] - np.einsum("tik,tk->ti", solved[..., :-1], weights - state.weights)
    rotation = Rotation.from_rotvec(change[:, :3]).as_matrix() @ state.rotation
    return State(
        rotation,
        state.scale * np.exp(np.clip(change[:, 3], -0.3, 0.3)),
        state.shift + state.scale[:, None] * change[:, 4:],
        weights,
    )


def bounded(
    matrix: Float[np.ndarray, "t k k"],
    vector: Float[np.ndarray, "t k"],
    weights: Float[np.ndarray, "t k"],
    *,
    walk: Float[np.ndarray, " k"],
) -> Float[np.ndarray, "t k"]:
    """The w in 0..1 with the least w'Mw/2 - v'w in all frames plus walk/2 times squared changes between frames.

    Coordinate descent: all frames at a time where none pulls another, else every second one, so that each step sees its
    neighbours' newest values.
    """
    frames, kinds = weights.shape
    columns = matrix.transpose(1, 0, 2).astype(np.float32)
    columns[range(kinds), :, range(kinds)] = 0
    neighbours = np.full(frames, 2.0)
    neighbours[[0, -1]] = 1.0 if frames > 1 else 0.0
    inverse = 1 / (np.einsum("tkk->kt", matrix) + walk[:, None] * neighbours + 1e-3)
    padded = np.zeros((kinds, frames + 2))
    padded[:, 1:-1] = weights.T
    now, wanted = weights.astype(np.float32), np.ascontiguousarray(vector.T)
    chains = bool(walk.any())
    turns = [slice(0, None, 2), slice(1, None, 2)] if chains else [slice(None)]
    parts = [(turn, np.ascontiguousarray(columns[:, turn]), wanted[:, turn], inverse[:, turn]) for turn in turns]
    for _ in range(SWEEPS):
        for turn, rows, pull, share in parts:
            some = np.ascontiguousarray(now[turn])
            for k in range(kinds):
                wish = pull[k] - np.einsum("tj,tj->t", rows[k], some)
                if chains:
                    wish += walk[k] * (padded[k, :-2][turn] + padded[k, 2:][turn])
                value = np.minimum(np.maximum(wish * share[k], 0), 1)
                some[:, k] = value
                padded[k, 1:-1][turn] = value
            now[turn] = some
    return now.astype(np.float64)


def _hold_turns(
    inner: Float[np.ndarray, "t 6 6"], pull: Float[np.ndarray, "t 6 1"], state: State, penalties: Penalties
) -> None:
    """Add, in place, that the head turns little from frame to frame."""
    if not np.isfinite(penalties.turn) or len(inner) < 2:
        return
    between = state.rotation[1:] @ state.rotation[:-1].transpose(0, 2, 1)
    ahead = np.stack([between[:, 2, 1] - between[:, 1, 2], between[:, 0, 2] - between[:, 2, 0]], 1) / 2
    ahead = np.concatenate([ahead, (between[:, 1, 0] - between[:, 0, 1])[:, None] / 2], 1)
    wish = np.zeros((len(inner), 3))
    wish[:-1] += ahead
    wish[1:] -= ahead
    strength = 1 / penalties.turn**2
    # Neighbours move too: half of the wish keeps the iteration from swinging.
    pull[:, :3, 0] += strength * wish
    inner[:, range(3), range(3)] += 4 * strength
