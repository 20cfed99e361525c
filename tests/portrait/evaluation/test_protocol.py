"""Which frames, videos and drivers an evaluation takes."""

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.portrait.evaluation.protocol import Protocol, longest_run, one_track_per_video, split_frames, strangers

TIMES = np.arange(150) / 12.5


def test_targets_lie_apart_from_every_source():
    split = split_frames(TIMES, "anna/00.mp4", Protocol(gap=0.3))
    assert len(split.targets) == 32
    assert np.abs(TIMES[split.targets, None] - TIMES[split.pool]).min() >= 0.3
    assert len(set(split.pool)) == len(split.pool) >= 32


def test_the_split_follows_from_name_and_seed_alone():
    first, again = (split_frames(TIMES, "anna/00.mp4", Protocol(shots=shots)) for shots in ((1, 8, 32), (4,)))
    assert np.array_equal(first.pool, again.pool)
    assert np.array_equal(first.targets, again.targets)
    others = [split_frames(TIMES, "ben/00.mp4", Protocol()), split_frames(TIMES, "anna/00.mp4", Protocol(seed=1))]
    assert not any(np.array_equal(first.pool, other.pool) for other in others)


def test_targets_are_in_order_and_as_many_as_wanted_or_there_are():
    assert len(split_frames(TIMES, "anna", Protocol(held_out=10)).targets) == 10
    short = split_frames(TIMES[:40], "anna", Protocol())
    assert 0 < len(short.targets) < 32
    assert (np.diff(short.targets) > 0).all()


def test_a_frame_seen_twice_is_no_target():
    rng = np.random.default_rng(0)
    once = rng.integers(0, 200, (75, 48), dtype=np.uint8)
    to_and_fro = np.concatenate([once, once[::-1]])
    assert (
        len(split_frames(TIMES, "anna", Protocol(), pictures=rng.integers(0, 200, (150, 48), dtype=np.uint8)).targets)
        == 32
    )
    split = split_frames(TIMES, "anna", Protocol(), pictures=to_and_fro)
    seen = {min(index, 149 - index) for index in split.pool}
    assert not seen & {min(index, 149 - index) for index in split.targets}


def test_a_single_frame_leaves_nothing_to_hold_out():
    assert len(split_frames(TIMES[:1], "anna", Protocol()).targets) <= 1
    assert len(split_frames(TIMES[:0], "anna", Protocol()).targets) == 0


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"shots": ()}, "shots"),
        ({"shots": (0, 8)}, "shots"),
        ({"shots": (8, 1)}, "smallest first"),
        ({"held_out": 2}, "held_out is 2"),
        ({"block": 0.0}, "block is 0.0"),
        ({"gap": -1.0}, "gap -1.0"),
    ],
)
def test_senseless_protocols_are_refused(settings, complaint):
    with pytest.raises(UserError, match=complaint):
        Protocol(**settings)


def test_the_longest_track_of_each_video_is_taken():
    about = [
        {"identity": "ben", "video": "ben/0.mp4", "frames": 9},
        {"identity": "anna", "video": "anna/0.mp4", "frames": 5},
        {"identity": "anna", "video": "anna/0.mp4", "frames": 8},
        {"identity": "anna", "video": "anna/1.mp4", "frames": 7},
    ]
    assert one_track_per_video(about) == [2, 3, 0]


def test_everyone_is_driven_by_somebody_else():
    assert strangers(["anna", "anna", "ben", "carl"]) == [2, 2, 3, 0]
    assert strangers(["anna", "anna"]) == [None, None]


def test_the_longest_run_has_no_hole():
    times = np.concatenate([np.arange(4), 10 + np.arange(9), 30 + np.arange(3)]) / 10
    assert longest_run(times, most=64).tolist() == list(range(4, 13))
    assert longest_run(times, most=5).tolist() == list(range(4, 9))
    assert longest_run(times[:1], most=5).tolist() == [0]
