"""Mouths that follow their sound, and mouths that do not."""

from fractions import Fraction

import numpy as np
import pytest
from speech_recordings import RATE, hum, opening

from talkinghead.speech.mouth_check import check_mouth, is_silent, loudness

FPS = Fraction(30)


def test_loudness_is_zero_in_silence_and_a_decade_more_for_ten_times_the_amplitude():
    quiet, loud = (np.full(RATE, level) for level in (0.01, 0.1))
    assert np.allclose(loudness(np.zeros(RATE), RATE, fps=FPS, frames=30), 0)
    assert loudness(loud, RATE, fps=FPS, frames=30) - loudness(quiet, RATE, fps=FPS, frames=30) == pytest.approx(
        1, abs=0.05
    )


def test_frames_after_the_end_of_the_sound_are_silent():
    assert (loudness(np.ones(RATE), RATE, fps=FPS, frames=60)[32:] == 0).all()


@pytest.mark.parametrize("delay", [-0.1, 0.0, 0.05, 0.12])
def test_the_lag_of_a_mouth_is_found(delay):
    mouth = opening(300)
    check = check_mouth(mouth, hum(mouth, delay=delay), RATE, fps=FPS)
    assert check is not None
    assert check.lag_seconds == pytest.approx(delay, abs=0.015)
    assert check.correlation > 0.7
    assert check.correlation >= check.correlation_now


def test_somebody_elses_mouth_does_not_follow():
    mouth = opening(600, seed=1)
    check = check_mouth(mouth, hum(opening(600, seed=2)), RATE, fps=FPS)
    assert check is not None
    assert check.correlation < 0.45
    assert check.to_dict()["correlation"] == round(check.correlation, 4)


def test_a_short_or_silent_or_still_take_cannot_be_judged():
    mouth = opening(100)
    assert check_mouth(mouth[:10], hum(mouth[:10]), RATE, fps=FPS) is None
    assert check_mouth(mouth, np.zeros(4 * RATE), RATE, fps=FPS) is None
    assert check_mouth(np.zeros(100), hum(mouth), RATE, fps=FPS) is None


def test_noise_is_silence_and_a_quiet_word_is_not():
    noise = 2e-4 * np.random.default_rng(0).standard_normal(4 * RATE)
    assert is_silent(noise) and is_silent(np.zeros(0))
    word = noise.copy()
    word[RATE : RATE + RATE // 4] += 0.01 * np.sin(np.arange(RATE // 4) / 10)
    assert not is_silent(word)
