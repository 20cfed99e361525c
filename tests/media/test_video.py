"""Videos read as a player shows them, whatever their making, and written with exact rate and sound."""

import os
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
from odd_clips import corners, greys, number, quarters, set_matrix, write, write_hdr

from talkinghead.errors import UserError
from talkinghead.media.audio import read_sound
from talkinghead.media.video import VideoWriter, probe, read_frames


def test_probe_says_what_is_there(tmp_path):
    info = probe(write(tmp_path / "a.mp4", greys(10), fps=20))
    assert (info.width, info.height, info.fps, info.frames, info.has_sound) == (64, 48, 20, 10, False)
    assert info.seconds == pytest.approx(0.5)


def test_every_frame_of_a_constant_video_comes_once_in_order(tmp_path):
    read = list(read_frames(write(tmp_path / "a.mp4", greys(30), fps=30)))
    assert [number(frame) for _, frame in read] == list(range(30))
    assert [at for at, _ in read] == pytest.approx([i / 30 for i in range(30)])


@pytest.mark.parametrize(("fps", "expected"), [(Fraction(25, 2), [0, 2, 4, 6, 8]), (Fraction(50), 20)])
def test_another_rate_takes_every_other_frame_or_repeats(tmp_path, fps, expected):
    read = [number(frame) for _, frame in read_frames(write(tmp_path / "a.mp4", greys(10)), fps=fps)]
    assert read == expected or len(read) == expected


def test_without_repeats_no_frame_comes_twice(tmp_path):
    path = write(tmp_path / "a.mp4", greys(10))
    assert [number(frame) for _, frame in read_frames(path, fps=Fraction(60), repeat=False)] == list(range(10))


def test_a_varying_rate_becomes_constant(tmp_path):
    times = [0, 40, 80, 480, 520, 560]
    path = write(tmp_path / "a.mkv", greys(6), times_ms=times)
    read = list(read_frames(path, fps=Fraction(25)))
    assert [at for at, _ in read] == pytest.approx([i / 25 for i in range(len(read))])
    assert [number(frame) for _, frame in read] == [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4, 5]
    own = [number(frame) for _, frame in read_frames(path, fps=Fraction(25), repeat=False)]
    assert own == list(range(6))


def test_times_count_from_the_first_frame(tmp_path):
    path = write(tmp_path / "a.mkv", greys(4), times_ms=[1000, 1040, 1080, 1120])
    assert [at for at, _ in read_frames(path, fps=Fraction(25))] == pytest.approx([0, 0.04, 0.08, 0.12])


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((1, 0, 0, 1), ["red", "green", "blue", "white"]),
        ((0, 1, -1, 0), ["blue", "red", "white", "green"]),  # a telephone held upright: turned clockwise
        ((-1, 0, 0, -1), ["white", "blue", "green", "red"]),
        ((0, -1, 1, 0), ["green", "white", "red", "blue"]),
        ((-1, 0, 0, 1), ["green", "red", "white", "blue"]),  # a mirror, which is no turn by 180 degrees
        ((0, 1, 1, 0), ["red", "blue", "green", "white"]),
    ],
)
def test_frames_are_turned_upright(tmp_path, matrix, upright):
    path = write(tmp_path / "a.mp4", [corners()] * 3)
    set_matrix(path, *matrix)
    _, frame = next(read_frames(path))
    assert quarters(frame) == upright
    info = probe(path)
    assert (info.height, info.width) == frame.shape[:2]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("ffv1", "yuv420p10le", ".mkv"),
        ("ffv1", "gray", ".mkv"),
        ("libx264", "yuv444p", ".mp4"),
        ("gif", "rgb8", ".gif"),
    ],
)
def test_other_pixel_formats_are_read_as_8_bit_rgb(tmp_path, codec, pix_fmt, suffix):
    path = write(tmp_path / f"a{suffix}", greys(5), codec=codec, pix_fmt=pix_fmt)
    frames = [frame for _, frame in read_frames(path)]
    assert all(frame.dtype == np.uint8 and frame.shape == (48, 64, 3) for frame in frames)
    assert abs(float(frames[-1].mean()) - 40) < 20


def test_odd_sizes_are_kept(tmp_path):
    path = write(tmp_path / "a.mkv", [corners(37, 51)] * 3, codec="ffv1")
    _, frame = next(read_frames(path))
    assert frame.shape == (51, 37, 3)
    assert quarters(frame) == ["red", "green", "blue", "white"]


def test_frames_are_shrunk_to_the_side_asked_for(tmp_path):
    path = write(tmp_path / "a.mp4", [corners(128, 96)] * 2)
    _, frame = next(read_frames(path, max_side=32))
    assert frame.shape == (24, 32, 3)
    assert quarters(frame) == ["red", "green", "blue", "white"]


def test_grey_is_the_brightness_of_the_colours(tmp_path):
    path = write(tmp_path / "a.mp4", greys(6))
    for (_, grey), (_, colour) in zip(read_frames(path, colour="grey"), read_frames(path), strict=True):
        assert grey.shape == colour.shape[:2]
        assert abs(float(grey.mean()) - float(colour.mean())) < 3


def test_a_file_cut_off_gives_the_frames_before_the_cut(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), dtype=np.uint8)
    path = write(tmp_path / "a.mp4", list(noise))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 5 < len(list(read_frames(path))) < 35


def test_damage_in_the_middle_is_passed_over(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), dtype=np.uint8)
    path = write(tmp_path / "a.mp4", list(noise))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 5000] = bytes(5000)
    path.write_bytes(bytes(data))
    assert len(list(read_frames(path))) > 10


def test_reading_holds_one_frame_at_a_time(tmp_path):
    path = write(tmp_path / "a.mp4", greys(30, 320, 240))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_frames(path)) == 30
        assert tracemalloc.get_traced_memory()[1] < 4 * 320 * 240 * 3
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux tells which files are open")
def test_a_reader_that_stops_early_leaves_nothing_open(tmp_path):
    path = write(tmp_path / "a.mp4", greys(30))

    def is_open():
        return path.resolve() in [link.resolve() for link in Path("/proc/self/fd").iterdir()]

    frames = read_frames(path)
    next(frames)
    assert is_open()
    frames.close()
    assert not is_open()


def write_sound(path: Path, seconds: float = 1.0) -> Path:
    soundfile.write(path, 0.1 * np.sin(np.arange(int(seconds * 16000)) / 20), 16000)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("not a video"), "not a media file"),
        (lambda path: write_sound(path.with_suffix(".wav")).rename(path), "no video stream"),
        (lambda path: cut_before_the_index(path), "not a media file"),
        (lambda path: cut_before_the_frames(path), "no frame can be decoded"),
    ],
)
def test_unreadable_files_are_refused_by_name(tmp_path, make, message):
    path = tmp_path / "bad.mp4"
    make(path)
    for read in (probe, lambda path: list(read_frames(path))):
        with pytest.raises(UserError, match=message) as caught:
            read(path)
        assert "bad.mp4" in str(caught.value)


def cut_before_the_index(path: Path) -> None:
    write(path, greys(20), faststart=False)
    path.write_bytes(path.read_bytes()[:-600])


def cut_before_the_frames(path: Path) -> None:
    data = write(path, greys(20)).read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4])


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(corners(32, 32), format="rgb24")))
        container.mux(cover.encode(None))
        block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        block.sample_rate = 16000
        container.mux(sound.encode(block))
        container.mux(sound.encode(None))
    with pytest.raises(UserError, match="no video stream"):
        probe(path)


def test_what_is_written_reads_back(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", fps=Fraction(30000, 1001)) as writer:
        for frame in [corners()] * 12:
            writer.write(frame)
    info = probe(tmp_path / "a.mp4")
    assert (info.fps, info.frames, info.has_sound) == (Fraction(30000, 1001), 12, False)
    read = [frame for _, frame in read_frames(tmp_path / "a.mp4")]
    assert len(read) == 12
    patch = np.s_[8:16, 8:24]
    assert np.abs(read[5][patch].astype(int) - corners()[patch]).mean() < 4
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_odd_frames_are_made_even(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", fps=Fraction(25)) as writer:
        writer.write(corners(33, 21))
    assert (probe(tmp_path / "a.mp4").width, probe(tmp_path / "a.mp4").height) == (34, 22)


@pytest.mark.parametrize(("sound_seconds", "expected"), [(3.0, 1.0), (0.4, 0.4)])
def test_sound_is_cut_to_the_video_and_may_be_shorter(tmp_path, sound_seconds, expected):
    sound = write_sound(tmp_path / "s.wav", sound_seconds)
    with VideoWriter(tmp_path / "a.mp4", fps=Fraction(25), sound=sound) as writer:
        for frame in [corners()] * 25:
            writer.write(frame)
    heard, rate = read_sound(tmp_path / "a.mp4")
    assert len(heard) / rate == pytest.approx(expected, abs=0.15)
    assert probe(tmp_path / "a.mp4").frames == 25
    said, _ = read_sound(sound)
    assert np.corrcoef(heard[1000:6000], said[1000:6000])[0, 1] > 0.9  # in step with the video


def test_a_broken_off_writing_leaves_no_file(tmp_path):
    with pytest.raises(RuntimeError), VideoWriter(tmp_path / "a.mp4", fps=Fraction(25)) as writer:
        writer.write(corners())
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_video_without_frames_is_refused(tmp_path):
    with pytest.raises(UserError, match="no frame to write"), VideoWriter(tmp_path / "a.mp4", fps=Fraction(25)):
        pass
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept_unless_it_may_go(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("precious")
    with pytest.raises(UserError, match="exists"), VideoWriter(path, fps=Fraction(25)) as writer:
        writer.write(corners())
    assert path.read_text() == "precious"
    with VideoWriter(path, fps=Fraction(25), overwrite=True) as writer:
        writer.write(corners())
    assert probe(path).frames == 1


def test_a_change_of_size_is_refused(tmp_path):
    with pytest.raises(ValueError, match="64x48"), VideoWriter(tmp_path / "a.mp4", fps=Fraction(25)) as writer:
        writer.write(corners())
        writer.write(corners(32, 32))


def test_a_writer_is_used_inside_its_block(tmp_path):
    with pytest.raises(ValueError, match="with"):
        VideoWriter(tmp_path / "a.mp4", fps=Fraction(25)).write(corners())


def test_a_rate_that_no_mp4_has_is_named_and_leaves_nothing(tmp_path):
    with (
        pytest.raises(UserError, match="a.mp4: frame . at 1/100000 frames a second cannot be written"),
        VideoWriter(tmp_path / "a.mp4", fps=Fraction(1, 100_000)) as writer,
    ):
        for _ in range(3):
            writer.write(np.zeros((64, 64, 3), np.uint8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize("colour", ["rgb", "grey"])
def test_hdr_looks_as_the_same_clip_without(tmp_path, transfer, colour):
    shown = cv2.GaussianBlur(corners(128, 96), (0, 0), 3)
    value = shown / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    _, frame = next(read_frames(write_hdr(tmp_path / "a.mov", light, transfer), colour=colour))
    expected = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY) if colour == "grey" else shown
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(float).mean((0, 1)) - expected.mean((0, 1))).max() < 4
    assert np.abs(frame.astype(int) - expected).mean() < 5


@pytest.mark.parametrize("transfer", [16, 18])
def test_what_is_brighter_than_paper_keeps_its_shape(tmp_path, transfer):
    light = np.tile(np.linspace(0.5, 4, 128)[None, :, None], (64, 1, 3))
    _, frame = next(read_frames(write_hdr(tmp_path / "a.mov", light, transfer)))
    steps = frame[32, 8:-8:16].astype(int).mean(-1)
    assert (np.diff(steps) >= 0).all()
    assert steps[-1] > steps[len(steps) // 2] > 235


@pytest.mark.parametrize(
    ("aspect", "size"),
    [(Fraction(4, 3), (64, 48)), (Fraction(3, 4), (48, 64)), (Fraction(1), (48, 48)), (Fraction(99), (48, 48))],
)
@pytest.mark.parametrize("turned", [False, True])
def test_pixels_that_are_not_square_are_shown_in_true_proportions(tmp_path, aspect, size, turned):
    path = write(tmp_path / "a.mp4", [corners(48, 48)] * 3, aspect=aspect)
    if turned:
        set_matrix(path, 0, 1, -1, 0)
        size = size[::-1]
    _, frame = next(read_frames(path))
    assert (frame.shape[1], frame.shape[0]) == size
    info = probe(path)
    assert (info.width, info.height) == size
    _, small = next(read_frames(path, max_side=24))
    assert max(small.shape[:2]) == 24


@pytest.mark.parametrize("name", ["12:30.mp4", "concat:a.mp4", "a:b 12.mp4", "%d.mp4", "pipe:", "http:x.mp4", "-i.mp4"])
def test_any_name_is_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.mp4", greys(5))
    with VideoWriter(Path(name), fps=Fraction(25)) as writer:
        for frame in greys(7):
            writer.write(frame)
    assert len(list(read_frames(Path(name)))) == 7
    assert (tmp_path / name).is_file()


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile 'a.mp4'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
    ],
)
def test_a_list_of_other_files_under_a_videos_name_opens_none(tmp_path, text):
    write(tmp_path / "a.mp4", greys(5))
    write(tmp_path / "a.ts", greys(25))
    (tmp_path / "list.mp4").write_text(text)
    with pytest.raises(UserError, match="list.mp4: not a media file"):
        probe(tmp_path / "list.mp4")


def test_a_link_in_a_circle_and_a_pipe_are_sentences(tmp_path):
    (tmp_path / "a.mp4").symlink_to(tmp_path / "b.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "a.mp4")
    with pytest.raises(UserError, match="a.mp4: it is a symbolic link that leads back to itself"):
        probe(tmp_path / "a.mp4")
    os.mkfifo(tmp_path / "c.mp4")
    with pytest.raises(UserError, match="c.mp4 is a pipe or a device"):
        probe(tmp_path / "c.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_video_that_breaks_off_says_how_much_was_read(tmp_path, caplog, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), dtype=np.uint8)
    path = write(tmp_path / f"a{suffix}", list(noise))
    whole = list(read_frames(path))
    assert "cut off" not in caplog.text
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for _ in range(2):
        read = list(read_frames(path))
    assert len(read) < len(whole) - 5
    assert caplog.text.count(f"a{suffix}: the file is cut off or damaged: its video can be read for ") == 1
    assert f"{len(read) / 25:.1f} of 1.6 s" in caplog.text


def test_a_slower_rate_than_one_repeats_frames(tmp_path):
    path = write(tmp_path / "a.mp4", greys(3), fps=Fraction(1, 4))
    assert probe(path).fps == 1
    assert [number(frame) for _, frame in read_frames(path)][::4] == [0, 1, 2]


def test_clips_that_once_looked_wrong(cases):
    means = {
        name: next(read_frames(cases / name))[1].reshape(-1, 3).mean(0)
        for name in ("sdr.mp4", "hdr_hlg.mov", "nonsquare_pixels.mp4")
    }
    assert means["hdr_hlg.mov"] == pytest.approx([161, 127, 114], abs=6)
    assert means["nonsquare_pixels.mp4"] == pytest.approx(means["sdr.mp4"], abs=3)
    assert next(read_frames(cases / "nonsquare_pixels.mp4"))[1].shape == (320, 320, 3)
