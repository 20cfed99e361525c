"""Expression weights alone -> a Motion: the rig's head, seen from the front and held still or as is given."""

from fractions import Fraction

import numpy as np
from jaxtyping import Float, Float32

from talkinghead.face.crop import LIFT, MARGIN
from talkinghead.motion.motion import Motion
from talkinghead.rig.head_pose import Pose
from talkinghead.rig.rig import Rig, rotation_matrix


def motion_of_weights(
    weights: Float[np.ndarray, "t k"], fps: Fraction, rig: Rig, *, pose: Float32[np.ndarray, "t 3"] | None = None
) -> Motion:
    """A motion with the blendshapes, the rig's landmarks framed as `prepare` frames a face, and a pose.

    Args:
        weights: the rig's expressions, 0..1.
        fps: frames a second.
        rig: whose expressions they are.
        pose: yaw, pitch, roll, radians; None holds the head still.
    """
    weights = np.clip(weights, 0, 1).astype(np.float32)
    sparse = rig.at_landmarks()
    rest = sparse.neutral[:, :2] * [1, -1]
    low, high = rest.min(0), rest.max(0)
    scale = 1 / (MARGIN * (high - low).max())
    centre = (low + high) / 2 - [0, LIFT * (high - low)[1]]
    frames = len(weights)
    pose = np.zeros((frames, 3), np.float32) if pose is None else pose
    held = Pose(rotation_matrix(pose), np.full(frames, scale), np.tile(0.5 - scale * centre, (frames, 1)))
    return Motion(
        held.project(sparse.vertices(weights)).astype(np.float32),
        np.ones(frames, np.float32),
        fps,
        pose=pose,
        blendshapes=weights,
        blendshape_names=rig.expression_names,
    )
