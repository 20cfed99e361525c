"""A person who moves: the background chosen, turns limited, frames rendered as they are taken."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from talkinghead.motion.turn_limit import TurnLimit
from talkinghead.rig.fitting.solver import State

Render = Callable[[Float[np.ndarray, "b 68 2"], State | None], UInt8[np.ndarray, "b h w 3"]]

STEADY = 1.5
"""Frames over which the pose of the head is averaged: landmarks tremble, and hair would tremble with them."""
MOST_SIDE_BY_SIDE = 4
"""Batches of frames that are rendered at once: each is held in memory."""


def cores_for(batches: int) -> int:
    """How many batches are rendered at once: as many as PyTorch may use cores, each of them on one."""
    return min(torch.get_num_threads(), batches, MOST_SIDE_BY_SIDE)


@dataclass(frozen=True)
class Animation:
    """Frames of a person; they are rendered a batch at a time, each time that they are iterated over.

    Batches are rendered side by side, each on one core: what moves photos does not spread over cores by itself.
    """

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
        parts = [slice(first, first + self.batch_size) for first in range(0, len(self), self.batch_size)]
        cores = cores_for(len(parts))
        if cores < 2:
            for part in parts:
                yield from self._rendered(part)
            return
        pool = ThreadPoolExecutor(cores, "render", partial(torch.set_num_threads, 1))
        coming: deque[Future[UInt8[np.ndarray, "b h w 3"]]] = deque()
        try:
            for part in parts:
                coming.append(pool.submit(self._rendered, part))
                if len(coming) > cores:
                    yield from coming.popleft().result()
            while coming:
                yield from coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _rendered(self, part: slice) -> UInt8[np.ndarray, "b h w 3"]:
        return self.render(self.landmarks[part], None if self.states is None else self.states.part(part))


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
