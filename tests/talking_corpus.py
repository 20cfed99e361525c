"""Drawn speech: a buzz whose loudness opens the jaw of the default rig, or of a mesh of four vertices."""

from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from talkinghead.motion.from_rig import motion_of_weights
from talkinghead.motion.motion import Motion
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.recordings import Recording, Source, Take
from talkinghead.speech.corpora.write import write_corpus

RATE = 16000
FPS = Fraction(30)

TEMPLATE = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]], np.float32)
TRIANGLES = np.array([[0, 1, 2], [0, 1, 3]], np.int32)


def loudness(times: np.ndarray, seed: int) -> np.ndarray:
    """0..1, a few syllables a second."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, 2)
    return np.clip(
        0.6 * np.sin(2 * np.pi * 1.3 * times + phase[0]) + 0.5 * np.sin(2 * np.pi * 2.1 * times + phase[1]), 0, 1
    )


def voice(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """The buzz."""
    times = np.arange(round(seconds * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 130 * k * times) / k for k in range(1, 15))
    noise = np.random.default_rng(seed + 1).normal(size=len(times))
    return (0.25 * buzz * loudness(times, seed) + 0.003 * noise).astype(np.float32)


def rig_motion(seconds: float, seed: int = 0) -> Motion:
    """The jaw of the default rig, open as the buzz is loud."""
    rig = default_rig()
    weights = np.zeros((round(seconds * FPS), len(rig.expression_names)), np.float32)
    weights[:, rig.expression_names.index("jawOpen")] = 0.7 * loudness(np.arange(len(weights)) / 30, seed)
    return motion_of_weights(weights, FPS, rig)


def mesh_motion(seconds: float, seed: int = 0) -> Motion:
    """The third vertex moves down as the buzz is loud."""
    count = round(seconds * FPS)
    vertices = np.repeat(TEMPLATE[None], count, 0)
    vertices[:, 2, 1] -= 0.02 * loudness(np.arange(count) / 30, seed).astype(np.float32)
    return Motion(
        np.zeros((count, 68, 2), np.float32), np.zeros(count, np.float32), FPS, vertices=vertices, topology=TRIANGLES
    )


def make_corpus(
    folder: Path, *, speakers: tuple[str, ...] = ("anna",), seconds: float = 2.0, meshes: bool = False
) -> Path:
    """Two sequences for training and one held out of each speaker."""
    move = mesh_motion if meshes else rig_motion
    recordings = []
    for who, speaker in enumerate(speakers):
        for number, split in enumerate(("train", "train", "val")):
            seed = 10 * who + number
            take = partial(lambda seed: [Take(voice(seconds, seed), RATE, move(seconds, seed))], seed)
            name = f"{speaker}{number}"
            recordings.append(Recording(name, speaker, split, name, take, emotion="calm" if number else "happy"))
    source = Source("facegood", recordings, rig=None if meshes else default_rig().name)
    if meshes:
        source = Source(
            "vocaset", recordings, templates={speaker: TEMPLATE.copy() for speaker in speakers}, topology=TRIANGLES
        )
    write_corpus(source, folder)
    return folder
