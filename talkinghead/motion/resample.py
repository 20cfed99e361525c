"""A Motion cut, or brought to another frame rate."""

from collections.abc import Callable
from dataclasses import fields, replace
from fractions import Fraction
from typing import Any

import numpy as np

from talkinghead.motion.motion import Motion


def cut(motion: Motion, start: int, stop: int) -> Motion:
    """Frames `start` up to `stop`.

    Raises:
        ValueError: if there are no such frames.
    """
    if not 0 <= start < stop <= len(motion):
        raise ValueError(f"frames {start} to {stop} of {len(motion)}")
    return _changed(motion, lambda array: array[start:stop])


def at_rate(motion: Motion, fps: Fraction) -> Motion:
    """The same movement at another rate, linear between frames; frame 0 stays at time 0.

    Args:
        motion: what moves.
        fps: frames a second wanted.

    Raises:
        ValueError: if fps is not above 0.
    """
    if fps <= 0:
        raise ValueError(f"fps is {fps}; it must be above 0")
    if fps == motion.fps or not len(motion):
        return replace(motion, fps=fps)
    count = int((len(motion) - 1) / motion.fps * fps) + 1
    position = np.arange(count) * float(motion.fps / fps)
    before = np.minimum(position.astype(int), len(motion) - 1)
    after = np.minimum(before + 1, len(motion) - 1)
    share = (position - before).astype(np.float32)

    def between(array: np.ndarray) -> np.ndarray:
        part = share.reshape(-1, *[1] * (array.ndim - 1))
        return (array[before] * (1 - part) + array[after] * part).astype(np.float32)

    return replace(_changed(motion, between), fps=fps)


def _changed(motion: Motion, change: Callable[[np.ndarray], np.ndarray]) -> Motion:
    """The motion with each of its arrays over time changed."""
    arrays: dict[str, Any] = {
        one.name: change(getattr(motion, one.name))
        for one in fields(motion)
        if one.name != "topology" and isinstance(getattr(motion, one.name), np.ndarray)
    }
    return replace(motion, **arrays)
