"""How strongly each part of a face takes part in a movement."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from talkinghead.errors import UserError
from talkinghead.face import landmarks as scheme
from talkinghead.rig.head_pose import Pose

MOST = 3.0


@dataclass(frozen=True)
class Strength:
    """Factors of a movement: 1 leaves a part as it moves, 0 holds it still, 2 moves it twice as far."""

    head: float = 1.0
    """How far the head turns and moves away from how it is held in the middle of the movement."""
    mouth: float = 1.0
    """Mouth and jaw."""
    eyes: float = 1.0
    """Lids; at 0 they stay open."""
    brows: float = 1.0

    @classmethod
    def parse(cls, strength: str | None, only: str | None = None) -> "Strength":
        """What --strength ("1.2" for the whole face, or "head=.8,mouth=1.2") and --only ("mouth,eyes") say.

        Raises:
            UserError: if a part does not exist, or a factor is no number within 0 and 3.
        """
        parts = [one.name for one in fields(cls)]
        chosen = dict.fromkeys(parts, 1.0)
        if only is not None:
            names = [name.strip() for name in only.split(",")]
            for name in names:
                _refuse_unknown("--only", only, name, parts)
            chosen = {name: float(name in names) for name in parts}
        for entry in (strength or "").split(",") if strength is not None else ():
            name, _, factor = entry.rpartition("=")
            if name.strip():
                _refuse_unknown("--strength", str(strength), name.strip(), parts)
            elif "=" in entry or "," in str(strength):
                raise UserError(f"--strength is {strength!r}; give a number, or parts like head=0.8,mouth=1.2.")
            for part in [name.strip()] if name.strip() else parts[1:]:
                chosen[part] = _factor(str(strength), factor) * (chosen[part] > 0)
        return cls(**chosen)

    @property
    def changes(self) -> bool:
        """Whether anything moves otherwise than before."""
        return self != UNCHANGED

    def face(self, points: Float[np.ndarray, "t 68 3"], rest: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "t 68 3"]:
        """Points of a face that looks ahead, moved away from its rest as far as each part is to move."""
        return rest + self._factors() * (points - rest)

    def pose(self, pose: Pose, middle: Pose) -> Pose:
        """Poses nearer to, or farther from, the one in the middle."""
        if self.head == 1:
            return pose
        about = Rotation.from_matrix(middle.rotation[0])
        turned = (Rotation.from_matrix(pose.rotation) * about.inv()).as_rotvec() * self.head
        return Pose(
            (Rotation.from_rotvec(turned) * about).as_matrix(),
            middle.scale[0] * (pose.scale / middle.scale[0]) ** self.head,
            middle.position[0] + self.head * (pose.position - middle.position[0]),
        )

    def _factors(self) -> Float[np.ndarray, "68 1"]:
        factors = np.ones((68, 1))
        factors[scheme.OUTER_LIPS + scheme.INNER_LIPS] = self.mouth
        factors[scheme.JAW, 0] = 1 + (self.mouth - 1) * np.interp(np.arange(17), [2, 5, 11, 14], [0, 1, 1, 0])
        factors[scheme.RIGHT_EYE + scheme.LEFT_EYE] = self.eyes
        factors[scheme.RIGHT_BROW + scheme.LEFT_BROW] = self.brows
        return factors


UNCHANGED = Strength()
"""Everything moves as it does."""


def middle_of(pose: Pose) -> Pose:
    """How a head is held in the middle of its movement: mean turn, median size and place."""
    turn = Rotation.from_matrix(pose.rotation).mean().as_matrix()
    return Pose(turn[None], np.median(pose.scale)[None], np.median(pose.position, 0)[None])


def _refuse_unknown(option: str, value: str, name: str, parts: list[str]) -> None:
    if name not in parts:
        raise UserError(f"{option} is {value!r}; {name!r} is none of {', '.join(parts)}.")


def _factor(value: str, text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = float("nan")
    if not 0 <= factor <= MOST:
        raise UserError(f"--strength is {value!r}; give factors from 0 to {MOST:g}, like head=0.8,mouth=1.2.")
    return factor
