"""What is wanted of a rig's vertices -> the expression weights that make it: a predicted mesh, closed eyes."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32
from scipy.optimize import lsq_linear

from talkinghead.rig.fitting.solver import bounded
from talkinghead.rig.rig import LOWER_LID, UPPER_LID, Rig

NOISE = 2e-4
"""Metres: standard deviation of a vertex around what the expressions can make."""

SPARSE = 1.0
"""How much an expression costs: of two that move the face alike, the weaker is left out."""

BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")

RELUCTANCE = 1e-3
"""Metres of landmark error that a weight of 1 must be worth, where eyes are shut by whatever expressions there are."""

ROUNDS = 6
_BLOCK = 512


def weights_of_vertices(vertices: Float[np.ndarray, "t v 3"], rig: Rig) -> Float32[np.ndarray, "t k"]:
    """The weights in 0..1 whose vertices lie nearest, frame by frame.

    Args:
        vertices: metres, the head facing forward.
        rig: whose vertices they are.

    Raises:
        ValueError: if there are not as many vertices as the rig has.
    """
    if vertices.shape[1] != len(rig.neutral):
        raise ValueError(f"{vertices.shape[1]} vertices, rig {rig.name} has {len(rig.neutral)}")
    expressions = rig.expressions.reshape(len(rig.expressions), -1).astype(np.float64)
    gram = expressions @ expressions.T / NOISE**2
    found = np.zeros((len(vertices), len(expressions)))
    for first in range(0, len(vertices), _BLOCK):
        part = slice(first, first + _BLOCK)
        offsets = (vertices[part] - rig.neutral).reshape(len(vertices[part]), -1)
        pull = offsets @ expressions.T / NOISE**2 - SPARSE
        matrix = np.broadcast_to(gram, (len(pull), *gram.shape))
        for _ in range(ROUNDS):
            found[part] = bounded(matrix, pull, found[part], walk=np.zeros(len(gram)))
    return found.astype(np.float32)


@lru_cache(maxsize=8)
def closed_eyes(rig: Rig) -> Float32[np.ndarray, " k"]:
    """Weights that shut both eyes: those of eyeBlink, or where there is none (FLAME), of the expressions that together
    bring the upper lids' landmarks to the lower ones and move the others least. All 0 if they cannot halve the gap."""
    weights = np.array([name in BLINKS for name in rig.expression_names], np.float32)
    if weights.any():
        return weights
    points = rig.landmarks_3d(rig.neutral[None])[0].astype(np.float64)
    wanted = np.zeros_like(points)
    wanted[UPPER_LID] = points[LOWER_LID] - points[UPPER_LID]
    moves = rig.landmarks_3d(rig.expressions).astype(np.float64).reshape(len(weights), -1).T
    rows = np.concatenate([moves, RELUCTANCE * np.eye(len(weights))])
    found = lsq_linear(rows, np.concatenate([wanted.ravel(), np.zeros(len(weights))]), (0, 1)).x.astype(np.float32)
    shut, open_ = (rig.eye_opening(rig.vertices(one[None]))[0] for one in (found, 0 * found))
    return found if shut < open_ / 2 else 0 * found
