"""How far heads are apart, by the rig: the turn between photo and target, expression and pose of result and truth."""

import numpy as np
from jaxtyping import Float, Float32

from talkinghead.portrait.warping.head_mesh import Person
from talkinghead.rig.fitting.solver import State

AED, APD = "aed_rig", "apd_rig"


class RigDistance:
    """Compares landmarks of one person by the rig fitted to them.

    Args:
        landmarks: of frames of the person, any pose and expression; they say whose head it is.

    References:
        Ren et al. 2021, PIRenderer: AED and APD, there by the coefficients of a 3DMM that a network finds.
    """

    def __init__(self, landmarks: Float[np.ndarray, "f 68 2"]):
        self.person = Person.fitted(landmarks)

    def turns(
        self, photos: Float[np.ndarray, "k 68 2"], targets: Float[np.ndarray, "n 68 2"]
    ) -> Float32[np.ndarray, " n"]:
        """Degrees between where each target's head faces and where the nearest photo's does; how it leans is free."""
        known, wanted = (self.person.states(one).rotation[:, :, 2] for one in (photos, targets))
        return np.degrees(np.arccos(np.clip(wanted @ known.T, -1, 1))).min(1).astype(np.float32)

    def distances(
        self, found: Float[np.ndarray, "n 68 2"], truth: Float[np.ndarray, "n 68 2"]
    ) -> dict[str, Float32[np.ndarray, " n"]]:
        """`AED` and `APD` of each frame; nan where a face was not found in either."""
        seen = np.isfinite(found).all((1, 2)) & np.isfinite(truth).all((1, 2))
        measured = {name: np.full(len(found), np.nan, np.float32) for name in (AED, APD)}
        if seen.any():
            one, other = (self.person.states(landmarks[seen]) for landmarks in (found, truth))
            measured[AED][seen] = np.linalg.norm(one.weights - other.weights, axis=1)
            measured[APD][seen] = _angles(one, other)
        return measured


def _angles(one: State, other: State) -> Float[np.ndarray, " n"]:
    """Degrees of the rotation from each pose to the other."""
    trace = np.einsum("nij,nij->n", one.rotation, other.rotation)
    return np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))
