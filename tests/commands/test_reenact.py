"""reenact, as it is called from the command line."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from people import PAINTER, TINY, drawn_photos, tiny_head, turned_face

from talkinghead import cli
from talkinghead.face.landmarks import mouth_opening
from talkinghead.media.video import VideoWriter, probe, read_frames
from talkinghead.motion.formats.arkit_csv import write_arkit_csv
from talkinghead.motion.from_rig import motion_of_weights
from talkinghead.motion.motion import Motion
from talkinghead.portrait.avatar.avatar import feed_forward
from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.testing.synthetic import random_motion, write_clip


@pytest.fixture(scope="module")
def anna(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("anna") / "anna.avatar.safetensors"
    feed_forward(tiny_head(), drawn_photos(), provenance={}).save(path)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("driver") / "driver.mp4"
    write_clip(path, 3, frames=8, fps=Fraction(24000, 1001), size=288, poses=random_motion(8, seed=3))
    return path


def reenact(*arguments: object) -> int:
    """The exit code of the command."""
    try:
        cli.main(["reenact", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_a_video_moves_an_avatar(anna, clip, tmp_path, capsys):
    out, kept = tmp_path / "out.mp4", tmp_path / "kept.motion.safetensors"
    assert reenact(anna, "--driver", clip, "-o", out, "--save-motion", kept, "--detector", "dlib") == 0
    info = probe(out)
    assert (info.fps, info.frames, info.has_sound) == (Fraction(24000, 1001), 8, True)
    assert info.width == info.height == TINY.size

    again = tmp_path / "again.mp4"  # tracked once, used twice
    options = ["--compare", "--motion", "relative", "--missing", "fade", "--smooth", "0"]
    assert reenact(anna, "--driver", kept, "-o", again, *options) == 0
    assert probe(again).width == 3 * TINY.size
    assert Motion.load(kept).video == clip


def test_the_turn_limit_has_its_old_name_too(tmp_path):
    feed_forward(tiny_head(config=PAINTER), drawn_photos(1)).save(tmp_path / "a.avatar.safetensors")
    turned = Motion(turned_face(60)[None], np.ones(1, np.float32), Fraction(10))
    turned.save(tmp_path / "turned.motion.safetensors")
    frames = {}
    for name, limit in {"new": ["--turn-limit", "60"], "old": ["--most-turn", "60"], "default": []}.items():
        options = ["--driver", tmp_path / "turned.motion.safetensors", "-o", tmp_path / f"{name}.mp4", *limit]
        assert reenact(tmp_path / "a.avatar.safetensors", *options) == 0
        ((_, frames[name]),) = read_frames(tmp_path / f"{name}.mp4")
    assert np.array_equal(frames["new"], frames["old"])
    assert not np.array_equal(frames["new"], frames["default"])


def test_a_motion_moves_an_avatar_as_told(anna, tmp_path):
    motion = Motion(np.tile(drawn_photos().landmarks[:1], (5, 1, 1)), np.ones(5, np.float32), Fraction(10))
    motion.save(tmp_path / "still.motion.safetensors")
    options = ["--no-adapt-scale", "--no-keep-proportions", "--batch-size", 2, "--device", "cpu", "--no-sound"]
    assert reenact(anna, "--driver", tmp_path / "still.motion.safetensors", "-o", tmp_path / "o.mp4", *options) == 0
    assert probe(tmp_path / "o.mp4").frames == 5


def failing(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command says when it refuses."""
    assert reenact(*arguments) == 2
    return capsys.readouterr().err


def test_existing_files_are_refused_before_the_work_starts(anna, tmp_path, capsys):
    out, kept = tmp_path / "out.mp4", tmp_path / "kept.motion.safetensors"
    for path in (out, kept):
        path.write_bytes(b"precious")
        said = failing(capsys, anna, "--driver", "none.mp4", "-o", out, "--save-motion", kept)
        assert "exists" in said and "--overwrite" in said
        assert path.read_bytes() == b"precious"
        path.unlink()


def test_an_input_is_never_overwritten(anna, clip, capsys):
    before = clip.read_bytes()
    assert "made from" in failing(capsys, anna, "--driver", clip, "-o", clip, "--overwrite")
    assert clip.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-o", "out.avi"], "ends in .mp4"),
        (["-o", "out.mp4", "--device", "tpu9"], "--device is 'tpu9'"),
        (["-o", "out.mp4", "--device", "meta"], "--device is 'meta'"),
        (["-o", "out.mp4", "--driver", "none.mp4"], "none.mp4: there is no such file"),
        (["-o", "out.mp4", "--driver", "me.jpg"], "me.jpg is a picture"),
        (["-o", "out.mp4", "--driver", "none.motion.safetensors"], "none.motion.safetensors: there is no such file"),
        (["-o", "out.mp4", "--motion", "sideways"], "sideways"),
        (["-o", "out.mp4", "--speed", "2"], "--speed"),
        (["-o", "out.mp4", "--reference", "8", "--motion", "relative"], "--reference is 8"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options_are_named(anna, clip, tmp_path, monkeypatch, capsys, options, says):
    monkeypatch.chdir(tmp_path)
    assert says in failing(capsys, anna, "--driver", clip, *options)
    assert not list(tmp_path.iterdir())


def test_a_driver_without_a_face_is_named(anna, tmp_path, capsys):
    wall = tmp_path / "wall.mp4"
    with VideoWriter(wall, fps=Fraction(25)) as writer:
        writer.write(np.full((128, 128, 3), 90, np.uint8))
    assert "wall.mp4: no face" in failing(capsys, anna, "--driver", wall, "-o", tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_help_gives_examples(capsys):
    assert reenact("--help") == 0
    page = capsys.readouterr().out
    assert "--save-motion" in page and "talkinghead reenact anna.avatar.safetensors" in page


def test_arkit_curves_move_an_avatar(anna, tmp_path):
    frames = 6
    weights = np.zeros((frames, len(RIG_NAMES)), np.float32)
    weights[:, RIG_NAMES.index("jawOpen")] = np.linspace(0, 0.6, frames)
    recording = motion_of_weights(weights, Fraction(30), default_rig())
    write_arkit_csv(recording, tmp_path / "recording.csv")
    moved, curves = tmp_path / "out.mp4", tmp_path / "kept.motion.safetensors"
    assert reenact(anna, "--driver", tmp_path / "recording.csv", "-o", moved, "--save-motion", curves) == 0
    assert (probe(moved).frames, probe(moved).fps) == (frames, 30)
    opening = mouth_opening(Motion.load(curves).landmarks)
    assert (np.diff(opening) > 0).all()


def test_the_motion_is_kept_where_it_can_be_read_again(anna, clip, tmp_path, capsys):
    out, folder = tmp_path / "out.mp4", tmp_path / "folder.mp4"
    folder.mkdir()
    assert "ends in .motion.safetensors" in failing(capsys, anna, "--driver", clip, "-o", out, "--save-motion", out)
    assert "folder.mp4 is a folder" in failing(capsys, anna, "--driver", clip, "-o", folder, "--overwrite")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


def test_a_motion_without_a_face_is_named(anna, tmp_path, capsys):
    path = tmp_path / "blank.motion.safetensors"
    Motion(np.zeros((3, 68, 2), np.float32), np.ones(3, np.float32), Fraction(10)).save(path)
    said = failing(capsys, anna, "--driver", path, "-o", tmp_path / "out.mp4")
    assert "blank.motion.safetensors: none of its 3 frames shows a face" in said
