"""How far a head turns away from the photos that it is drawn from, limited."""

import numpy as np
from jaxtyping import Float, Float32
from scipy.spatial.transform import Rotation

from talkinghead.motion.retarget import blocks, hold, study
from talkinghead.rig.head_pose import Pose

_UNDECIDED = 20.0
"""Degrees: of two photos whose angles differ by less, both draw a turned head back."""


class TurnLimit:
    """Limits how far a person's head turns away from all photos.

    A photo shows one side of a head: moved to the other, nose and cheek fold. Up to two thirds of the limit nothing
    changes, beyond it a turn counts less and less. How a head leans does not count. Each frame is limited for itself.

    Args:
        source: landmarks of the photos.
        most: degrees away from the nearest photo; between photos of two sides, where there is no way back, it may be
            more.

    Raises:
        ValueError: if that is not above 0.
    """

    def __init__(self, source: Float[np.ndarray, "n 68 2"], *, most: float):
        if not most > 0:
            raise ValueError(f"most is {most}; a head must be able to turn by more than 0 degrees")
        self.most, self._person = most, study(source)
        self._known = hold(self._person, source).pose.rotation[:, :, 2]

    def __call__(self, landmarks: Float[np.ndarray, "t 68 2"]) -> Float32[np.ndarray, "t 68 2"]:
        """The person's landmarks, turned no farther."""
        kept = np.empty(landmarks.shape, np.float32)
        for block in blocks(len(landmarks)):
            held = hold(self._person, landmarks[block])
            facing = held.pose.rotation[:, :, 2]
            angles = np.degrees(np.arccos(np.clip(facing @ self._known.T, -1, 1)))
            away, free = angles.min(1), self.most * 2 / 3
            beyond = np.maximum(away - free, 0)
            excess = beyond - (self.most - free) * (1 - np.exp(-beyond / (self.most - free)))
            closeness = np.exp((away[:, None] - angles) / _UNDECIDED)
            back = _turn_towards(facing, closeness @ self._known, np.radians(excess))
            pose = Pose(back @ held.pose.rotation, held.pose.scale, held.pose.position)
            kept[block] = np.where(excess[:, None, None] > 0, pose.project(held.points), landmarks[block])
        return kept


def _turn_towards(
    facing: Float[np.ndarray, "t 3"], wanted: Float[np.ndarray, "t 3"], angles: Float[np.ndarray, " t"]
) -> Float[np.ndarray, "t 3 3"]:
    """Rotations by these angles, and no farther than there, from one direction towards another."""
    axes = np.cross(facing, wanted)
    sines = np.linalg.norm(axes, axis=-1)
    between = np.arctan2(sines, (facing * wanted).sum(-1))
    turns = axes / np.maximum(sines, 1e-9)[:, None] * np.minimum(angles, between)[:, None]
    return Rotation.from_rotvec(turns).as_matrix()
