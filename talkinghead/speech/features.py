"""What the three networks hear: autocorrelation (Karras), mel + MFCC + chroma (Pham), phonetic scores (VOCA)."""

import math
from fractions import Fraction
from functools import cache

import numpy as np
import soxr
from jaxtyping import Float, Float32, Int
from scipy import fft

from talkinghead.face.frames import between
from talkinghead.speech.phonetics import PHONETIC_RATE

KARRAS_RATE = 16000
"""Hz."""
KARRAS_WINDOW = 8320
"""Samples of one input window, 520 ms; half of them lie before the frame it belongs to, half after."""
KARRAS_FRAMES = 64
KARRAS_HOP = 128
"""Samples between two of the 64 frames, 8 ms."""
KARRAS_FRAME = 256
"""Samples of each of the 64 frames, 16 ms."""
KARRAS_LAGS = 32
KARRAS_SCALE = 8.912
"""What the waveform is multiplied by: one over the standard deviation of the authors' speech."""

PHAM_RATE = 44100
"""Hz."""
PHAM_CHUNK = 2127
"""Samples heard for each video frame: three windows of 25 ms, 512 samples apart. The chunk ends with the frame."""
PHAM_SIZE = 537
"""3 x (128 mel + 39 MFCC with differences + 12 chroma)."""

VOCA_WINDOW = 16
"""Frames of one window: 8 before the frame it belongs to, that frame, 7 after."""

_FFT, _HOP, _COLUMNS, _KEPT = 2048, 512, 5, 3
_MELS, _MFCCS, _CHROMAS = 128, 13, 12
_SMALLEST_POWER = 1e-10
_RANGE_DB = 80.0
_SLOPE = np.arange(-4, 5) / 60.0
_CURVE = np.array([28, 7, -8, -17, -20, -17, -8, 7, 28]) / 462.0
_BLOCK = 256


def resample(waveform: Float[np.ndarray, " s"], rate: int, wanted: int) -> Float32[np.ndarray, " r"]:
    """The waveform at another rate (Hz), by soxr's high-quality filter."""
    if rate == wanted:
        return waveform.astype(np.float32)
    return soxr.resample(waveform, rate, wanted).astype(np.float32)  # type: ignore[no-any-return]


def full_range(waveform: Float[np.ndarray, " s"]) -> Float32[np.ndarray, " s"]:
    """The waveform scaled so that its largest sample is 1 or -1; silence stays silence.

    References:
        Karras et al. 2017, section 3: each track is normalised to the full range, and nothing else is done to it.
    """
    peak = float(np.abs(waveform).max(initial=0))
    return (waveform / peak if peak > 0 else waveform).astype(np.float32)


def frame_times(count: int, fps: Fraction) -> Float[np.ndarray, " {count}"]:
    """The time, seconds, at which each video frame is shown."""
    return np.arange(count) / float(fps)


def autocorrelation(frames: Float[np.ndarray, "*n s"], *, lags: int = KARRAS_LAGS) -> Float32[np.ndarray, "*n {lags}"]:
    """Short-time autocorrelation of lags 0, 1, ..., without mean, under a Hann window, over the frame's length.

    References:
        Karras et al. 2017, section 3.1.
    """
    length = frames.shape[-1]
    # Periodic Hann, as signal analysis takes it
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
    shaped = (frames - frames.mean(-1, keepdims=True, dtype=np.float32)).astype(np.float32) * window
    room = fft.next_fast_len(length + lags, real=True)
    spectrum = fft.rfft(shaped, room, axis=-1)
    return fft.irfft(np.abs(spectrum) ** 2, room, axis=-1)[..., :lags].astype(np.float32) / np.float32(length)


def karras_features(
    waveform: Float[np.ndarray, " s"], times: Float[np.ndarray, " n"], *, scale: float = KARRAS_SCALE
) -> Float32[np.ndarray, "n 64 32"]:
    """The network's input for each time: 64 frames of 32 autocorrelation coefficients around it.

    Outside the waveform there is silence.

    Args:
        waveform: 16 kHz mono over the full range (see `full_range`).
        times: seconds; each is the middle of its window, to the nearest sample.
        scale: what the waveform is multiplied by.

    References:
        Karras et al. 2017, section 3.1: 520 ms, frames of 16 ms every 8 ms, 32 coefficients.
    """
    middle = np.rint(np.asarray(times) * KARRAS_RATE).astype(np.int64)
    starts = middle[:, None] - KARRAS_WINDOW // 2 + KARRAS_HOP * np.arange(KARRAS_FRAMES)
    unique, where = np.unique(starts, return_inverse=True)
    return frames_autocorrelation(waveform, unique, scale=scale)[where.reshape(starts.shape)]


def frames_autocorrelation(
    waveform: Float[np.ndarray, " s"], starts: Int[np.ndarray, " m"], *, scale: float = KARRAS_SCALE
) -> Float32[np.ndarray, "m 32"]:
    """Autocorrelation of the 16 ms frames that begin at the given samples, which may lie outside the waveform."""
    result = np.zeros((len(starts), KARRAS_LAGS), np.float32)
    if not len(starts):
        return result
    before = max(0, -int(starts.min()))
    after = max(0, int(starts.max()) + KARRAS_FRAME - len(waveform))
    padded = np.pad(np.asarray(waveform, np.float32) * np.float32(scale), (before, after))
    frames = np.lib.stride_tricks.sliding_window_view(padded, KARRAS_FRAME)
    for first in range(0, len(starts), 16 * _BLOCK):
        part = slice(first, first + 16 * _BLOCK)
        result[part] = autocorrelation(frames[starts[part] + before])
    return result


def pham_features(waveform: Float[np.ndarray, " s"], fps: Fraction) -> Float32[np.ndarray, "t 537"]:
    """Pham's audio feature of each video frame, from sound up to the end of that frame and no later.

    Args:
        waveform: 44.1 kHz mono.
        fps: video frames a second. The authors round the samples of a frame down to whole ones; here frames end at the
            exact time, so that long sound does not drift.

    References:
        Pham et al. 2017, section 3; the authors' feature extraction.
    """
    count = int(len(waveform) / PHAM_RATE * fps)
    ends = np.array([int((i + 1) * PHAM_RATE / fps) for i in range(count)], np.int64)
    padded = np.concatenate([np.zeros(PHAM_CHUNK, np.float32), np.asarray(waveform, np.float32)])
    result = np.empty((count, PHAM_SIZE), np.float32)
    if count:
        chunks = np.lib.stride_tricks.sliding_window_view(padded, PHAM_CHUNK)
        for first in range(0, count, _BLOCK):
            part = slice(first, first + _BLOCK)
            result[part] = chunk_features(chunks[ends[part]])
    return result


def chunk_features(chunks: Float[np.ndarray, "t 2127"]) -> Float32[np.ndarray, "t 537"]:
    """Mel spectrum, MFCC with first and second differences, and chroma of each chunk: three columns of each.

    The columns are 512 samples apart, each under a Hann window of 2048 that is centred on it, with zeros outside.
    Mel powers are decibels below the chunk's loudest, which makes them independent of the level; MFCC keep it.

    References:
        The authors' feature extraction, which computes its differences over nine columns of five, the ends repeated.
    """
    spectrum = _power_spectrum(chunks)
    mel = spectrum @ _mel_filters().T
    decibel = _decibel(mel)
    loudest = _decibel(mel.max((1, 2), keepdims=True))
    relative = np.maximum(decibel - loudest, -_RANGE_DB)
    absolute = np.maximum(decibel, decibel.max((1, 2), keepdims=True) - _RANGE_DB)
    mfcc = fft.dct(absolute, type=2, norm="ortho", axis=-1)[..., :_MFCCS]
    around = np.pad(mfcc, ((0, 0), (4, 4), (0, 0)), mode="edge")
    spread = np.lib.stride_tricks.sliding_window_view(around, 9, axis=1)[:, :_KEPT]
    chroma = spectrum[:, :_KEPT] @ _chroma_filters().T
    strongest = chroma.max(-1, keepdims=True)
    chroma = chroma / np.where(strongest > np.finfo(np.float32).tiny, strongest, 1)
    parts = (relative[:, :_KEPT], mfcc[:, :_KEPT], spread @ _SLOPE, spread @ _CURVE, chroma)
    return np.concatenate([part.reshape(len(chunks), -1) for part in parts], 1).astype(np.float32)


def _power_spectrum(chunks: Float[np.ndarray, "t 2127"]) -> Float32[np.ndarray, "t 5 1025"]:
    padded = np.pad(chunks.astype(np.float32), ((0, 0), (_FFT // 2, _FFT // 2)))
    columns = np.lib.stride_tricks.sliding_window_view(padded, _FFT, axis=1)[:, : _COLUMNS * _HOP : _HOP]
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)).astype(np.float32)
    return (np.abs(fft.rfft(columns * window, axis=-1)) ** 2).astype(np.float32)  # type: ignore[no-any-return]


def _decibel(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, _SMALLEST_POWER))


@cache
def _mel_filters() -> Float32[np.ndarray, "128 1025"]:
    """Triangles of equal area, evenly spaced on Slaney's mel scale: linear to 1 kHz, logarithmic above."""
    step = math.log(6.4) / 27

    def to_hz(mel: np.ndarray) -> np.ndarray:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(step * (np.maximum(mel, 15) - 15)))

    top = 15 + math.log(PHAM_RATE / 2 / 1000) / step
    corners = to_hz(np.linspace(0, top, _MELS + 2))
    frequencies = np.linspace(0, PHAM_RATE / 2, _FFT // 2 + 1)
    rise = (frequencies - corners[:-2, None]) / np.diff(corners)[:-1, None]
    fall = (corners[2:, None] - frequencies) / np.diff(corners)[1:, None]
    triangles = np.maximum(0, np.minimum(rise, fall))
    return (triangles * (2 / (corners[2:] - corners[:-2]))[:, None]).astype(np.float32)


@cache
def _chroma_filters() -> Float32[np.ndarray, "12 1025"]:
    """How much each frequency belongs to each pitch class, C first: Gaussian bumps, stressed around 880 Hz."""
    frequencies = np.arange(1, _FFT) * PHAM_RATE / _FFT
    semitones = _CHROMAS * np.log2(frequencies / (440 / 16))
    semitones = np.concatenate([semitones[:1] - 1.5 * _CHROMAS, semitones])
    width = np.append(np.maximum(np.diff(semitones), 1), 1)
    half = _CHROMAS // 2
    distance = np.remainder(semitones - np.arange(_CHROMAS)[:, None] + half, _CHROMAS) - half
    weights = np.exp(-0.5 * (2 * distance / width) ** 2)
    weights /= np.linalg.norm(weights, axis=0)
    weights *= np.exp(-0.5 * ((semitones / _CHROMAS - 5) / 2) ** 2)
    return np.roll(weights, -3, axis=0)[:, : _FFT // 2 + 1].astype(np.float32)


def windows_at(
    scores: Float[np.ndarray, "n d"],
    times: Float[np.ndarray, " t"],
    *,
    fps: Fraction = Fraction(60),
) -> Float32[np.ndarray, "t 16 d"]:
    """The window of each time, which need not be that of a frame: 8 frames before it, itself, 7 after.

    Args:
        scores: 50 a second; interpolated linearly, the last one repeated to the end.
        times: seconds.
        fps: frames a second inside a window.

    References:
        Cudeiro et al. 2019, section 4: DeepSpeech's unnormalised log-probabilities, resampled from 50 to 60 frames a
        second, windows of 16, zeros beyond the ends.
    """
    inside = np.asarray(times)[:, None] + (np.arange(VOCA_WINDOW) - VOCA_WINDOW // 2) / float(fps)
    heard = (inside > -1e-6) & (inside < len(scores) / PHONETIC_RATE - 1e-6)
    mixed = between(scores, inside * PHONETIC_RATE)
    return np.where(heard[..., None], mixed, 0).astype(np.float32)
