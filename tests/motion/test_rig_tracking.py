from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from talkinghead.motion.from_rig import motion_of_weights
from talkinghead.motion.motion import Motion
from talkinghead.motion.rig_tracking import inspect_fit, track_rig
from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.rig import Rig

FRAMES = 90


@pytest.fixture(scope="module")
def rig() -> Rig:
    return default_rig()


@pytest.fixture(scope="module")
def talker(rig) -> Motion:
    """Three seconds of somebody who opens the mouth twice a second, blinks twice and turns the head."""
    times = np.arange(FRAMES) / 30
    weights = np.zeros((FRAMES, 46))
    weights[:, RIG_NAMES.index("jawOpen")] = 0.3 * np.clip(np.sin(4 * np.pi * times), 0, 1)
    for side in ("Left", "Right"):
        blink = sum(np.clip(1.3 - np.abs(times - at) / 0.12, 0, 1) for at in (0.7, 2.2))
        weights[:, RIG_NAMES.index(f"eyeBlink{side}")] = blink
    pose = np.stack([0.2 * np.sin(times), 0.05 * np.cos(times), 0 * times], 1).astype(np.float32)
    return motion_of_weights(weights, Fraction(30), rig, pose=pose)


@pytest.fixture(scope="module")
def tracked(talker, rig):
    bare = Motion(talker.landmarks, talker.confidence, talker.fps)
    return track_rig(bare, rig, vertices=True)


def test_a_motion_gets_pose_blendshapes_and_vertices(talker, tracked, rig):
    motion, fit = tracked
    assert motion.blendshape_names == RIG_NAMES and (motion.landmarks == talker.landmarks).all()
    assert np.abs(np.degrees(motion.pose - talker.pose)).mean() < 2
    assert np.abs(motion.blendshapes - talker.blendshapes).mean() < 0.05
    assert motion.vertices.shape == (FRAMES, *rig.neutral.shape) and (motion.topology == rig.faces).all()
    assert np.allclose(motion.vertices[7], rig.vertices(fit.weights[7:8], fit.identity)[0], atol=1e-6)


def test_it_is_saved_and_read_like_any_motion(tracked, tmp_path):
    motion, _ = tracked
    motion.save(tmp_path / "a.motion.safetensors")
    assert (Motion.load(tmp_path / "a.motion.safetensors").blendshapes == motion.blendshapes).all()


def test_the_report_sees_jaw_and_blinks(tracked, rig):
    motion, fit = tracked
    report = inspect_fit(motion, fit, rig)
    assert report.frames == report.seen == FRAMES and report.error < 0.01 and report.worst_error >= report.error
    assert report.mouth_agreement > 0.95 and report.jaw_range > 0.15
    assert report.blink_agreement > 0.9 and report.blinks_a_minute == pytest.approx(40)
    text = "\n".join(report.lines())
    assert "90 of 90 frames" in text and "40 a minute" in text


def test_a_still_face_agrees_with_nothing(rig):
    still = motion_of_weights(np.zeros((20, 46)), Fraction(30), rig)
    motion, fit = track_rig(still, rig)
    report = inspect_fit(motion, fit, rig)
    assert report.blinks_a_minute == 0 and report.jaw_range < 0.05
    nothing = replace(report, mouth_agreement=float("nan"), blink_agreement=0.1234)
    assert nothing.sanity() == {"mouth_agreement": None, "blink_agreement": 0.123, "blinks_a_minute": 0.0}


def test_a_known_person_is_kept(talker, tracked, rig):
    _, first = tracked
    _, again = track_rig(talker, rig, person=first.person)
    assert again.person is first.person
    _, same = track_rig(talker, rig, identity=first.identity)
    assert np.allclose(same.identity, first.identity, atol=0.01)


def test_unseen_frames_are_left_out_of_the_report(talker, rig):
    confidence = talker.confidence.copy()
    confidence[10:15] = 0
    motion, fit = track_rig(replace(talker, confidence=confidence), rig)
    assert inspect_fit(motion, fit, rig).seen == FRAMES - 5


def test_a_motion_without_a_face_is_refused(talker, rig):
    with pytest.raises(ValueError, match="none of the 90 frames"):
        track_rig(replace(talker, confidence=np.zeros(FRAMES, np.float32)), rig, identity=np.zeros(20))
