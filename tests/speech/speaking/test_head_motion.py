from fractions import Fraction

import numpy as np
import pytest

from talkinghead.motion.motion import Motion
from talkinghead.rig.files.own import average_face
from talkinghead.rig.head_pose import Pose
from talkinghead.rig.rig import rotation_matrix
from talkinghead.speech.speaking.head_motion import (
    BLINKS_A_MINUTE,
    CLOSED,
    CLOSING,
    OPENING,
    SPREAD,
    edited,
    follow,
    generate,
    loudness_of,
    still,
)

FPS = Fraction(30)


def test_the_same_seed_moves_alike_and_another_does_not():
    first, again, other = (generate(300, FPS, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.pose, again.pose) and np.array_equal(first.blink, again.blink)
    assert np.abs(first.pose - other.pose).max() > np.radians(1)


def test_parts_made_one_after_the_other_are_the_whole():
    loud = np.random.default_rng(0).random(90).astype(np.float32)
    whole = generate(90, FPS, loudness=loud)
    parts = [generate(count, FPS, loudness=loud[at : at + count], first=at) for at, count in ((0, 20), (20, 70))]
    assert np.allclose(np.concatenate([part.pose for part in parts]), whole.pose, atol=1e-6)
    assert np.allclose(np.concatenate([part.blink for part in parts]), whole.blink, atol=1e-6)


def test_the_frame_rate_does_not_change_the_movement():
    slow, fast = generate(100, Fraction(25)), generate(200, Fraction(50))
    assert np.allclose(slow.pose, fast.pose[::2], atol=1e-6) and np.allclose(slow.blink, fast.blink[::2], atol=1e-6)


def test_it_moves_as_much_as_people_do_without_a_jolt():
    made = generate(9000, FPS, loudness=np.full(9000, 0.5))
    assert np.allclose(made.pose.std(0), SPREAD, rtol=0.3)
    speed = np.degrees(np.abs(np.diff(made.pose, axis=0))) * float(FPS)
    assert np.quantile(speed, 0.99) < 40 and np.degrees(np.abs(made.pose)).max() < 15
    again = generate(30, FPS, first=9000, loudness=np.full(30, 0.5))  # after 300 s it repeats, without a seam
    assert np.allclose(again.pose, made.pose[:30], atol=1e-4)
    assert np.degrees(np.abs(again.pose[0] - made.pose[-1])).max() < 1


def test_eyes_close_quite_and_about_as_often_as_peoples_do():
    blink = generate(9000, FPS).blink
    assert blink.min() == 0 and blink.max() > 0.99
    shut = (blink > 0.5).astype(int)
    starts = int((np.diff(shut) == 1).sum())
    assert 0.7 * BLINKS_A_MINUTE < starts / 5 < 1.3 * BLINKS_A_MINUTE
    assert 0.1 < shut.sum() / starts / float(FPS) < 0.35  # seconds
    closing, opening = (np.diff(blink) > 0).sum(), (np.diff(blink) < 0).sum()
    assert opening > 1.3 * closing


def test_a_loud_voice_moves_the_head_more():
    quiet, loud = (generate(3000, FPS, loudness=np.full(3000, level)) for level in (0.0, 1.0))
    change = [np.abs(np.diff(made.pose, axis=0)).mean() for made in (quiet, loud)]
    assert change[1] > 1.5 * change[0]
    assert np.abs(generate(300, FPS, strength=0.0).pose).max() == 0


def test_loudness_rises_where_there_is_sound():
    waveform = np.zeros(16000, np.float32)
    waveform[6000:10000] = 0.3 * np.sin(np.arange(4000))
    loud = loudness_of(waveform, 16000, FPS, frames=40)
    assert loud.max() == 1 and loud[:5].max() == 0 and loud[35:].max() == 0
    assert abs(np.average(np.arange(40), weights=loud) - 8000 / 16000 * 30 + 0.5) < 1
    assert loudness_of(np.zeros(100, np.float32), 16000, FPS, frames=3).max() == 0


def test_still_is_still():
    assert len(still(4)) == 4 and not still(4).pose.any() and not still(4).blink.any()


def test_a_blink_is_a_trapezoid_where_it_is_wanted():
    fps = Fraction(1000)
    blink = edited(still(1500), fps, blinks=[0.2, 1.0]).blink
    for start in (200, 1000):
        shut, opens = start + round(1000 * CLOSING), start + round(1000 * (CLOSING + CLOSED))
        end = opens + round(1000 * OPENING)
        assert np.allclose(blink[start : shut + 1], np.linspace(0, 1, shut - start + 1), atol=1e-6)
        assert np.allclose(blink[shut : opens + 1], 1)
        assert np.allclose(blink[opens : end + 1], np.linspace(1, 0, end - opens + 1), atol=1e-6)
    assert blink[:200].max() == 0 and blink[560:1000].max() == 0


def test_blinks_that_overlap_keep_the_eyes_shut():
    blink = edited(still(60), Fraction(100), blinks=[0.1, 0.2]).blink
    assert blink.max() == 1 and blink[20:35].min() >= 0.75


def test_wanted_blinks_replace_those_there_are_and_pose_is_added():
    made = generate(200, FPS)
    turned = edited(made, FPS, pose=np.array([0.3, 0, -0.1]))
    assert np.allclose(turned.pose - made.pose, [0.3, 0, -0.1], atol=1e-6) and (turned.blink == made.blink).all()
    assert edited(made, FPS, blinks=[]).blink.max() == 0 < made.blink.max()
    one_each = np.linspace(0, 0.2, 600).reshape(200, 3)
    assert np.allclose(edited(made, FPS, pose=one_each).pose - made.pose, one_each, atol=1e-6)
    assert np.array_equal(edited(made, FPS).pose, made.pose) and np.array_equal(edited(made, FPS).blink, made.blink)


def test_edits_of_parts_are_those_of_the_whole():
    whole = edited(still(40), FPS, pose=np.array([0.1, 0, 0]), blinks=[0.6])
    parts = [edited(still(20), FPS, pose=np.array([0.1, 0, 0]), blinks=[0.6], first=first) for first in (0, 20)]
    for name in ("pose", "blink"):
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(part, name) for part in parts]))
    assert parts[1].blink.max() == 1 and parts[0].blink.max() < 1


def test_one_loudness_a_frame():
    with pytest.raises(ValueError, match="3 values of loudness for 4 frames"):
        generate(4, FPS, loudness=np.zeros(3))


def talking_head(pose: np.ndarray, blink: np.ndarray) -> Motion:
    """The average face, turned and with falling lids, as landmarks."""
    turns = rotation_matrix(pose)
    points = np.tile(average_face().neutral.astype(np.float64), (len(pose), 1, 1))
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        middle, gap = points[:, [upper, lower]].mean(1), points[:, upper] - points[:, lower]
        points[:, upper] = middle + (1 - blink[:, None]) * gap / 2
        points[:, lower] = middle - (1 - blink[:, None]) * gap / 2
    camera = Pose(turns, np.full(len(pose), 2.2), np.full((len(pose), 2), 0.5))
    return Motion(camera.project(points).astype(np.float32), np.ones(len(pose), np.float32), FPS)


def test_a_reference_is_followed():
    times = np.arange(120) / 30
    pose = np.radians(6) * np.stack([np.sin(2 * times), 0.6 * np.sin(3 * times), 0.5 * np.cos(2.5 * times)], 1)
    blink = np.zeros(120)
    blink[40:46] = 1
    made = follow(talking_head(pose, blink), 120, FPS)
    wanted = pose - np.median(pose, 0)
    assert np.degrees(np.abs(made.pose - wanted)).mean() < 1.2
    for axis in range(3):
        assert np.corrcoef(made.pose[:, axis], wanted[:, axis])[0, 1] > 0.9
    assert made.blink[41:45].min() > 0.9 and made.blink[:35].max() < 0.2


def test_a_short_reference_goes_to_and_fro():
    times = np.arange(30) / 30
    pose = np.stack([0.1 * times, 0 * times, 0 * times], 1)
    made = follow(talking_head(pose, np.zeros(30)), 100, Fraction(30))
    assert np.abs(np.diff(made.pose[:, 0])).max() < 0.01
    assert np.allclose(made.pose[20], made.pose[38], atol=0.003)


def test_a_reference_without_a_face_is_named():
    seen = talking_head(np.zeros((3, 3)), np.zeros(3))
    with pytest.raises(ValueError, match="never shows a face"):
        follow(Motion(seen.landmarks, np.zeros(3, np.float32), FPS), 3, FPS)
