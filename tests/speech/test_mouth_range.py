"""How far a speaking mouth opens: numbers worked out by hand."""

import numpy as np
import pytest

from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.mouth_range import (
    MouthRange,
    closing_of,
    matched,
    on_unseen,
    opening_of_vertices,
    opening_of_weights,
    quiet_of,
    shut_at_rest,
)

JAW, CLOSE = RIG_NAMES.index("jawOpen"), RIG_NAMES.index("mouthClose")


def opened(*jaws):
    weights = np.zeros((len(jaws), 46), np.float32)
    weights[:, JAW] = jaws
    return weights


def test_weights_and_vertices_agree_how_far_a_mouth_is_open():
    weights = np.random.default_rng(0).uniform(0, 0.4, (5, 46)).astype(np.float32)
    vertices = default_rig().vertices(weights)
    assert opening_of_weights(weights) == pytest.approx(opening_of_vertices(vertices), abs=1e-6)
    assert np.diff(opening_of_weights(opened(0, 0.1, 0.3))).min() > 3e-3


def test_openings_grow_from_the_shut_one_and_none_is_negative():
    mouth = MouthRange(shut=2e-3, gain=2.0)
    assert mouth.wanted(np.array([0.0, 2e-3, 5e-3])) == pytest.approx([0, 0, 6e-3])
    assert mouth.wanted(np.array([5e-3, 5e-3]), np.array([1.0, 0.5])) == pytest.approx([0, 3e-3])


@pytest.mark.parametrize("pursed", [0.0, 0.5])
def test_both_ways_bring_the_lips_to_the_wanted_opening(pursed):
    weights = opened(0.05, 0.15, 0.3)
    weights[:, RIG_NAMES.index("mouthFunnel")] = pursed
    mouth, before = MouthRange(3e-3, 1.7), opening_of_weights(weights)
    expected = mouth.wanted(before)
    assert opening_of_weights(mouth.weights(weights)) == pytest.approx(expected, abs=2e-5)
    assert opening_of_vertices(mouth.vertices(default_rig().vertices(weights))) == pytest.approx(expected, abs=2e-5)


def test_lips_that_the_jaw_cannot_shut_are_shut_by_the_lips():
    weights = opened(0.0, 0.01)
    weights[:, RIG_NAMES.index("mouthLowerDownLeft")] = weights[:, RIG_NAMES.index("mouthLowerDownRight")] = 0.6
    assert opening_of_weights(weights).min() > 3e-3
    shut = MouthRange(0.0, 1.0).weights(weights, np.ones(2))
    assert opening_of_weights(shut) == pytest.approx(0, abs=2e-5)
    assert (shut[:, CLOSE] > 0).all()
    assert shut.min() >= 0


def test_the_range_is_found_again():
    """People open from 0 to 20 mm; the network says half of it, 3 mm too open."""
    people = 0.01 * (1 - np.cos(np.linspace(0, 40, 400)))
    found = matched([people / 2 + 3e-3], [people + 1e-3])
    assert found.gain == pytest.approx(2, rel=0.02)
    assert found.shut == pytest.approx(3e-3, abs=3e-4)


def test_on_unseen_people_the_mouth_spreads_as_far_as_theirs():
    people = 0.01 * (1 - np.cos(np.linspace(0, 40, 400)))
    found = on_unseen(MouthRange(2e-3, 2.0), [people], [0.8 * people + 1e-3])
    assert found.shut == 2e-3
    assert found.gain == pytest.approx(1.6)
    assert on_unseen(found, [people], [people / 9]).gain == 1.0


def test_a_network_that_hardly_moves_is_not_made_to_shake():
    people = 0.01 * (1 - np.cos(np.linspace(0, 40, 400)))
    assert matched([people / 50], [people]).gain == 2.0
    assert matched([people * 2], [people]).gain == 1.0
    with pytest.raises(ValueError, match="no sequence"):
        matched([], [])


def scores(*loud):
    """Rows of 20 ms; `loud` rows hear a p, the others a pause."""
    rows = np.full((50, 29), -10.0, np.float32)
    rows[:, 27] = 5
    for row in loud:
        rows[row, 0] = 15
    return rows


def test_lips_are_shut_around_a_p_and_nowhere_else():
    times = np.arange(60) / 60
    closing = closing_of(scores(25), times)  # heard at .5 s, shut at .46
    assert (closing[np.abs(times - 0.46) < 0.02] == 1).all()
    assert (closing[np.abs(times - 0.46) > 0.06] == 0).all()
    assert not closing_of(scores(), times).any()
    assert not closing_of(np.zeros((0, 29), np.float32), times).any()


def test_lips_rest_in_long_pauses_and_not_between_words():
    rate, times = 8000, np.arange(90) / 30
    voice = 0.3 * np.sin(np.arange(3 * rate) / 3)
    voice[: rate // 2] = voice[2 * rate :] = 0
    voice[rate : rate + rate // 10] = 0  # a tenth of a second
    quiet = quiet_of(voice, rate, times)
    assert (quiet[(times < 0.35) | (times > 2.15)] > 0.95).all()
    assert (quiet[(times > 0.55) & (times < 1.95)] == 0).all()
    assert quiet_of(np.zeros(rate), rate, times[:30]).min() > 0.95
    assert len(quiet_of(np.zeros(0), rate, times[:0])) == 0


def test_a_mouth_that_a_tracker_sees_open_is_shut_at_rest():
    weights = opened(*np.linspace(0.06, 0.4, 60))
    rested = opening_of_weights(shut_at_rest(weights))
    moved = opening_of_weights(weights) - rested
    assert rested[0] == pytest.approx(0, abs=1e-4)
    assert np.ptp(moved[3:]) < 1e-5
    wide = opened(*np.linspace(0.3, 0.6, 60))
    assert opening_of_weights(shut_at_rest(wide)).min() > 5e-3


@pytest.mark.parametrize("numbers", [(float("nan"), 1.0), (0.0, 0.0), (0.0, 50.0), (1.0, 1.0)])
def test_a_range_out_of_reason_is_refused(numbers):
    with pytest.raises(ValueError, match="mouth's range"):
        MouthRange(*numbers)
