"""A person who moves: the background chosen, turns limited, frames rendered as they are taken."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8

from talkinghead.motion.turn_limit import TurnLimit
from talkinghead.rig.fitting.solver import State

Render = Callable[[Float[np.ndarray, "b 68 2"], State | None], UInt8[np.ndarray, "b h w 3"]]

STEADY = 1.5
"""Frames over which the pose of the head is averaged: landmarks tremble, and hair would tremble with them."""


@dataclass(frozen=True)
class Animation:
    """Frames of a person; they are rendered a batch at a time, each time that they are iterated over."""

    landmarks: Float32[np.ndarray, "t 68 2"]
    """What is drawn: the person's, turned no farther than the photos allow."""
    background: int | None
    """Index of the photo that hair and background are from; None if no photo shows through."""
    batch_size: int
    """Frames rendered at once."""
    render: Render
    """Landmarks, and pose and expression if they are known, to frames."""
    states: State | None = None
    """Pose and expression of each frame; None where no head in three dimensions is moved."""

    def __len__(self) -> int:
        return len(self.landmarks)

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        for first in range(0, len(self), self.batch_size):
            part = slice(first, first + self.batch_size)
            yield from self.render(self.landmarks[part], None if self.states is None else self.states.part(part))


@dataclass(frozen=True)
class Animator:
    """A person before a background that stays, moved a few frames at a time: what live use keeps between them.

    `Avatar.animator` makes one.
    """

    background: int | None
    """As of `Animation`."""
    limit: TurnLimit | None
    """How far the head turns; None for as far as it is asked to."""
    batch_size: int
    """Frames rendered at once."""
    render: Render
    """As of `Animation`."""
    fit: Callable[[Float[np.ndarray, "t 68 2"]], State] | None = None
    """Pose and expression of frames in no order; None if a head in three dimensions is not moved."""

    def animate(self, landmarks: Float[np.ndarray, "t 68 2"]) -> Animation:
        """The next frames: of the person's own landmarks, fractions of the crop's side."""
        limited = landmarks.astype(np.float32) if self.limit is None else self.limit(landmarks)
        states = None if self.fit is None or not len(limited) else self.fit(limited).steadied(STEADY)
        return Animation(limited, self.background, self.batch_size, self.render, states)
