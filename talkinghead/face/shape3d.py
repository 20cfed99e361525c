"""A 3-D face of 68 points: the pose of a head from its landmarks, and a person's own resting face.

Space: x right, y down, z away from the viewer; the unit is the distance of the average face's outer eye corners; the
origin lies between eyes and nose. The camera is a scaled orthographic one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file

from talkinghead.face import landmarks as scheme
from talkinghead.weights.shipped import shipped

RIGID = [27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 39, 42, 45]
"""Nose and eye corners: what an expression hardly moves."""

TEMPLES = [0, 1, 2, 14, 15, 16]

POINT_NOISE = 0.015
"""Standard deviation of a landmark around the model."""

OWN_SHAPE = 0.02
"""Standard deviation of what is a person's own beyond the identity modes."""

EXPRESSION_STRENGTH = 0.25
"""Standard deviation of an expression's weight."""

STRAY = 0.03
"""A frame whose landmarks lie further than this from the fitted face (root mean square) counts for less."""


FOREIGN = 0.1
"""The same before anything is known about the person."""

OUTLINE_SLIDES = 12.0
"""Degrees: the outline of a head turned by more is not that of the jaw."""


@dataclass(frozen=True)
class FaceModel:
    """The average face and how faces differ."""

    mean: Float[np.ndarray, "68 3"]
    identity: Float[np.ndarray, "m 68 3"]
    """Offsets of one standard deviation."""
    expressions: Float[np.ndarray, "k 68 3"]
    """Offsets of each expression at full strength."""


@cache
def face_model() -> FaceModel:
    """The model that ships with the package (weights/face68.md says where it is from)."""
    arrays = load_file(shipped("face68.safetensors"))
    return FaceModel(**{name: array.astype(np.float64) for name, array in arrays.items()})


@dataclass(frozen=True)
class Pose:
    """How a head is held and where it is, frame by frame."""

    rotation: Float[np.ndarray, "t 3 3"]
    scale: Float[np.ndarray, " t"]
    """Fractions of the crop's side per unit."""
    position: Float[np.ndarray, "t 2"]
    """Where the origin is seen, fractions of the crop's side."""

    def project(self, points: Float[np.ndarray, "*t n 3"]) -> Float[np.ndarray, "t n 2"]:
        """Points on the head -> landmarks."""
        turned = points @ self.rotation[:, :2].transpose(0, 2, 1)
        return turned * self.scale[:, None, None] + self.position[:, None]

    def lift(
        self, landmarks: Float[np.ndarray, "t 68 2"], shape: Float[np.ndarray, "*t 68 3"]
    ) -> Float[np.ndarray, "t 68 3"]:
        """Landmarks -> points on the head, facing forward, as deep as those of `shape`: `project` gives them back."""
        offsets = (landmarks - self.project(shape)) / self.scale[:, None, None]
        return shape + offsets @ self.rotation[:, :2]


def rigid_weights() -> Float[np.ndarray, " 68"]:
    """How far each point is trusted to be still on the head while the face moves."""
    weights = np.full(68, 0.1)
    weights[TEMPLES] = 0.3
    weights[RIGID] = 1.0
    return weights / weights.sum()


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
        Umeyama 1991 (alignment of point sets); DeMenthon and Davis 1995 (POSIT: iterating over the depths).
    """
    weights = rigid_weights() if weights is None else weights / weights.sum()
    seen_mean = np.einsum("tni,n->ti", landmarks, weights)
    shape = np.broadcast_to(shape, (*landmarks.shape[:2], 3))
    shape_mean = np.einsum("tni,n->ti", shape, weights)
    seen, solid = landmarks - seen_mean[:, None], shape - shape_mean[:, None]
    rotation = np.broadcast_to(np.eye(3), (len(landmarks), 3, 3))
    turned = solid
    scale = np.sqrt(_dot(seen, seen, weights) / _dot(solid[..., :2], solid[..., :2], weights))
    for _ in range(steps):
        filled = np.concatenate([seen / scale[:, None, None], turned[..., 2:]], -1)
        left, _, right = np.linalg.svd(np.einsum("tni,tnj,n->tij", filled, solid, weights))
        left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
        rotation = left @ right
        turned = solid @ rotation.transpose(0, 2, 1)
        flat = turned[..., :2]
        scale = np.maximum(_dot(seen, flat, weights) / _dot(flat, flat, weights), 1e-6)
    position = seen_mean - scale[:, None] * np.einsum("tij,tj->ti", rotation[:, :2], shape_mean)
    return Pose(rotation, scale, position)


def resting_face(landmarks: Float[np.ndarray, "f 68 2"], *, rounds: int = 3) -> Float[np.ndarray, "68 3"]:
    """A person's own face at rest, facing forward, from some frames in any pose and with any expression.

    What the frames share is the person; what the expressions of the model explain is taken out. With few frames the
    answer leans to the average face. Its size and stance are the average face's.

    Args:
        landmarks: frames of one person, in any unit; more than about 30 add nothing but time.
        rounds: poses are estimated, then the face and all expressions together, this many times.
    """
    model = face_model()
    face, moved = model.mean, np.zeros((len(landmarks), 68, 3))
    weights, usual = rigid_weights(), FOREIGN
    for _ in range(rounds):
        pose = estimate_pose(landmarks, face + moved, weights=weights)
        seen = (landmarks - pose.position[:, None]) / pose.scale[:, None, None]
        camera = pose.rotation[:, :2]
        trust = _trust(camera)
        stray = ((seen - (face + moved) @ camera.transpose(0, 2, 1)) ** 2).sum(-1)
        stray = (trust * stray).sum(1, keepdims=True) / trust.sum(1, keepdims=True)
        face, moved = _face_and_expressions(seen, camera, trust * np.minimum(1, usual**2 / np.maximum(stray, 1e-12)))
        stance = _stance(face)
        face, moved = stance(face), stance(face + moved) - stance(face)
        weights, usual = np.full(68, 1 / 68), STRAY
    return face


def _face_and_expressions(
    seen: Float[np.ndarray, "f 68 2"], camera: Float[np.ndarray, "f 2 3"], trust: Float[np.ndarray, "f 68"]
) -> tuple[Float[np.ndarray, "68 3"], Float[np.ndarray, "f 68 3"]]:
    """The likeliest face and its offsets in each frame, where poses are known: one linear system.

    Frames of one occasion share an expression (a smile for the photographer, the set of the mouth of one who talks):
    there is one for all frames beside one for each. The latter are eliminated frame by frame (Schur complement).
    """
    model, frames, kinds = face_model(), len(seen), len(face_model().expressions)
    modes = model.identity.reshape(-1, 204)
    prior = np.eye(204 + kinds) / EXPRESSION_STRENGTH**2
    prior[:204, :204] = np.linalg.inv(modes.T @ modes + OWN_SHAPE**2 * np.eye(204))
    by_weight = np.einsum("fij,knj->fnik", camera, model.expressions).reshape(frames, 136, kinds)
    by_face = np.einsum("fij,nm->fnimj", camera, np.eye(68)).reshape(frames, 136, 204)
    shared = np.concatenate([by_face, by_weight], 2)
    weight = (trust / POINT_NOISE**2).repeat(2, 1)[..., None]
    offset = (seen - model.mean @ camera.transpose(0, 2, 1)).reshape(frames, 136, 1)
    given = (weight * by_weight).transpose(0, 2, 1)
    inner = given @ by_weight + np.eye(kinds) / EXPRESSION_STRENGTH**2
    both = given @ shared
    solved = np.linalg.solve(inner, np.concatenate([both, given @ offset], 2))
    weighted = (weight * shared).reshape(frames * 136, -1).T
    information = prior + weighted @ shared.reshape(frames * 136, -1)
    information -= both.reshape(frames * kinds, -1).T @ solved[..., :-1].reshape(frames * kinds, -1)
    evidence = weighted @ offset.ravel() - np.einsum("fka,fk->a", both, solved[..., -1])
    common = np.linalg.solve(information, evidence)
    strengths = solved[..., -1] - solved[..., :-1] @ common + common[204:]
    return model.mean + common[:204].reshape(68, 3), np.einsum("fk,kni->fni", strengths, model.expressions)


def _trust(camera: Float[np.ndarray, "f 2 3"]) -> Float[np.ndarray, "f 68"]:
    """Less for the jaw of a turned head: what is marked there is the outline, which slides over the cheek."""
    turned = np.degrees(np.arcsin(np.clip(camera[:, 0, 2], -1, 1)))
    trust = np.ones((len(camera), 68))
    trust[:, scheme.JAW] = np.maximum(np.exp(-((turned / OUTLINE_SLIDES) ** 2)), 0.02)[:, None]
    return trust


def _stance(face: Float[np.ndarray, "68 3"]) -> Callable[[np.ndarray], np.ndarray]:
    """What turns, moves and scales points on this face so that it has the average face's stance and size.

    All points count alike: by nose and eyes alone, a long nose would pass for a head that looks down.
    """
    mean = face_model().mean
    middle, target = face.mean(0), mean.mean(0)
    centred, wanted = face - middle, mean - target
    left, _, right = np.linalg.svd(wanted.T @ centred)
    left[:, 2] *= np.sign(np.linalg.det(left @ right))
    turn = (left @ right).T
    size = np.sqrt((wanted[:, :2] ** 2).sum() / ((centred @ turn)[:, :2] ** 2).sum())
    return lambda points: size * (points - middle) @ turn + target


def _dot(
    a: Float[np.ndarray, "t n d"], b: Float[np.ndarray, "t n d"], weights: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " t"]:
    return np.einsum("tni,tni,n->t", a, b, weights)
