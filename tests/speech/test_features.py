"""Features against independent references: a direct formula, librosa, and what they may not hear."""

import warnings
from fractions import Fraction

import numpy as np
import pytest

from talkinghead.speech import features
from talkinghead.speech.features import (
    autocorrelation,
    chunk_features,
    frame_times,
    full_range,
    karras_features,
    pham_features,
    resample,
    windows_at,
)


def voice(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """A buzz with a moving formant and some noise."""
    times = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * k * times) / k for k in range(1, 20))
    noise = np.random.default_rng(seed).normal(size=len(times))
    return (0.2 * buzz * (1 + np.sin(2 * np.pi * 3 * times)) + 0.02 * noise).astype(np.float32)


def test_autocorrelation_agrees_with_the_sum_it_stands_for():
    frame = voice(0.016, 16000)
    length = len(frame)
    shaped = (frame - frame.mean()) * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length))
    expected = [sum(shaped[i] * shaped[i + lag] for i in range(length - lag)) / length for lag in range(32)]
    assert autocorrelation(frame[None])[0] == pytest.approx(expected, abs=1e-6)


def test_karras_window_is_centred_and_silent_beyond_the_ends():
    waveform = np.zeros(16000, np.float32)
    waveform[8000] = 1
    heard = karras_features(waveform, np.array([0.5, 0.5 + 0.25, 0.5 + 0.27, -1.0]), scale=1.0)
    assert heard.shape == (4, 64, 32)
    energy = heard[:, :, 0]
    assert {int(i) for i in np.flatnonzero(energy[0] > 1e-5)} <= {31, 32}
    assert energy[1, 0:3].max() > 0 and energy[1, 3:].max() == 0
    assert energy[2].max() == 0 and energy[3].max() == 0


def test_karras_frames_are_cut_where_the_paper_says():
    waveform = voice(1, 16000)
    heard = karras_features(waveform, np.array([0.4]), scale=2.0)[0]
    start = round(0.4 * 16000) - 4160
    for i in (0, 17, 63):
        frame = waveform[start + 128 * i : start + 128 * i + 256] * 2
        np.testing.assert_allclose(heard[i], autocorrelation(frame[None])[0], rtol=1e-4, atol=1e-6)


def test_full_range_reaches_one_and_leaves_silence_alone():
    assert np.abs(full_range(voice(0.1, 16000))).max() == pytest.approx(1)
    assert not full_range(np.zeros(10, np.float32)).any()


def test_resampling_keeps_a_tone():
    times = np.arange(44100) / 44100
    low = resample(np.sin(2 * np.pi * 440 * times).astype(np.float32), 44100, 16000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert len(low) == 16000
    assert np.abs(low - expected)[200:-200].max() < 1e-3


def test_chunk_features_agree_with_librosa():
    librosa = pytest.importorskip("librosa", exc_type=ImportError, reason="librosa is the reference")
    waveform = voice(0.5, 44100)
    chunk = waveform[5000 : 5000 + 2127]
    power = librosa.feature.melspectrogram(y=chunk, sr=44100, n_mels=128, hop_length=512, n_fft=2048)
    mel = librosa.power_to_db(power, ref=np.max)
    mfcc = librosa.feature.mfcc(y=chunk, sr=44100, n_mfcc=13, hop_length=512, n_fft=2048)
    slopes = [librosa.feature.delta(mfcc, order=order, mode="nearest") for order in (1, 2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chroma = librosa.feature.chroma_stft(y=chunk, sr=44100, hop_length=512, n_fft=2048, tuning=0.0)
    expected = np.concatenate([part[:, :3].T.ravel() for part in (mel, mfcc, *slopes, chroma)])
    ours = chunk_features(chunk[None])[0]
    assert ours.shape == (537,)
    np.testing.assert_allclose(ours, expected, atol=2e-2, rtol=1e-3)


def test_pham_chunks_end_with_their_frame():
    waveform = voice(1, 44100)
    heard = pham_features(waveform, Fraction(30))
    assert heard.shape == (30, 537)
    np.testing.assert_allclose(heard[9], chunk_features(waveform[14700 - 2127 : 14700][None])[0], atol=1e-3)
    later = waveform.copy()
    later[14700:] = 0
    np.testing.assert_array_equal(pham_features(later, Fraction(30))[:10], heard[:10])
    assert not np.allclose(pham_features(later, Fraction(30))[10], heard[10])


def test_pham_frames_do_not_drift_at_broadcast_rate():
    assert len(pham_features(np.zeros(44100 * 100, np.float32), Fraction(30000, 1001))) == 2997


def test_nothing_to_hear_gives_nothing():
    assert pham_features(np.zeros(100, np.float32), Fraction(30)).shape == (0, 537)
    assert karras_features(np.zeros(0, np.float32), np.zeros(0)).shape == (0, 64, 32)


def test_windows_hold_eight_frames_before_and_seven_after():
    scores = np.arange(1, 31, dtype=np.float32)[:, None]
    windows = windows_at(scores, frame_times(30, Fraction(50)), fps=Fraction(50))
    assert windows.shape == (30, 16, 1)
    assert windows[0, :, 0].tolist() == [0] * 8 + list(range(1, 9))
    np.testing.assert_allclose(windows[20, :, 0], range(13, 29), rtol=1e-5)
    assert windows[29, 9:, 0].tolist() == [0] * 7


def test_scores_are_interpolated_linearly_from_50_to_60():
    scores = np.arange(50, dtype=np.float32)[:, None]
    now = windows_at(scores, frame_times(60, Fraction(60)))[:, 8, 0]
    np.testing.assert_allclose(now[:58], np.arange(58) * 50 / 60, rtol=1e-5)


def test_sizes_are_the_papers():
    assert features.KARRAS_WINDOW / features.KARRAS_RATE == 0.52
    assert features.PHAM_SIZE == 3 * (128 + 39 + 12)
