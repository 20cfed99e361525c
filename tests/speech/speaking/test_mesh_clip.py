from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from talking_corpus import RATE, loudness, voice

from talkinghead.errors import UserError
from talkinghead.media.audio import read_sound
from talkinghead.media.video import probe, read_frames
from talkinghead.motion.motion import Motion
from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.shade import rig_colours
from talkinghead.speech.model import SpeechMotion
from talkinghead.speech.mouth_check import check_mouth
from talkinghead.speech.speaking.head_motion import still
from talkinghead.speech.speaking.mesh_clip import mesh_frames, write_mesh_clip
from talkinghead.speech.speaking.to_motion import speak_motion

FPS = Fraction(30)


def buzzing(seconds: float, sound: Path | None = None, *, late: float = 0.0) -> Motion:
    """A jaw that opens as the drawn voice is loud, or so many seconds later."""
    talk = np.zeros((round(seconds * FPS), 46), np.float32)
    talk[:, RIG_NAMES.index("jawOpen")] = 0.6 * loudness(np.arange(len(talk)) / float(FPS) - late, 0)
    return speak_motion(
        SpeechMotion(FPS, blendshapes=talk, names=RIG_NAMES), still(len(talk)), default_rig(), sound=sound
    )


@pytest.mark.parametrize("late", [0.0, 0.1])
def test_mouth_and_sound_of_the_file_are_in_step(tmp_path, late):
    soundfile.write(tmp_path / "voice.wav", voice(3.0), RATE)
    motion = buzzing(3.0, tmp_path / "voice.wav", late=late)
    write_mesh_clip(motion, tmp_path / "clip.mp4", size=96, colours=rig_colours(default_rig()))
    assert probe(tmp_path / "clip.mp4").frames == 90 and probe(tmp_path / "clip.mp4").fps == FPS
    frames = np.stack([frame for _, frame in read_frames(tmp_path / "clip.mp4")]).astype(float)
    rest = frames[motion.blendshapes.max(1).argmin()]  # type: ignore[union-attr]
    moved = np.abs(frames - rest).mean((1, 2, 3))  # the mouth alone moves
    sound, rate = read_sound(tmp_path / "clip.mp4")
    found = check_mouth(moved, sound, rate, fps=FPS)
    assert found is not None and found.correlation > 0.7
    assert abs(found.lag_seconds - late) < 0.04


def test_frames_differ_as_the_head_turns_and_colours_show():
    motion = replace(buzzing(0.1), pose=np.array([[0, 0, 0], [0.4, 0, 0], [0, 0, 0]], np.float32))
    plain, turned, again = mesh_frames(motion, size=64)
    assert np.abs(plain.astype(int) - turned).mean() > 2 * np.abs(plain.astype(int) - again).mean()
    painted = next(mesh_frames(motion, size=64, colours=rig_colours(default_rig())))
    assert (painted != plain).any()
    unposed = next(mesh_frames(replace(motion, pose=None), size=64))
    assert np.array_equal(unposed, plain)


def test_a_motion_without_a_mesh_is_named(tmp_path):
    flat = Motion(np.zeros((2, 68, 2), np.float32), np.ones(2, np.float32), FPS)
    with pytest.raises(UserError, match="no mesh to show"):
        write_mesh_clip(flat, tmp_path / "clip.mp4")
