"""Batches rendered side by side: the order of frames, what stops them, and where they compute."""

import threading
import time

import numpy as np
import pytest
import torch

from talkinghead.portrait.avatar import animation
from talkinghead.portrait.avatar.animation import Animation

LANDMARKS = np.arange(23, dtype=np.float32)[:, None, None] * np.ones((1, 68, 2), np.float32)


def numbered(landmarks, states):
    """Frames whose pixels are their numbers; earlier batches take longer, so that later ones are done first."""
    time.sleep(0.02 if int(landmarks[0, 0, 0]) % 8 == 0 else 0)
    return landmarks[:, :1, :1, None].repeat(3, axis=3).astype(np.uint8)


@pytest.fixture
def three_cores(monkeypatch):
    monkeypatch.setattr(animation, "cores_for", lambda batches: 3)


def numbers(frames):
    return [int(frame[0, 0, 0]) for frame in frames]


def test_frames_come_in_order_and_each_once(three_cores):
    moving = Animation(LANDMARKS, None, 4, numbered)
    assert numbers(moving) == list(range(23))
    assert numbers(moving) == list(range(23))


def test_batches_render_at_once_each_on_one_core(monkeypatch):
    def render(landmarks, states):
        if landmarks[0, 0, 0] < 12:
            together.wait()  # breaks unless three batches are in flight
        threads.add(torch.get_num_threads())
        return numbered(landmarks, states)

    together, threads, before = threading.Barrier(3, timeout=20), set(), torch.get_num_threads()
    monkeypatch.setattr(animation, "cores_for", lambda batches: 3)
    assert numbers(Animation(LANDMARKS, None, 4, render)) == list(range(23))
    assert threads == {1}
    assert torch.get_num_threads() == before


def test_no_more_is_rendered_once_nobody_looks(three_cores):
    rendered = []

    def render(landmarks, states):
        rendered.append(int(landmarks[0, 0, 0]))
        return numbered(landmarks, states)

    frames = iter(Animation(LANDMARKS, None, 1, render))
    next(frames)
    frames.close()
    assert len(rendered) <= 5
    assert not [one for one in threading.enumerate() if one.name.startswith("render")]


def test_what_a_batch_raises_is_raised(three_cores):
    def render(landmarks, states):
        if landmarks[0, 0, 0] == 8:
            raise ValueError("frame 8")
        return numbered(landmarks, states)

    frames = iter(Animation(LANDMARKS, None, 4, render))
    assert [int(next(frames)[0, 0, 0]) for _ in range(8)] == list(range(8))
    with pytest.raises(ValueError, match="frame 8"):
        next(frames)


def test_one_core_for_one_batch_and_four_at_most(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    assert [animation.cores_for(batches) for batches in (1, 3, 100)] == [1, 3, 4]
