from fractions import Fraction

import numpy as np
import torch
from talking_corpus import RATE, voice

from talkinghead.media.audio import read_sound
from talkinghead.media.video import VideoWriter, probe
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.features import PHAM_RATE
from talkinghead.speech.model import PhamModel
from talkinghead.speech.pham2017 import PhamConfig, PhamNetwork
from talkinghead.speech.speaking.live import LiveFace, LiveSound, LiveStyle

FPS = Fraction(30)


def pham() -> PhamModel:
    torch.manual_seed(0)
    return PhamModel(PhamNetwork(PhamConfig(hidden=8, layers=1)).eval(), rig="head")


def feed(sound: np.ndarray, block: int, *, rate: int = PHAM_RATE, **more: object) -> list[np.ndarray]:
    """Blendshapes and pose of all frames, the sound given in blocks."""
    face = LiveFace(pham(), default_rig(), rate=rate, fps=FPS, style=LiveStyle(**more))
    moves = [face.feed(sound[at : at + block], last=at + block >= len(sound)) for at in range(0, len(sound), block)]
    made = [one for one in moves if one is not None]
    assert face.frames == sum(len(one) for one in made)
    return [np.concatenate([getattr(one, name) for one in made]) for name in ("blendshapes", "pose")]


def test_the_stream_is_the_prediction_of_the_whole():
    sound = voice(1.0, rate=PHAM_RATE)
    streamed, pose = feed(sound, 1470, still=True)
    whole = pham().predict(sound, PHAM_RATE, fps=FPS).blendshapes
    assert len(streamed) == 30 and np.allclose(streamed, whole, atol=1e-3)
    assert np.abs(pose).max() == 0


def test_the_size_of_the_blocks_does_not_matter():
    sound = voice(0.6, rate=PHAM_RATE)
    (small, _), (large, _) = feed(sound, 700, still=True), feed(sound, 9000, still=True)
    assert np.allclose(small, large, atol=1e-4)


def test_a_frame_comes_as_soon_as_its_sound_is_there():
    face = LiveFace(pham(), default_rig(), rate=PHAM_RATE, fps=FPS)
    assert face.feed(np.zeros(1469, np.float32)) is None
    first = face.feed(np.zeros(1, np.float32))
    assert first is not None and len(first) == 1


def test_another_rate_gives_as_many_frames():
    blendshapes, pose = feed(voice(1.0), 533, rate=RATE)
    assert len(blendshapes) == 30
    assert np.abs(pose).max() > 0


def test_sound_that_arrives_while_the_clip_is_written_is_in_it(tmp_path):
    sound = LiveSound(16000)
    with VideoWriter(tmp_path / "live.mp4", fps=FPS, sound=sound) as writer:
        for frame in range(15):
            sound.add(np.full(600, 0.02 * frame, np.float32))
            writer.write(np.full((32, 32, 3), 10 * frame, np.uint8))
    assert probe(tmp_path / "live.mp4").frames == 15
    heard, rate = read_sound(tmp_path / "live.mp4")
    assert abs(len(heard) / rate - 0.5) < 0.13 and np.abs(heard).max() > 0.1
