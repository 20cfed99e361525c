import numpy as np
import pytest
import torch

from talkinghead.face import landmarks as scheme
from talkinghead.face.draw import draw_by_distance, draw_landmarks, draw_many
from talkinghead.testing.synthetic import draw_sequence, random_motion


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    return draw_sequence(0, random_motion(1), size=64)[1][0]


def test_groups_cover_every_point_once():
    groups = [
        scheme.JAW, scheme.RIGHT_BROW, scheme.LEFT_BROW, scheme.NOSE_BRIDGE, scheme.NOSE_BASE,
        scheme.RIGHT_EYE, scheme.LEFT_EYE, scheme.OUTER_LIPS, scheme.INNER_LIPS,
    ]  # fmt: skip
    assert sorted(sum(groups, [])) == list(range(68))


def test_mirror_twice_changes_nothing_and_swaps_the_eyes(face):
    assert np.allclose(scheme.mirror(scheme.mirror(face)), face)
    assert scheme.mirror(face)[36, 0] == pytest.approx(1 - face[45, 0])


def test_openings_follow_lids_and_lips_and_ignore_scale(face):
    closed = face.copy()
    closed[[61, 62, 63]] = closed[[67, 66, 65]]
    closed[[37, 38, 43, 44]] = closed[[41, 40, 47, 46]]
    assert scheme.mouth_opening(closed) == 0
    assert scheme.eye_opening(closed) == 0
    assert scheme.eye_opening(3 * face) == pytest.approx(scheme.eye_opening(face), rel=1e-5)
    assert scheme.eye_opening(np.stack([face, closed])).shape == (2,)


def test_each_part_has_its_colour():
    points = np.zeros((68, 2), np.float32) - 1  # outside the picture
    points[scheme.LEFT_EYE] = [[0.4, 0.5], [0.45, 0.4], [0.55, 0.4], [0.6, 0.5], [0.55, 0.6], [0.45, 0.6]]
    drawn = draw_landmarks(points, 256)
    inside = drawn[drawn.any(-1)]
    assert (inside[:, 0] == 0).all()
    assert (drawn == (0, 255, 255)).all(-1).any()


def test_lines_have_opencvs_thickness_two_at_256():
    points = np.full((68, 2), -1, np.float32)
    points[scheme.JAW] = np.stack([np.linspace(0.1, 0.9, 17), np.full(17, 0.5)], -1)
    column = draw_landmarks(points, 256)[:, 128, 0].astype(float) / 255
    assert 3 <= column.sum() < 4


def test_half_a_pixel_shows_at_small_sizes(face):
    assert not np.array_equal(draw_landmarks(face, 64), draw_landmarks(face + np.float32(0.5 / 64), 64))


def test_drawing_is_the_same_picture_at_every_size(face):
    large, small = draw_landmarks(face, 256), draw_landmarks(face, 128)
    halved = large.reshape(128, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(halved - small).mean() < 6


def test_points_outside_do_not_break_the_drawing(face):
    assert draw_landmarks(face + 50, 64).max() == 0


def test_landmarks_that_are_not_finite_are_refused(face):
    broken = face.copy()
    broken[3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        draw_landmarks(broken, 64)


def test_tensors_hold_the_pictures_in_minus_one_to_one(face):
    tensors = draw_many(np.stack([face, face + 50]), 64)
    assert tensors.shape == (2, 3, 64, 64)
    assert tensors.min() == -1
    assert np.allclose((tensors[0].permute(1, 2, 0).numpy() + 1) * 127.5, draw_landmarks(face, 64), atol=1e-3)
    assert (tensors[1] == -1).all()


@pytest.mark.parametrize("size", [64, 256])
def test_lines_by_distance_are_those_of_opencv_but_for_their_edges(size):
    faces = draw_sequence(1, random_motion(30, seed=1)[::10], size=64)[1]
    exact, ours = draw_many(faces, size), draw_by_distance(torch.from_numpy(faces), size)
    apart = (exact - ours).abs() / 2
    assert exact.shape == ours.shape
    assert exact.stride() == ours.stride()
    assert float(apart.mean()) < 0.4 / 255
    assert float(apart[exact > -1].mean()) < 0.03  # on the lines
    assert abs(float(exact.mean() - ours.mean())) < 1e-3  # no thicker and no thinner
