"""Drawn recordings of speech for tests: a hum as loud as a mouth is open."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000


def opening(frames: int, *, seed: int = 0, fps: float = 30) -> np.ndarray:
    """A mouth that opens a few times a second, 0..1."""
    random = np.random.default_rng(seed)
    seconds = np.arange(frames) / fps
    rates, phases = random.uniform(1.5, 4, 3), random.uniform(0, 2 * np.pi, 3)
    return np.clip(np.sin(2 * np.pi * rates * seconds[:, None] + phases).mean(1) + 0.2, 0, 1)


def hum(mouth: np.ndarray, *, fps: float = 30, rate: int = RATE, delay: float = 0.0) -> np.ndarray:
    """A sound as loud as the mouth is open, `delay` seconds before it."""
    seconds = np.arange(round(len(mouth) / fps * rate)) / rate
    loud = np.interp(seconds + delay, np.arange(len(mouth)) / fps, mouth)
    return (0.4 * loud * np.sin(2 * np.pi * 150 * seconds)).astype(np.float32)


def write_facegood(
    folder: Path, names: list[str], weights: dict[str, np.ndarray], mouths: dict[str, np.ndarray]
) -> None:
    """A folder as the FACEGOOD reader expects it, without a mapping."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "names.txt").write_text("\n".join(names))
    for name, array in weights.items():
        np.save(folder / f"{name}.npy", array.astype(np.float32))
        soundfile.write(folder / f"{name}.flac", hum(mouths[name]), RATE)


THIRTY = Fraction(30)
