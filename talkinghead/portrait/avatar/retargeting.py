"""A motion retargeted to a person: the landmarks that are drawn, from those of whoever moves."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32

from talkinghead.errors import UserError
from talkinghead.face.frames import Missing, fill_gaps
from talkinghead.face.smooth import one_euro
from talkinghead.motion.motion import Motion
from talkinghead.motion.retarget import RetargetConfig, retarget


@dataclass(frozen=True)
class ReenactmentConfig(RetargetConfig):
    """How a person is moved by a motion."""

    smooth: float = 1.0
    """Strength of the One-Euro filter; 0 is off."""
    turn_limit: float = 30.0
    """Degrees that the head turns away from the nearest photo at most, 1 to 180; 180 limits nothing."""
    missing: Missing = "hold"
    """What to do where the driver's face is not seen: hold the last, fade over, or fail."""
    view: Literal["whole", "head"] = "whole"
    """What is shown: the whole picture where the avatar holds one, or the square around the head."""
    batch_size: int = 8
    """Frames rendered at once."""


DEFAULTS = ReenactmentConfig()


def retarget_motion(
    motion: Motion, source_landmarks: Float32[np.ndarray, "n 68 2"], config: ReenactmentConfig = DEFAULTS
) -> Float32[np.ndarray, "t 68 2"]:
    """The landmarks that make the person of the source landmarks move as the motion does, however far it turns.

    Raises:
        UserError: if a face is missing and may not be, or the reference is not in the motion.
    """
    seen = motion.seen
    name = motion.video or "the motion"
    if config.missing == "fail" and not seen.all():
        first = float(int(seen.argmin()) / motion.fps)
        raise UserError(
            f"{name}: {int((~seen).sum())} of {len(seen)} frames show no face, the first at {first:.2f} s; "
            "choose --missing hold or --missing fade."
        )
    if not seen.any():
        raise UserError(f"{name}: no frame shows a face; give a driver in which one is seen.")
    if config.reference is not None and not 0 <= config.reference < len(motion):
        raise UserError(f"--reference is {config.reference}; {name} has the frames 0 to {len(motion) - 1}.")
    fps = float(motion.fps)
    return retarget(  # nested, so that what is done with is let go: each array is as long as the motion
        one_euro(fill_gaps(motion.landmarks, seen, fps=fps, how=config.missing), fps, strength=config.smooth),
        source_landmarks,
        config,
        confidence=seen.astype(np.float32),
    )
