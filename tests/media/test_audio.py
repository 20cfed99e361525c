"""Sound read in step with the video it belongs to."""

import numpy as np
import pytest
import soundfile

from talkinghead.errors import UserError
from talkinghead.media.audio import SoundBlocks, read_sound
from talkinghead.testing.synthetic import write_clip


def test_a_wav_reads_back(tmp_path):
    waveform = 0.3 * np.sin(np.arange(8000) / 10)
    soundfile.write(tmp_path / "s.wav", waveform, 16000, subtype="FLOAT")
    read, rate = read_sound(tmp_path / "s.wav")
    assert rate == 16000
    assert np.allclose(read, waveform, atol=1e-6)


def test_another_rate_keeps_the_length(tmp_path):
    soundfile.write(tmp_path / "s.wav", 0.3 * np.sin(np.arange(16000) / 10), 16000)
    read, rate = read_sound(tmp_path / "s.wav", sample_rate=8000)
    assert rate == 8000
    assert len(read) == pytest.approx(8000, abs=20)


def test_two_channels_stay_two(tmp_path):
    soundfile.write(tmp_path / "s.wav", np.stack([np.zeros(4000), np.full(4000, 0.5)], 1), 16000)
    blocks = SoundBlocks(tmp_path / "s.wav")
    sound = np.concatenate(list(blocks), 1)
    assert blocks.channels == 2
    assert sound.mean(1) == pytest.approx([0, 0.5], abs=1e-3)


def test_the_sound_of_a_clip_is_as_long_as_its_video(tmp_path):
    write_clip(tmp_path / "c.mp4", 1, frames=25, size=64)
    sound, rate = read_sound(tmp_path / "c.mp4")
    assert len(sound) / rate == pytest.approx(1, abs=0.1)


def test_a_file_without_sound_is_refused(tmp_path):
    write_clip(tmp_path / "c.mp4", 1, frames=3, size=64, sound=False)
    with pytest.raises(UserError, match="no sound"):
        read_sound(tmp_path / "c.mp4")


def test_what_is_no_media_file_is_refused(tmp_path):
    (tmp_path / "c.mp4").write_text("nothing")
    with pytest.raises(UserError, match="not a media file"):
        SoundBlocks(tmp_path / "c.mp4")


def test_sound_that_cannot_be_decoded_is_refused(tmp_path):
    soundfile.write(tmp_path / "s.wav", np.zeros(100), 16000)
    data = (tmp_path / "s.wav").read_bytes()
    (tmp_path / "s.wav").write_bytes(data[: data.index(b"data") + 8])
    with pytest.raises(UserError, match="cannot be decoded"):
        read_sound(tmp_path / "s.wav")
