"""Known values of the metrics."""

import numpy as np
import pytest

from talkinghead.rig.files.own import default_rig
from talkinghead.speech.evaluation.metrics import (
    landmark_error,
    lip_distance,
    lip_vertex_error,
    mouth_opening_difference,
    opening_spread,
    r_squared,
    rmse,
    upper_face_deviation,
    velocity_correlation,
)


def test_lip_error_takes_the_worst_lip_vertex_of_each_frame():
    truth = np.zeros((2, 4, 3))
    predicted = truth.copy()
    predicted[0, 1] = [0, 3, 4]
    predicted[0, 2] = [1, 0, 0]
    predicted[1, 3] = [9, 9, 9]
    lips = np.array([1, 2])
    assert lip_vertex_error(predicted, truth, lips) == pytest.approx(25 / 2)
    assert lip_distance(predicted, truth, lips) == pytest.approx(5 / 2)


def test_upper_face_deviation_is_positive_where_the_prediction_is_frozen():
    template = np.zeros((2, 3))
    truth = np.zeros((4, 2, 3))
    truth[::2, 0, 1] = 2.0
    assert upper_face_deviation(np.zeros_like(truth), truth, template, np.array([0])) == pytest.approx(2)
    assert upper_face_deviation(truth, truth, template, np.array([0, 1])) == 0


def test_r_squared_is_one_for_truth_and_nothing_for_its_mean():
    truth = np.random.default_rng(0).normal(size=(50, 3))
    assert r_squared(truth, truth) == 1
    assert r_squared(np.broadcast_to(truth.mean(0), truth.shape), truth) == pytest.approx(0)
    assert np.isnan(r_squared(truth[:1], truth[:1]))


def test_velocity_correlation_ignores_size_and_place():
    truth = np.random.default_rng(0).normal(size=200).cumsum()
    assert velocity_correlation(3 * truth + 7, truth) == pytest.approx(1)
    assert velocity_correlation(-truth, truth) == pytest.approx(-1)
    assert velocity_correlation(np.zeros(200), truth) == 0
    assert velocity_correlation(truth[:1], truth[:1]) == 0


def test_differences_have_known_values():
    assert mouth_opening_difference(np.array([1.0, 2.0]), np.array([0.0, 4.0])) == 1.5
    assert rmse(np.array([[3.0]]), np.array([[-1.0]])) == 4


def test_a_mouth_that_moves_half_as_far_has_half_the_spread():
    truth = np.random.default_rng(0).normal(size=50)
    assert opening_spread(0.5 * truth + 3, truth) == pytest.approx(0.5)
    assert opening_spread(np.ones(50), truth) == 0
    assert np.isnan(opening_spread(truth, np.ones(50)))


def test_landmark_error_is_the_shift_of_the_head():
    rig = default_rig()
    assert landmark_error(rig.neutral[None] + np.float32([0.003, 0, 0.004]), rig.neutral[None], rig) == pytest.approx(
        0.005, rel=1e-3
    )
