"""A person's own resting face of 68 points, from landmarks of a few frames in any pose and with any expression.

Quicker than `person`, of linear steps alone, and in the places where landmark detectors mark a face: what retargeting
works with.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from talkinghead.face.alignment import nearest_rotation
from talkinghead.rig.files.own import average_face
from talkinghead.rig.head_pose import Pose, estimate_pose, outline_trust, rigid_weights

EYES_APART = 0.08918
"""Of the average face, metres: what the figures below were chosen in."""

POINT_NOISE = 0.015 * EYES_APART
"""Standard deviation of a landmark around the model, metres."""

OWN_SHAPE = 0.02 * EYES_APART
"""Standard deviation of what is a person's own beyond the identity modes, metres."""

EXPRESSION_STRENGTH = 0.25
"""Standard deviation of an expression's weight."""

STRAY = 0.03 * EYES_APART
"""A frame whose landmarks lie further than this from the fitted face (root mean square, metres) counts for less."""

FOREIGN = 0.1 * EYES_APART
"""The same before anything is known about the person."""


def resting_face(landmarks: Float[np.ndarray, "f 68 2"], *, rounds: int = 3) -> Float[np.ndarray, "68 3"]:
    """A person's own face at rest, facing forward, metres, from some frames in any pose and with any expression.

    What the frames share is the person; what the expressions of the model explain is taken out. With few frames the
    answer leans to the average face. Its size and stance are the average face's.

    Args:
        landmarks: frames of one person, in any unit; more than about 30 add nothing but time.
        rounds: poses are estimated, then the face and all expressions together, this many times.
    """
    face, moved = average_face().neutral.astype(np.float64), np.zeros((len(landmarks), 68, 3))
    weights, usual = rigid_weights(), FOREIGN
    for _ in range(rounds):
        pose = estimate_pose(landmarks, face + moved, weights=weights)
        trust = outline_trust(pose.rotation[:, 0, 2])
        stray = (((landmarks - pose.project(face + moved)) / pose.scale[:, None, None]) ** 2).sum(-1)
        stray = (trust * stray).sum(1, keepdims=True) / trust.sum(1, keepdims=True)
        counted = trust * np.minimum(1, usual**2 / np.maximum(stray, 1e-14))
        face, moved = _face_and_expressions(landmarks, pose, counted)
        stance = _stance(face)
        face, moved = stance(face), stance(face + moved) - stance(face)
        weights, usual = np.full(68, 1 / 68), STRAY
    return face


def _face_and_expressions(
    landmarks: Float[np.ndarray, "f 68 2"], pose: Pose, trust: Float[np.ndarray, "f 68"]
) -> tuple[Float[np.ndarray, "68 3"], Float[np.ndarray, "f 68 3"]]:
    """The likeliest face and its offsets in each frame, where poses are known: one linear system.

    Frames of one occasion share an expression (a smile for the photographer, the set of the mouth of one who talks):
    there is one for all frames beside one for each. The latter are eliminated frame by frame (Schur complement).
    """
    model, frames = average_face(), len(landmarks)
    mean, expressions = model.neutral.astype(np.float64), model.expressions.astype(np.float64)
    kinds, modes = len(expressions), model.identity.astype(np.float64).reshape(-1, 204)
    prior = np.eye(204 + kinds) / EXPRESSION_STRENGTH**2
    prior[:204, :204] = np.linalg.inv(modes.T @ modes + OWN_SHAPE**2 * np.eye(204))
    camera = pose.camera
    by_weight = np.einsum("fij,knj->fnik", camera, expressions).reshape(frames, 136, kinds)
    by_face = np.einsum("fij,nm->fnimj", camera, np.eye(68)).reshape(frames, 136, 204)
    shared = np.concatenate([by_face, by_weight], 2)
    weight = (trust / POINT_NOISE**2).repeat(2, 1)[..., None]
    offset = ((landmarks - pose.project(mean)) / pose.scale[:, None, None]).reshape(frames, 136, 1)
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
    return mean + common[:204].reshape(68, 3), np.einsum("fk,kni->fni", strengths, expressions)


def _stance(face: Float[np.ndarray, "68 3"]) -> Callable[[np.ndarray], np.ndarray]:
    """What turns, moves and scales points on this face so that it has the average face's stance and size.

    All points count alike: by nose and eyes alone, a long nose would pass for a head that looks down.
    """
    mean = average_face().neutral.astype(np.float64)
    middle, target = face.mean(0), mean.mean(0)
    centred, wanted = face - middle, mean - target
    turn = nearest_rotation(wanted.T @ centred).T
    size = np.sqrt((wanted[:, :2] ** 2).sum() / ((centred @ turn)[:, :2] ** 2).sum())
    return lambda points: size * (points - middle) @ turn + target
