from fractions import Fraction

import numpy as np
import pytest

from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.evaluation.checks import Phoneme, check_bilabials, compare_emotions, emotion_effect
from talkinghead.speech.karras2017 import KarrasConfig, KarrasNetwork
from talkinghead.speech.model import KarrasModel, SpeechMotion

FPS = Fraction(50)
SAID = tuple(Phoneme(one, 0.2 * i, 0.2 * (i + 1)) for i, one in enumerate(["p", "ˈɑː", "m", "a", "t", "b", "oʊ"]))


def opening(**levels: float) -> np.ndarray:
    """Of the mouth, metres, one level a phoneme."""
    symbols = [phoneme.symbol.strip("ˈː") for phoneme in SAID]
    return np.repeat([levels.get(symbol, 0.01) for symbol in symbols], 10)


def test_lips_that_close_are_counted():
    found = check_bilabials(opening(p=0.001, m=0.002, b=0.02, t=0.0), FPS, SAID)
    assert (found.cases, found.closed, found.closed_in_the_middle, found.shut) == (3, 2, 2, 1)
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


class Actor(KarrasModel):
    """Every emotion after the first raises the brows further."""

    def predict(self, audio, rate, *, fps, emotion, **more):
        weights = np.zeros((30, 46), np.float32)
        weights[:, RIG_NAMES.index("jawOpen")] = 0.3 + 0.3 * np.sin(np.arange(30))
        weights[:, RIG_NAMES.index("browInnerUp")] = 0.2 * emotion
        return SpeechMotion(fps, vertices=default_rig().vertices(weights))


def actor(emotions: int) -> Actor:
    network = KarrasNetwork(KarrasConfig(vertices=4, emotion=4, basis=3))
    return Actor(network, emotions=np.zeros((emotions, 4), np.float32))


def test_the_effect_of_emotions_is_the_mean_of_all_but_the_first():
    rig, sound = default_rig(), np.zeros(16000, np.float32)
    one, two = (emotion_effect(actor(count), sound, 16000, rig, fps=FPS) for count in (2, 3))
    assert two.upper_face == pytest.approx(1.5 * one.upper_face, rel=1e-4) and one.upper_face > 10 * one.mouth
    assert one.timing == two.timing == 0
    assert "the mouth's timing 0 ms" in str(one)
    assert emotion_effect(actor(1), sound, 16000, rig, fps=FPS) is None
