"""Cutting a motion and changing its rate."""

from fractions import Fraction

import numpy as np
import pytest

from talkinghead.motion.motion import Motion
from talkinghead.motion.resample import at_rate, cut


def ramp(frames: int = 31, fps: Fraction = Fraction(30)) -> Motion:
    """A motion whose values say when they are: all equal the seconds."""
    seconds = (np.arange(frames) / float(fps)).astype(np.float32)
    return Motion(
        np.broadcast_to(seconds[:, None, None], (frames, 68, 2)).copy(),
        np.ones(frames, np.float32),
        fps,
        pose=np.stack([seconds] * 3, 1),
        blendshapes=seconds[:, None],
        blendshape_names=("jawOpen",),
        vertices=np.zeros((frames, 4, 3), np.float32),
        topology=np.array([[0, 1, 2]]),
    )


def test_another_rate_keeps_the_times():
    for fps in (Fraction(60), Fraction(25), Fraction(30000, 1001)):
        moved = at_rate(ramp(), fps)
        assert moved.fps == fps
        assert np.allclose(moved.pose[:, 0], np.arange(len(moved)) / float(fps), atol=1e-6)
        assert np.allclose(moved.landmarks[:, 3, 1], moved.pose[:, 0], atol=1e-6)
        assert abs(len(moved) / float(fps) - 1) < 0.05
        assert moved.topology is not None and moved.vertices.shape == (len(moved), 4, 3)


def test_the_same_rate_is_the_same_motion():
    motion = ramp()
    assert np.array_equal(at_rate(motion, motion.fps).landmarks, motion.landmarks)


def test_a_rate_must_be_above_zero():
    with pytest.raises(ValueError, match="above 0"):
        at_rate(ramp(), Fraction(0))


def test_a_cut_is_the_frames_between():
    part = cut(ramp(), 3, 10)
    assert len(part) == 7
    assert np.allclose(part.pose[:, 0] * 30, np.arange(3, 10), atol=1e-5)
    for start, stop in ((5, 5), (-1, 3), (0, 32)):
        with pytest.raises(ValueError, match="of 31"):
            cut(ramp(), start, stop)
