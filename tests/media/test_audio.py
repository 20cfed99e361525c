"""Sound read in step with the video it belongs to."""

import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from talkinghead.errors import UserError
from talkinghead.media.audio import SoundBlocks, read_sound
from talkinghead.media.containers import AAC_RATES
from talkinghead.media.video import VideoWriter
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


def tone(rate: int, seconds: float = 1.0, pitch: float = 200.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)


def beside_frames(sound, folder):
    """A second of frames with a file's sound."""
    with VideoWriter(folder / "clip.mp4", fps=Fraction(25), sound=sound, overwrite=True) as writer:
        for _ in range(25):
            writer.write(np.zeros((32, 32, 3), np.uint8))
    return folder / "clip.mp4"


@pytest.mark.parametrize("rate", [6000, 8000, 11024, 11025, 16000, 22000, 22050, 37800, 44100, 50000, 96000, 192000])
def test_sound_of_any_rate_stands_beside_frames(tmp_path, rate):
    soundfile.write(tmp_path / "s.wav", tone(rate), rate)
    heard, found = read_sound(beside_frames(tmp_path / "s.wav", tmp_path))
    assert found in AAC_RATES
    assert found >= min(rate, 96000)
    assert len(heard) / found == pytest.approx(1, abs=0.15)
    spectrum = np.abs(np.fft.rfft(heard[: found // 2]))
    assert spectrum.argmax() * 2 == pytest.approx(200, abs=4)  # the same pitch
    assert np.abs(heard[found // 4 : found // 2]).max() == pytest.approx(0.3, abs=0.06)


def test_a_rate_that_no_microphone_has_is_refused(tmp_path):
    for rate in (1, 100, 4_000_000):
        soundfile.write(tmp_path / "s.wav", tone(8000), rate, subtype="FLOAT")
        with pytest.raises(UserError, match=f"its sound has {rate} samples a second; give sound with 1000 to 768000"):
            read_sound(tmp_path / "s.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, 32768.0])
def test_what_is_no_sample_is_refused_by_value(tmp_path, value):
    sound = tone(16000)
    sound[8000:8010] = value
    soundfile.write(tmp_path / "s.wav", sound, 16000, subtype="DOUBLE")
    with pytest.raises(UserError, match="s.wav: a sample of its sound is .*write the file again"):
        read_sound(tmp_path / "s.wav")


def test_a_clip_is_not_given_up_for_samples_that_are_none(tmp_path, caplog):
    sound = tone(16000)
    sound[8000:8010] = np.nan
    soundfile.write(tmp_path / "s.wav", sound, 16000, subtype="FLOAT")
    heard, _ = read_sound(beside_frames(tmp_path / "s.wav", tmp_path))
    assert np.abs(heard[:6000]).max() == pytest.approx(0.3, abs=0.06)
    assert "samples of its sound that are none, such as nan, are silenced" in caplog.text


def test_a_little_above_full_scale_is_sound(tmp_path):
    soundfile.write(tmp_path / "s.wav", 5 * tone(16000), 16000, subtype="FLOAT")
    assert np.abs(read_sound(tmp_path / "s.wav")[0]).max() == pytest.approx(1.5, abs=0.01)


def with_codec(path, code: int):
    """A wav that says it holds a codec of this number."""
    soundfile.write(path, tone(16000), 16000)
    data = bytearray(path.read_bytes())
    at = data.index(b"fmt ") + 8
    data[at : at + 2] = struct.pack("<H", code)
    path.write_bytes(bytes(data))
    return path


def test_an_unknown_codec_is_refused(tmp_path):
    with pytest.raises(UserError, match="no decoder for its sound is installed"):
        read_sound(with_codec(tmp_path / "s.wav", 0x4001))


def test_channels_that_undo_each_other_are_not_mixed(tmp_path, caplog):
    left = tone(16000)
    soundfile.write(tmp_path / "s.wav", np.stack([0.5 * left, -left], 1), 16000)
    mixed, _ = read_sound(tmp_path / "s.wav")
    assert np.abs(mixed).max() == pytest.approx(0.106, abs=0.01)  # FFmpeg's mix of two is 3 dB down
    assert "undo each other" not in caplog.text
    soundfile.write(tmp_path / "t.wav", np.stack([left, -left], 1), 16000)
    heard, _ = read_sound(tmp_path / "t.wav")
    assert heard == pytest.approx(left, abs=1e-3)
    assert "t.wav: its two channels undo each other when mixed; the left is taken" in caplog.text


def test_silence_is_said_once(tmp_path, caplog):
    soundfile.write(tmp_path / "s.wav", np.zeros(32000), 16000)
    for _ in range(2):
        assert len(read_sound(tmp_path / "s.wav")[0]) == 32000
    assert caplog.text.count("s.wav: its sound is silence, for all of its 2.0 s") == 1


def test_files_without_content_are_refused(tmp_path):
    (tmp_path / "s.wav").write_bytes(b"")
    with pytest.raises(UserError, match="the file is empty"):
        read_sound(tmp_path / "s.wav")
    soundfile.write(tmp_path / "t.wav", np.zeros(0), 16000)
    with pytest.raises(UserError, match="t.wav: .*(cannot be decoded|cannot be opened)"):
        read_sound(tmp_path / "t.wav")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "s.wav")
    with pytest.raises(UserError, match="s.wav is a pipe or a device"):
        read_sound(tmp_path / "s.wav")


def test_sound_that_is_cut_off_is_said(tmp_path, caplog):
    soundfile.write(tmp_path / "s.flac", np.random.default_rng(0).normal(0, 0.1, 160000), 16000)
    data = (tmp_path / "s.flac").read_bytes()
    (tmp_path / "s.flac").write_bytes(data[: len(data) // 2])
    read_sound(tmp_path / "s.flac")
    assert "the file is cut off or damaged: its sound can be read for" in caplog.text
    assert "of 10.0 s" in caplog.text


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("nan", "a sample of its sound is nan"),
        ("unknown_codec", "no decoder"),
        ("fuzz_wav_123", "no decoder"),
        ("rate1", "1 samples a second"),
    ],
)
def test_sounds_that_once_failed_are_a_sentence(cases, name, problem):
    with pytest.raises(UserError, match=problem):
        read_sound(cases / f"{name}.wav")


def test_vocas_own_rate_is_a_clip(cases, tmp_path):
    assert read_sound(beside_frames(cases / "tone_22000hz.wav", tmp_path))[1] == 22050
