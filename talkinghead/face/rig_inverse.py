"""Vertices of a rig -> the expression weights that make them, for models that predict vertices alone."""

import numpy as np
from jaxtyping import Float, Float32

from talkinghead.face.rig import Rig
from talkinghead.face.rig_solver import bounded

NOISE = 2e-4
"""Metres: standard deviation of a vertex around what the expressions can make."""

SPARSE = 1.0
"""How much an expression costs: of two that move the face alike, the weaker is left out."""

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
