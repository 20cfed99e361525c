"""Sets of points laid over one another."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from talkinghead.face.alignment import nearest_rotation, similarity

TURNS = {2: np.array([[0.6, -0.8], [0.8, 0.6]]), 3: Rotation.from_rotvec([0.4, -1.0, 2.0]).as_matrix()}


@pytest.mark.parametrize("dimensions", [2, 3])
def test_turn_size_and_shift_are_found(dimensions):
    points = np.random.default_rng(0).normal(size=(20, dimensions))
    turn, shift = TURNS[dimensions], np.arange(1.0, 1 + dimensions)
    found = similarity(points, 1.7 * points @ turn.T + shift)
    assert np.allclose(found.rotation, turn) and found.scale == pytest.approx(1.7) and np.allclose(found.shift, shift)
    assert np.allclose(found(points[:3]), 1.7 * points[:3] @ turn.T + shift)


def test_the_size_is_kept_if_asked_for():
    points = np.random.default_rng(1).normal(size=(20, 3))
    found = similarity(points, 3 * points @ TURNS[3].T, scaled=False)
    assert found.scale == 1 and np.allclose(found.rotation, TURNS[3])


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_mirror_image_is_turned_not_mirrored(dimensions):
    points = np.random.default_rng(2).normal(size=(20, dimensions))
    mirrored = points * np.where(np.arange(dimensions) == 0, -1, 1)
    found = similarity(points, mirrored)
    assert np.linalg.det(found.rotation) == pytest.approx(1)
    error = ((found(points) - mirrored) ** 2).sum()
    for angle in (-0.05, 0.05):
        aside = Rotation.from_rotvec([0, 0, angle]).as_matrix()[:dimensions, :dimensions]
        centred = mirrored - mirrored.mean(0)
        other = found.scale * (points - points.mean(0)) @ (aside @ found.rotation).T
        assert error < ((other - centred) ** 2).sum()


def test_points_in_one_place_are_only_shifted():
    found = similarity(np.ones((4, 2)), np.full((4, 2), 3.0))
    assert np.allclose(found(np.zeros((1, 2))), 2)


def test_many_rotations_are_found_at_once():
    turns = Rotation.random(7, rng=np.random.default_rng(3)).as_matrix()
    assert np.allclose(nearest_rotation(2.5 * turns), turns)
