"""Expression weights alone -> a Motion: the rig's head, held still and seen from the front."""

from fractions import Fraction

import numpy as np
from jaxtyping import Float

from talkinghead.face.crop import LIFT, MARGIN
from talkinghead.face.rig import Rig, project
from talkinghead.motion import Motion


def motion_of_weights(weights: Float[np.ndarray, "t k"], fps: Fraction, rig: Rig) -> Motion:
    """A motion with the blendshapes, the rig's landmarks framed as `prepare` frames a face, and a pose of zero.

    Args:
        weights: the rig's expressions, 0..1.
        fps: frames a second.
        rig: whose expressions they are.
    """
    weights = np.clip(weights, 0, 1).astype(np.float32)
    sparse = rig.at_landmarks()
    rest = sparse.neutral[:, :2] * [1, -1]
    low, high = rest.min(0), rest.max(0)
    scale = 1 / (MARGIN * (high - low).max())
    centre = (low + high) / 2 - [0, LIFT * (high - low)[1]]
    frames, still = len(weights), np.zeros((len(weights), 3), np.float32)
    landmarks = project(
        sparse.vertices(weights), still, np.full(frames, scale), np.tile(0.5 - scale * centre, (frames, 1))
    )
    return Motion(
        landmarks.astype(np.float32),
        np.ones(frames, np.float32),
        fps,
        pose=still,
        blendshapes=weights,
        blendshape_names=rig.expression_names,
    )
