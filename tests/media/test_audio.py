"""Sound read in step with the video it belongs to."""

from fractions import Fraction
from pathlib import Path

import av
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


def delayed(path: Path, *, picture: float, sound: float) -> Path:
    """A clip whose picture and whose sound begin at these seconds; the sound says by its level how late it is."""
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("ffv1", rate=25), container.add_stream("pcm_s16le", rate=8000)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        levels = (np.arange(8000) // 80 * 100).astype(np.int16)
        for first in range(0, 8000, 400):
            block = av.AudioFrame.from_ndarray(levels[None, first : first + 400], format="s16", layout="mono")
            block.sample_rate, block.pts, block.time_base = 8000, first + round(sound * 8000), Fraction(1, 8000)
            container.mux(audio.encode(block))
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(picture * 1000) + 40 * number, Fraction(1, 1000)
            container.mux(video.encode(frame))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    return path


def test_sound_before_the_first_frame_is_cut(tmp_path):
    heard, rate = read_sound(delayed(tmp_path / "c.mkv", picture=0.5, sound=0.0))
    assert len(heard) == rate // 2
    assert heard[[0, -1]] * 32768 == pytest.approx([5000, 9900], abs=1)


def test_silence_stands_for_sound_that_begins_late(tmp_path):
    heard, rate = read_sound(delayed(tmp_path / "c.mkv", picture=0.5, sound=0.75))
    assert len(heard) == rate * 5 // 4
    assert not heard[: rate // 4].any()
    assert heard[[rate // 4 + 80, -1]] * 32768 == pytest.approx([100, 9900], abs=1)


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
