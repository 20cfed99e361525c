import numpy as np
import pytest

from talkinghead.rig.arkit import (
    ARKIT_NAMES,
    MERGED,
    RIG_NAMES,
    canonical,
    to_arkit,
    to_arkit_matrix,
    to_rig,
    to_rig_matrix,
)


def test_there_are_as_many_names_as_published():
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 52
    assert len(RIG_NAMES) == len(set(RIG_NAMES)) == 46


def test_each_arkit_expression_but_the_tongue_moves_the_rig():
    assert [name for name, row in zip(ARKIT_NAMES, to_rig_matrix(), strict=True) if not row.any()] == ["tongueOut"]


def test_the_rig_survives_the_way_to_arkit_and_back():
    weights = np.random.default_rng(0).random((5, 46)).astype(np.float32)
    assert np.allclose(to_arkit_matrix() @ to_rig_matrix(), np.eye(46))
    assert np.allclose(to_rig(to_arkit(weights), ARKIT_NAMES), weights, atol=1e-6)


def test_merged_expressions_are_the_mean_of_their_parts():
    weights = np.zeros((1, 52), np.float32)
    weights[0, ARKIT_NAMES.index("eyeLookOutLeft")] = 0.8
    weights[0, ARKIT_NAMES.index("eyeLookInRight")] = 0.4
    assert to_rig(weights, ARKIT_NAMES)[0, RIG_NAMES.index("eyeLookLeft")] == pytest.approx(0.6)
    assert weights[0] @ to_rig_matrix()[:, RIG_NAMES.index("eyeLookLeft")] == pytest.approx(0.6)


def test_a_gaze_to_the_left_is_the_left_eye_out_and_the_right_eye_in():
    assert MERGED["eyeLookLeft"] == ("eyeLookOutLeft", "eyeLookInRight")


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("JawOpen", "jawOpen"),
        ("eyeBlink_L", "eyeBlinkLeft"),
        (" mouthSmile_R ", "mouthSmileRight"),
        ("browInnerUp_L", "browInnerUp"),
        ("noseSneer", "noseSneer"),
        ("jaw_open", "jawOpen"),
        ("Eye Blink Left", "eyeBlinkLeft"),
        ("blendShapes.eyeBlinkR", "eyeBlinkRight"),
        ("mouthRollLower", "mouthRollLower"),
        ("jaw", None),
        ("", None),
    ],
)
def test_expressions_are_known_in_other_spellings(spelling, name):
    assert canonical(spelling) == name


def test_columns_may_stand_in_any_order_and_some_may_be_missing():
    found = to_rig(np.array([[0.3, 0.9, 0.5]], np.float32), ("unheard_of", "JawOpen", "mouthFunnel"))
    assert found[0, RIG_NAMES.index("jawOpen")] == pytest.approx(0.9)
    assert found[0, RIG_NAMES.index("mouthFunnel")] == pytest.approx(0.5)
    assert np.count_nonzero(found) == 2


def test_of_two_columns_of_one_expression_the_larger_counts():
    found = to_rig(np.array([[0.2, 0.7]], np.float32), ("browInnerUp_L", "browInnerUp_R"))
    assert found[0, RIG_NAMES.index("browInnerUp")] == pytest.approx(0.7)


def test_as_many_names_as_columns_are_asked_for():
    with pytest.raises(ValueError, match="2 columns and 1 names"):
        to_rig(np.zeros((1, 2), np.float32), ("jawOpen",))


def test_columns_that_are_no_expressions_are_refused():
    with pytest.raises(ValueError, match="none of the names is an expression"):
        to_rig(np.zeros((1, 2), np.float32), ("left", "right"))
