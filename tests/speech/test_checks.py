from fractions import Fraction

import numpy as np

from talkinghead.face.arkit import RIG_NAMES
from talkinghead.face.rig import default_rig
from talkinghead.media.speech_synthesis import Phoneme
from talkinghead.speech.checks import check_bilabials, compare_emotions

FPS = Fraction(50)
SAID = tuple(Phoneme(one, 0.2 * i, 0.2 * (i + 1)) for i, one in enumerate(["p", "ˈɑː", "m", "a", "t", "b", "oʊ"]))


def opening(**levels: float) -> np.ndarray:
    """Of the mouth, metres, one level a phoneme."""
    symbols = [phoneme.symbol.strip("ˈː") for phoneme in SAID]
    return np.repeat([levels.get(symbol, 0.01) for symbol in symbols], 10)


def test_lips_that_close_are_counted():
    found = check_bilabials(opening(p=0.001, m=0.002, b=0.02, t=0.0), FPS, SAID)
    assert (found.cases, found.closed, found.closed_in_the_middle) == (3, 2, 2)
    assert np.isclose(found.share, 2 / 3) and np.isclose(found.vowel, 0.01) and found.bilabial < 0.011


def closing(after: int) -> np.ndarray:
    """A mouth that closes so many frames (50 a second) after a p, b or m begins."""
    mouth = np.full(10 * len(SAID) + 10, 0.01)
    for index in (0, 2, 5):
        mouth[10 * index + after : 10 * index + after + 2] = 0.001
    return mouth


def test_a_mouth_that_closes_late_is_not_closed_in_the_middle_of_the_sound():
    late = check_bilabials(closing(7), FPS, SAID)
    assert (late.closed, late.closed_in_the_middle) == (3, 0)
    assert check_bilabials(closing(12), FPS, SAID).closed == 0
    assert check_bilabials(closing(12), FPS, SAID, slack=0.1).closed == 3


def test_nothing_said_is_no_case():
    assert np.isnan(check_bilabials(np.zeros(5), FPS, ()).share)


def test_an_emotion_of_the_brows_leaves_the_mouth_in_time():
    rig, times = default_rig(), np.arange(60) / 50
    calm = np.zeros((60, 46), np.float32)
    calm[:, RIG_NAMES.index("jawOpen")] = 0.3 + 0.3 * np.sin(9 * times)
    cross = calm.copy()
    cross[:, [RIG_NAMES.index("browDownLeft"), RIG_NAMES.index("browDownRight")]] = 1
    found = compare_emotions(rig.vertices(calm), rig.vertices(cross), rig, fps=FPS)
    assert found.upper_face > 5 * found.mouth and found.timing == 0 and found.mouth_correlation > 0.99
    late = compare_emotions(rig.vertices(calm), rig.vertices(np.roll(calm, 2, 0)), rig, fps=FPS)
    assert np.isclose(late.timing, 0.04) and late.upper_face < 0.01 * late.mouth
