from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from people import TINY, drawn_photos, tiny_head

from talkinghead.commands import export
from talkinghead.errors import UserError
from talkinghead.motion.from_rig import motion_of_weights
from talkinghead.motion.motion import Motion
from talkinghead.portrait.avatar.avatar import feed_forward
from talkinghead.portrait.networks.config import CompositingConfig
from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.meshes import read_mesh
from talkinghead.rig.files.own import default_rig, save_rig

FRAMES = 30


@pytest.fixture
def source(tmp_path):
    """A motion with blendshapes, in a file."""
    weights = np.zeros((FRAMES, 46))
    weights[:, RIG_NAMES.index("jawOpen")] = np.linspace(0, 0.5, FRAMES)
    path = tmp_path / "talk.motion.safetensors"
    motion_of_weights(weights, Fraction(25), default_rig()).save(path)
    return path


def run(*arguments: object) -> None:
    export.main([str(argument) for argument in arguments])


@pytest.mark.parametrize("name", ["talk.csv", "talk.glb", "talk.gltf", "frames"])
def test_each_format_is_written(source, tmp_path, name):
    run(source, "-o", tmp_path / name)
    assert (tmp_path / name).exists()


def test_a_csv_becomes_a_motion_that_drives(source, tmp_path):
    run(source, "-o", tmp_path / "talk.csv")
    run(tmp_path / "talk.csv", "-o", tmp_path / "back.motion.safetensors", "--vertices")
    motion = Motion.load(tmp_path / "back.motion.safetensors")
    assert motion.fps == 25 and motion.vertices is not None
    assert np.allclose(motion.landmarks, Motion.load(source).landmarks, atol=1e-5)


def test_a_tracked_motion_is_fitted_first(source, tmp_path, caplog):
    tracked = Motion.load(source)
    Motion(tracked.landmarks, tracked.confidence, tracked.fps).save(tmp_path / "bare.motion.safetensors")
    with caplog.at_level("INFO"):
        run(tmp_path / "bare.motion.safetensors", "-o", tmp_path / "bare.csv")
    assert "landmarks are missed by" in caplog.text and (tmp_path / "bare.csv").is_file()


def test_another_rig_may_be_given(source, tmp_path):
    save_rig(default_rig(), tmp_path / "mine.rig.safetensors")
    run(source, "-o", tmp_path / "frames", "--rig", tmp_path / "mine.rig.safetensors", "--meshes", "obj")
    assert len(read_mesh(tmp_path / "frames" / "000009.obj")[0]) == len(default_rig().neutral)


@pytest.mark.parametrize("fps", ["fast", "0", "1/0"])
def test_a_rate_that_is_none_is_named(source, tmp_path, fps):
    run(source, "-o", tmp_path / "talk.csv")
    with pytest.raises(UserError, match="--fps is"):
        export.main([str(tmp_path / "talk.csv"), "-o", str(tmp_path / "b.glb"), "--fps", fps])


def test_a_source_is_not_written_over(source):
    with pytest.raises(UserError, match="written over what it is made from"):
        export.main([str(source), "-o", str(source), "--overwrite"])


def test_an_output_that_exists_is_refused_before_work(source, tmp_path):
    (tmp_path / "talk.csv").write_text("")
    with pytest.raises(UserError, match="exists"):
        export.main([str(source), "-o", str(tmp_path / "talk.csv")])


def test_a_motion_without_a_face_is_named(source, tmp_path):
    tracked = Motion.load(source)
    path = tmp_path / "none.motion.safetensors"
    Motion(tracked.landmarks, np.zeros(FRAMES, np.float32), tracked.fps).save(path)
    with pytest.raises(UserError, match="no frame of the motion shows a face"):
        export.main([str(path), "-o", str(tmp_path / "a.csv")])


def test_an_avatars_network_takes_other_formats_than_a_motion(tmp_path):
    pytest.importorskip("onnx")
    path = tmp_path / "anna.avatar.safetensors"
    layers = replace(TINY, compositing=CompositingConfig(layers=True))
    feed_forward(tiny_head(config=layers), drawn_photos(1, size=96)).save(path)
    run(path, "-o", tmp_path / "anna.onnx")
    assert (tmp_path / "anna.onnx").stat().st_size > 10_000
    for name, options, words in (
        ("anna.csv", [], r"ends in \.onnx or \.xml"),
        ("b.onnx", ["--int8"], "--int8 is for OpenVINO"),
        ("anna.onnx", [], "exists"),
    ):
        with pytest.raises(UserError, match=words):
            run(path, "-o", tmp_path / name, *options)
