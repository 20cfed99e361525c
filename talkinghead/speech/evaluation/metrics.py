"""How far a predicted face is from the true one."""

import numpy as np
from jaxtyping import Float, Int

from talkinghead.face.frames import correlation
from talkinghead.rig.rig import Rig

Vertices = Float[np.ndarray, "t v 3"]


def lip_vertex_error(predicted: Vertices, truth: Vertices, lips: Int[np.ndarray, " n"]) -> float:
    """LVE: the largest squared distance of a lip vertex in each frame, averaged, square metres.

    References:
        Richard et al. 2021 (MeshTalk); Xing et al. 2023 (CodeTalker), whose published numbers are these, though they
        are printed as millimetres.
    """
    return float(((predicted[:, lips] - truth[:, lips]) ** 2).sum(-1).max(-1).mean())


def lip_distance(predicted: Vertices, truth: Vertices, lips: Int[np.ndarray, " n"]) -> float:
    """The largest distance of a lip vertex in each frame, averaged, metres."""
    return float(np.linalg.norm(predicted[:, lips] - truth[:, lips], axis=-1).max(-1).mean())


def upper_face_deviation(
    predicted: Vertices, truth: Vertices, template: Float[np.ndarray, "v 3"], upper: Int[np.ndarray, " n"]
) -> float:
    """FDD: how much less (+) or more (-) the upper face moves than in truth, square metres.

    Of each vertex, the standard deviation over time of its squared distance from the template; averaged over vertices.

    References:
        Xing et al. 2023, section 4.2.
    """

    def dynamics(vertices: Vertices) -> float:
        return float(((vertices[:, upper] - template[upper]) ** 2).sum(-1).std(0).mean())

    return dynamics(truth) - dynamics(predicted)


def mouth_opening_difference(predicted: Float[np.ndarray, " t"], truth: Float[np.ndarray, " t"]) -> float:
    """MOD: mean absolute difference of the mouth's opening, in the unit of the openings."""
    return float(np.abs(predicted - truth).mean())


def opening_spread(predicted: Float[np.ndarray, " t"], truth: Float[np.ndarray, " t"]) -> float:
    """How much the mouth opens and shuts over how much it does in truth: 1 as much, 0 not; NaN if truth is still."""
    spread = truth.std()
    return float(predicted.std() / spread) if spread > 1e-9 else float("nan")


def r_squared(predicted: Float[np.ndarray, "t ..."], truth: Float[np.ndarray, "t ..."]) -> float:
    """Share of the variance of truth that is predicted: 1 is perfect, 0 is no better than the true mean."""
    spread = ((truth - truth.mean(0)) ** 2).sum()
    return float(1 - ((predicted - truth) ** 2).sum() / spread) if spread > 0 else float("nan")


def rmse(predicted: Float[np.ndarray, "t ..."], truth: Float[np.ndarray, "t ..."]) -> float:
    """Root of the mean squared difference."""
    return float(np.sqrt(((predicted - truth) ** 2).mean()))


def velocity_correlation(predicted: Float[np.ndarray, " t"], truth: Float[np.ndarray, " t"]) -> float:
    """Pearson correlation of the changes from frame to frame; 0 where one does not move."""
    return correlation(np.diff(predicted), np.diff(truth)) if len(truth) > 2 else 0.0


def landmark_error(predicted: Vertices, truth: Vertices, rig: Rig) -> float:
    """Mean distance of the 68 landmarks, metres."""
    return float(np.linalg.norm(rig.landmarks_3d(predicted) - rig.landmarks_3d(truth), axis=-1).mean())
