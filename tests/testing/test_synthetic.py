"""Drawn people: the same from the same seed, exact landmarks, clips and shards that read back."""

import cv2
import numpy as np
import pytest

from talkinghead.face import landmarks as scheme
from talkinghead.face.crop import window_for
from talkinghead.face.detection.choice import make_detector
from talkinghead.media.video import probe, read_frames
from talkinghead.portrait.data.episodes import Episodes, unpacked
from talkinghead.portrait.data.episodes_config import EpisodeConfig
from talkinghead.portrait.data.shards import Shards
from talkinghead.testing.drawn_person import Person
from talkinghead.testing.synthetic import (
    Pose,
    draw_person,
    draw_sequence,
    drawn_track,
    episode_batch,
    random_motion,
    write_clip,
    write_drawn_shards,
)


def test_a_person_is_drawn_the_same_again():
    frame, landmarks = draw_person(3, Pose(yaw=0.2, smile=0.5), size=64)
    again, landmarks_again = draw_person(3, Pose(yaw=0.2, smile=0.5), size=64)
    assert np.array_equal(frame, again)
    assert np.array_equal(landmarks, landmarks_again)


def test_people_differ_in_looks_and_shape():
    people = [Person.from_seed(seed) for seed in range(20)]
    assert len({person.skin for person in people}) == 20
    assert len({person.jaw_width for person in people}) == 20


def test_landmarks_do_not_depend_on_the_size():
    _, small = draw_person(1, Pose(roll=0.2), size=64)
    _, large = draw_person(1, Pose(roll=0.2), size=256)
    assert np.allclose(small, large, atol=1e-6)


def test_neutral_face_is_framed_as_a_crop_frames_it():
    size = 256
    for person in range(8):
        _, landmarks = draw_person(person, size=size)
        window = window_for(landmarks * size - 0.5)
        assert abs(window.x - size / 2) < 0.04 * size
        assert abs(window.y - size / 2) < 0.04 * size
        assert abs(window.side / size - 1) < 0.15


def test_neutral_face_to_the_front_is_symmetric():
    _, landmarks = draw_person(5)
    assert np.allclose(scheme.mirror(landmarks), landmarks, atol=1e-5)


def test_turning_left_mirrors_turning_right():
    _, left = draw_person(5, Pose(yaw=-0.3, roll=-0.1))
    _, right = draw_person(5, Pose(yaw=0.3, roll=0.1))
    assert np.allclose(scheme.mirror(left), right, atol=1e-5)
    assert right[30, 0] > left[30, 0]  # the nose goes where the head turns


@pytest.mark.parametrize(
    ("measure", "pose"), [(scheme.mouth_opening, Pose(mouth_open=1)), (scheme.eye_opening, Pose(blink=0))]
)
def test_the_face_opens_what_the_pose_opens(measure, pose):
    closed = Pose(mouth_open=0, blink=1)
    for person in range(5):
        assert measure(draw_person(person, pose)[1]) > 4 * measure(draw_person(person, closed)[1])


def test_shift_moves_the_landmarks_by_that_fraction():
    _, still = draw_person(2)
    _, moved = draw_person(2, Pose(shift=(0.1, -0.05)))
    assert np.allclose(moved - still, [0.1, -0.05], atol=1e-6)


def test_the_pixels_at_the_landmarks_show_the_parts():
    person = Person.from_seed(4)
    frame, landmarks = draw_person(4, size=512)
    pixels = np.round(landmarks * 512 - 0.5).astype(int)
    pupil = frame[tuple(pixels[scheme.RIGHT_EYE].mean(0).astype(int)[::-1])]
    brow = frame[tuple(pixels[19][::-1])]
    cheek = frame[tuple(((pixels[2] + pixels[31]) // 2)[::-1])]
    assert pupil.sum() < cheek.sum()
    assert np.abs(brow - np.array(person.hair) * 0.7).max() < 12
    assert np.abs(cheek - np.array(person.skin, float)).max() < 40


def test_dlib_finds_drawn_faces_and_agrees_with_their_landmarks():
    detector = make_detector("dlib")
    for person in range(3):
        frame, landmarks = draw_person(person, Pose(yaw=0.2, mouth_open=0.4), size=192)
        faces = detector.detect(frame)
        assert len(faces) == 1
        truth = landmarks * 192 - 0.5
        error = np.linalg.norm(detector.landmarks(frame, faces[0].box) - truth, axis=-1).mean()
        assert error / scheme.interocular(truth) < 0.08


def test_motion_is_smooth_and_continues():
    short, long = random_motion(30, seed=1), random_motion(200, seed=1)
    assert short == long[:30]
    assert random_motion(30, seed=2) != short
    mouths = np.array([pose.mouth_open for pose in long])
    assert np.abs(np.diff(mouths)).max() < 0.6
    assert mouths.min() == 0
    assert mouths.max() > 0.4
    assert max(pose.blink for pose in long) > 0.6


def test_clip_reads_back_with_its_landmarks_and_sound(tmp_path):
    landmarks = write_clip(tmp_path / "clip.mp4", 1, frames=10, size=96)
    info = probe(tmp_path / "clip.mp4")
    assert (info.width, info.height, info.fps, info.has_sound) == (96, 96, 25, True)
    frames = [frame for _, frame in read_frames(tmp_path / "clip.mp4")]
    drawn, exact = draw_sequence(1, random_motion(10, seed=1), size=96)
    assert np.array_equal(landmarks, exact)
    assert len(frames) == 10
    assert np.abs(cv2.absdiff(np.stack(frames), drawn)).mean() < 6


def test_clip_may_be_silent(tmp_path):
    write_clip(tmp_path / "clip.mp4", 1, frames=4, size=64, sound=False)
    assert not probe(tmp_path / "clip.mp4").has_sound


def test_shards_hold_one_track_a_person(tmp_path):
    assert write_drawn_shards(tmp_path / "shards", people=3, frames=5, side=48) == 3
    shards = Shards(tmp_path / "shards")
    assert len(set(shards.identities)) == 3
    track, exact = shards[1], drawn_track(1, frames=5, side=48)
    assert np.array_equal(track.landmarks, exact.landmarks)
    assert np.array_equal(track.frames(), exact.frames())


def test_drawn_episodes_have_the_form_of_episodes_from_shards(tmp_path):
    write_drawn_shards(tmp_path / "shards", people=1, frames=5, side=32)
    from_shards = unpacked(Episodes(Shards(tmp_path / "shards"), EpisodeConfig(shots=3, size=32))[0])
    drawn = episode_batch(batch=2, shots=3, size=32)
    assert {name: (2, *tensor.shape) for name, tensor in from_shards.items()} == {
        name: tuple(tensor.shape) for name, tensor in drawn.items()
    }
    assert {name: tensor.dtype for name, tensor in from_shards.items()} == {
        name: tensor.dtype for name, tensor in drawn.items()
    }


def test_an_episode_shows_one_person_in_frames_that_differ():
    drawn = episode_batch(batch=2, shots=3, size=32, seed=5)
    sources, target = drawn["source_frames"], drawn["target_frame"]
    assert float(sources.min()) >= -1
    assert float(sources.max()) <= 1
    assert all(not source.equal(target[0]) for source in sources[0])
    within = (sources[0] - target[0]).abs().mean()
    between = (sources[0] - target[1]).abs().mean()
    assert within < between
