"""Turns, poses and expressions by the rig."""

import numpy as np
import pytest
from people import turned_face

from talkinghead.portrait.evaluation.rig_distance import AED, APD, RigDistance


@pytest.fixture(scope="module")
def turning() -> np.ndarray:
    return np.stack([turned_face(degrees) for degrees in (-30, -15, 0, 15, 30)])


@pytest.fixture(scope="module")
def rig(turning) -> RigDistance:
    return RigDistance(turning)


def test_a_turn_is_measured_from_the_nearest_photo(rig, turning):
    assert rig.turns(turning[[2]], turning) == pytest.approx([30, 15, 0, 15, 30], abs=4)
    assert rig.turns(turning[[0, 4]], turning) == pytest.approx([0, 15, 30, 15, 0], abs=4)


def test_the_same_landmarks_are_no_distance_apart_and_lost_ones_unknown(rig, turning):
    found = turning.copy()
    found[1] = np.nan
    measured = rig.distances(found, turning)
    assert np.isnan(measured[AED][1]) and np.isnan(measured[APD][1])
    assert np.delete(measured[AED], 1) == pytest.approx(0, abs=1e-5)
    assert np.delete(measured[APD], 1) == pytest.approx(0, abs=0.1)


def test_pose_and_expression_are_told_apart(rig, turning):
    opened = turning.copy()
    opened[:, [57, 58, 56, 66, 65, 67, 7, 8, 9], 1] += 0.05
    turned, talking = rig.distances(turning[[3]], turning[[2]]), rig.distances(opened[[2]], turning[[2]])
    assert turned[APD] == pytest.approx(15, abs=4)
    assert talking[APD] < 5
    assert talking[AED] > turned[AED]
