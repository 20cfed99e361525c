"""Who and what is evaluated: videos, source frames, held-out frames, drivers. Everything follows from a seed.

References:
    Zakharov et al. 2019, section 4: T in {1, 8, 32} frames of a video, 32 held-out frames of the same video, people
    unseen in training.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from talkinghead.errors import UserError
from talkinghead.face.frames import evenly_spread

FEWEST_TARGETS = 8
"""A video that leaves fewer held-out frames is left out."""

RUN, SHORTEST_RUN = 16, 6
"""Consecutive frames in which shake is measured, at most and at least."""

REPEAT = 0.4
"""Mean difference, of 256 values, up to which two frames shrunk to 32 px are one frame seen twice: encoded again it
differs by 0.07, and frames of people who sit still by 0.7 or more."""


@dataclass(frozen=True)
class Protocol:
    """How frames are chosen.

    Raises:
        UserError: if a number makes no sense.
    """

    shots: tuple[int, ...] = (1, 8, 32)
    """T: how many source frames, one evaluation each. The frames of a smaller T are among those of a larger one."""
    held_out: int = 32
    """Target frames of each video; a short video gives fewer."""
    block: float = 1.0
    """Seconds. A video is cut into blocks; half of them, drawn by lot, give the sources, the others the targets."""
    gap: float = 0.2
    """Seconds between a target and the nearest frame that a source may come from: neighbours are almost alike."""
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.shots or min(self.shots) < 1 or list(self.shots) != sorted(set(self.shots)):
            raise UserError(f"shots are {list(self.shots)}; give different numbers from 1 up, smallest first")
        if self.held_out < FEWEST_TARGETS:
            raise UserError(f"held_out is {self.held_out}; it must be at least {FEWEST_TARGETS}")
        if self.block <= 0 or self.gap < 0:
            raise UserError(f"block is {self.block} s and gap {self.gap} s; block must be above 0, gap 0 or more")


@dataclass(frozen=True)
class Split:
    """Frames of one track."""

    pool: Int[np.ndarray, " k"]
    """Frames that may be sources, in the order in which they are taken: T sources are the first T."""
    targets: Int[np.ndarray, " n"]
    """Held-out frames, in order of time."""
    run: Int[np.ndarray, " r"] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Frames away from the sources that follow each other, to see how much a result shakes."""


def split_frames(
    times: Float[np.ndarray, " t"], name: str, protocol: Protocol, *, pictures: UInt8[np.ndarray, "t n"] | None = None
) -> Split:
    """Source and held-out frames of a track; the same for the same name and seed.

    Args:
        times: seconds of each frame, rising.
        name: of the video; each video has its own lot.
        protocol: how.
        pictures: the frames, shrunk to a few pixels. Clips that are played to and fro show the same frame again: no
            target is among the sources' pictures.
    """
    random = np.random.default_rng([protocol.seed, zlib.crc32(name.encode())])
    count = len(times)
    step = float(np.median(np.diff(times))) if count > 1 else protocol.block
    blocks = max(2, round(count * max(step, 1e-6) / protocol.block))
    block = np.arange(count) * blocks // max(count, 1)
    taken = np.isin(block, random.permutation(blocks)[: blocks // 2])
    pool = np.flatnonzero(taken)
    others = np.flatnonzero(~taken)
    away = np.abs(times[others, None] - times[pool]).min(1, initial=np.inf) if len(others) else np.zeros(0)
    fresh = np.array([pictures is None or _is_new(pictures[index], pictures[pool]) for index in others], bool)
    free = others[(away >= protocol.gap) & fresh]
    run = free[longest_run(times[free], most=RUN)]
    targets = free[evenly_spread(len(free), protocol.held_out)]
    return Split(random.permutation(pool), targets, run if len(run) >= SHORTEST_RUN else run[:0])


def _is_new(picture: UInt8[np.ndarray, " n"], others: UInt8[np.ndarray, "k n"]) -> bool:
    """Whether the picture differs from all others."""
    apart = np.abs(others.astype(np.float32) - picture).mean(1)
    return bool(apart.min(initial=np.inf) > REPEAT)


def one_track_per_video(about: Sequence[dict[str, Any]]) -> list[int]:
    """Index of the longest track of each video, sorted by person and video; `about` lists the tracks of the shards."""
    longest: dict[tuple[str, str], int] = {}
    for index, entry in enumerate(about):
        key = entry["identity"], entry["video"]
        if key not in longest or entry["frames"] > about[longest[key]]["frames"]:
            longest[key] = index
    return [longest[key] for key in sorted(longest)]


def strangers(identities: Sequence[str]) -> list[int | None]:
    """For each video the next one that shows somebody else, to drive it; None where there is nobody else."""
    count = len(identities)
    found: list[int | None] = []
    for index, identity in enumerate(identities):
        others = ((index + step) % count for step in range(1, count))
        found.append(next((other for other in others if identities[other] != identity), None))
    return found


def frame_rate(times: Float[np.ndarray, " t"]) -> Fraction:
    """Frames a second of two frames or more."""
    return Fraction(1 / float(np.median(np.diff(times)))).limit_denominator(1001)


def longest_run(times: Float[np.ndarray, " t"], *, most: int) -> Int[np.ndarray, " n"]:
    """The longest stretch of frames without a hole in time, cut to `most` frames."""
    if len(times) < 2:
        return np.arange(len(times))
    steps = np.diff(times)
    starts = np.concatenate([[0], np.flatnonzero(steps > 1.5 * np.median(steps)) + 1, [len(times)]])
    best = int(np.diff(starts).argmax())
    return np.arange(starts[best], starts[best + 1])[:most]
