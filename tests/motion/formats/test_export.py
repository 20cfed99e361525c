import csv
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.spatial.transform import Rotation

from talkinghead.errors import UserError
from talkinghead.motion.formats.arkit_csv import read_arkit_csv, timecode, write_arkit_csv
from talkinghead.motion.formats.export import ExportConfig, export_motion, morph_animation
from talkinghead.motion.formats.gltf import principal_targets, quaternions
from talkinghead.motion.from_rig import motion_of_weights
from talkinghead.motion.motion import Motion
from talkinghead.rig.arkit import ARKIT_NAMES, RIG_NAMES
from talkinghead.rig.files.load import load_rig
from talkinghead.rig.files.meshes import read_mesh
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.rig import Rig, rotate, rotation_matrix

FRAMES = 30
NTSC = Fraction(30000, 1001)


@pytest.fixture(scope="module")
def rig() -> Rig:
    return default_rig()


@pytest.fixture(scope="module")
def motion(rig) -> Motion:
    random = np.random.default_rng(0)
    pose = random.normal(0, 0.2, (FRAMES, 3)).astype(np.float32)
    return motion_of_weights(random.uniform(0, 0.5, (FRAMES, 46)), Fraction(25), rig, pose=pose)


@pytest.fixture(scope="module")
def meshes_alone(motion, rig) -> Motion:
    """As VOCA's motions are: vertices, no blendshapes."""
    vertices = rig.vertices(motion.blendshapes)
    return replace(motion, blendshapes=None, blendshape_names=(), vertices=vertices, topology=rig.faces)


def with_sound(motion: Motion, folder: Path) -> Motion:
    path = folder / "voice.flac"
    soundfile.write(path, 0.3 * np.sin(np.arange(4800) / 20), 16000)
    return replace(motion, sound=path)


def test_a_csv_reads_back(motion, rig, tmp_path):
    export_motion(motion, tmp_path / "a.csv", rig)
    found = read_arkit_csv(tmp_path / "a.csv")
    assert found.fps == 25 and found.blendshape_names == RIG_NAMES
    assert np.allclose(found.blendshapes, motion.blendshapes, atol=2e-6)
    assert np.allclose(found.pose, motion.pose, atol=2e-6) and np.allclose(found.landmarks, motion.landmarks, atol=1e-5)


def test_a_csv_looks_as_an_independent_reader_expects(motion, tmp_path):
    write_arkit_csv(motion, tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == FRAMES and len(rows[0]) == 2 + 52 + 9
    assert {name[0].upper() + name[1:] for name in ARKIT_NAMES} < set(rows[0])
    assert rows[3]["Timecode"] == "00:00:00:03.000" and rows[0]["BlendShapeCount"] == "61"
    assert float(rows[5]["JawOpen"]) == pytest.approx(motion.blendshapes[5, RIG_NAMES.index("jawOpen")], abs=1e-6)
    assert float(rows[5]["EyeLookUpLeft"]) == float(rows[5]["EyeLookUpRight"])
    assert float(rows[5]["HeadYaw"]) == pytest.approx(motion.pose[5, 0], abs=1e-6)


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30), Fraction(60), NTSC])
def test_the_rate_survives_in_timecodes(rig, tmp_path, fps):
    long = motion_of_weights(np.zeros((round(3 * fps), 46)), fps, rig)
    write_arkit_csv(long, tmp_path / "a.csv")
    assert read_arkit_csv(tmp_path / "a.csv").fps == pytest.approx(fps, rel=1e-4)
    assert read_arkit_csv(tmp_path / "a.csv", fps=Fraction(24)).fps == 24


def test_timecodes_count_hours_minutes_seconds_and_frames():
    assert timecode(25 * 3661 + 7, Fraction(25)) == "01:01:01:07.000"
    assert timecode(0, NTSC) == "00:00:00:00.000"


def test_a_csv_of_others_may_lack_columns_and_timecodes(tmp_path):
    (tmp_path / "a.csv").write_text("MouthPucker,jawOpen\n0.5,1.5\n0.25,0\n")
    found = read_arkit_csv(tmp_path / "a.csv")
    assert found.fps == 30 and found.pose.any() == False  # noqa: E712
    assert found.blendshapes[0, RIG_NAMES.index("jawOpen")] == 1
    assert found.blendshapes[1, RIG_NAMES.index("mouthPucker")] == 0.25


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        ("JawOpen\n", "no frame"),
        ("time,jaw\n0,0\n", "no column is an ARKit expression"),
        ("JawOpen,MouthPucker\n0.1\n", "lacks a number"),
        ("JawOpen\nwide\n", "lacks a number"),
        ("JawOpen\nnan\n", "not finite"),
    ],
)
def test_what_is_no_arkit_csv_is_named(tmp_path, text, problem):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError, match=problem):
        read_arkit_csv(tmp_path / "a.csv")


def test_a_missing_csv_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv: there is no such file"):
        read_arkit_csv(tmp_path / "none.csv")


def test_a_csv_needs_known_blendshapes(motion, meshes_alone, tmp_path):
    with pytest.raises(UserError, match="no blendshapes"):
        write_arkit_csv(meshes_alone, tmp_path / "a.csv")
    odd = replace(motion, blendshapes=motion.blendshapes[:, :1], blendshape_names=("flame00+",))
    with pytest.raises(UserError, match="none of the names is an expression"):
        write_arkit_csv(odd, tmp_path / "a.csv")


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_a_gltf_reads_back_as_a_rig(motion, rig, tmp_path, suffix):
    export_motion(motion, tmp_path / f"a{suffix}", rig)
    corners = rig.landmark_corners[np.arange(68), rig.landmark_weights.argmax(1)]
    (tmp_path / "landmarks.json").write_text(json.dumps(corners.tolist()))
    found = load_rig(tmp_path / f"a{suffix}")
    assert found.expression_names == RIG_NAMES and (found.faces == rig.faces).all()
    assert np.allclose(found.neutral, rig.neutral) and np.allclose(found.expressions, rig.expressions)


def test_a_gltf_has_the_face_of_the_person_whose_vertices_there_are(motion, rig):
    person = np.random.default_rng(1).normal(size=20).astype(np.float32)
    vertices = rig.vertices(motion.blendshapes, person)
    scene = morph_animation(replace(motion, vertices=vertices, topology=rig.faces), rig)
    assert np.allclose(scene.neutral, rig.vertices(np.zeros((1, 46), np.float32), person)[0], atol=1e-5)
    assert np.array_equal(morph_animation(motion, rig).neutral, rig.neutral)


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_independent_readers_open_a_gltf(motion, rig, tmp_path, suffix):
    pygltflib, trimesh = pytest.importorskip("pygltflib"), pytest.importorskip("trimesh")
    path = tmp_path / f"a{suffix}"
    export_motion(with_sound(motion, tmp_path), path, rig)
    found = pygltflib.GLTF2().load(path)
    mesh, (animation,) = found.meshes[0], found.animations
    assert mesh.extras["targetNames"] == list(RIG_NAMES) and len(mesh.primitives[0].targets) == 46
    assert [channel.target.path for channel in animation.channels] == ["weights", "rotation"]
    weights = _accessor(found, animation.samplers[0].output).reshape(FRAMES, 46)
    times = _accessor(found, animation.samplers[0].input)[:, 0]
    assert np.allclose(weights, motion.blendshapes) and np.allclose(times, np.arange(FRAMES) / 25, atol=1e-6)
    turned = Rotation.from_quat(_accessor(found, animation.samplers[1].output)).as_matrix()
    assert np.allclose(turned, rotation_matrix(motion.pose), atol=1e-5)
    assert (
        found.scenes[0].extras == {"fps": "25", "sound": "a.wav"} and soundfile.info(tmp_path / "a.wav").duration == 0.3
    )
    (solid,) = trimesh.load(path).geometry.values()
    assert solid.vertices.shape == rig.neutral.shape and solid.faces.shape == rig.faces.shape


def _accessor(document, index: int) -> np.ndarray:
    accessor = document.accessors[index]
    view = document.bufferViews[accessor.bufferView]
    uri = document.buffers[0].uri
    data = document.binary_blob() if uri is None else document.decode_data_uri(uri)
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[accessor.type]
    return np.frombuffer(data, np.float32, accessor.count * width, view.byteOffset).reshape(accessor.count, width)


def test_vertices_alone_become_principal_targets(meshes_alone, rig):
    head = morph_animation(meshes_alone, rig)
    made = head.neutral + np.einsum("tk,kvi->tvi", head.weights, head.targets)
    assert np.allclose(made, meshes_alone.vertices, atol=2e-6)
    assert np.abs(head.weights).max() <= 1 + 1e-6 and len(head.names) == len(head.targets) <= FRAMES


def test_a_mesh_that_stands_still_has_a_target_all_the_same():
    still = np.zeros((3, 4, 3), np.float32)
    mean, targets, weights = principal_targets(still)
    assert targets.shape == (1, 4, 3) and not weights.any() and not mean.any()


def test_quaternions_do_not_jump():
    pose = np.stack([np.linspace(-6, 6, 60), np.zeros(60), np.zeros(60)], 1).astype(np.float32)
    assert np.abs(np.diff(quaternions(pose), axis=0)).max() < 0.2


@pytest.mark.parametrize("kind", ["ply", "obj"])
def test_a_folder_of_meshes_reads_back(motion, rig, tmp_path, kind):
    seen: list[int] = []
    heard = with_sound(motion, tmp_path)
    config = ExportConfig(meshes=kind)
    export_motion(heard, tmp_path / "head", rig, config=config, progress=lambda done, total: seen.append(done))
    names = sorted(path.name for path in (tmp_path / "head").iterdir())
    assert names == [*(f"{index:06d}.{kind}" for index in range(FRAMES)), "sound.wav"] and seen[-1] == FRAMES
    vertices, faces = read_mesh(tmp_path / "head" / f"000004.{kind}")
    true = rotate(rig.vertices(motion.blendshapes[4:5]), motion.pose[4:5])[0]
    assert (faces == rig.faces).all() and np.allclose(vertices, true, atol=1e-6)


def test_stored_vertices_are_written_as_they_are_when_the_pose_is_left_out(meshes_alone, rig, tmp_path):
    export_motion(meshes_alone, tmp_path / "head", rig, config=ExportConfig(pose=False))
    assert np.allclose(read_mesh(tmp_path / "head" / "000003.ply")[0], meshes_alone.vertices[3], atol=1e-7)
    assert not (tmp_path / "head" / "sound.wav").exists()


def test_outputs_are_not_overwritten_unless_told(motion, rig, tmp_path):
    for name in ("a.csv", "a.glb", "head"):
        export_motion(motion, tmp_path / name, rig)
        with pytest.raises(UserError, match="exists"):
            export_motion(motion, tmp_path / name, rig)
        export_motion(motion, tmp_path / name, rig, overwrite=True)


def test_what_cannot_be_written_is_named(motion, rig, tmp_path):
    bare = Motion(motion.landmarks, motion.confidence, motion.fps)
    for name in ("a.glb", "head"):
        with pytest.raises(UserError, match="neither blendshapes nor vertices"):
            export_motion(bare, tmp_path / name, rig)
    with pytest.raises(UserError, match=r"\.fbx is not known"):
        export_motion(motion, tmp_path / "a.fbx", rig)
    with pytest.raises(UserError, match="format of meshes is 'stl'"):
        export_motion(motion, tmp_path / "head", rig, config=ExportConfig(meshes="stl"))
    odd = replace(motion, blendshapes=motion.blendshapes[:, :1], blendshape_names=("flame00+",))
    with pytest.raises(UserError, match="none of the motion's blendshapes"):
        export_motion(odd, tmp_path / "a.glb", rig)
    assert not list(tmp_path.iterdir())


def test_a_gltf_s_wav_is_not_written_over_the_sound_it_is_made_from(motion, rig, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1600), 16000)
    export_motion(replace(motion, sound=tmp_path / "a.wav"), tmp_path / "a.glb", rig)
    assert soundfile.info(tmp_path / "a.wav").duration == pytest.approx(0.1)
