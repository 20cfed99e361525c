import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from talkinghead.errors import UserError
from talkinghead.rig.arkit import MERGED, RIG_NAMES
from talkinghead.rig.files.folder import Shapes, make_rig
from talkinghead.rig.files.load import load_rig
from talkinghead.rig.files.meshes import write_obj, write_ply
from talkinghead.rig.files.own import default_rig, save_rig
from talkinghead.rig.rig import Rig

WEIGHTS = np.zeros((1, 46), np.float32)


@pytest.fixture(scope="module")
def rig() -> Rig:
    return default_rig()


def landmark_vertices(rig: Rig) -> list[int]:
    return rig.landmark_corners[np.arange(68), rig.landmark_weights.argmax(1)].tolist()


def write_folder(folder: Path, rig: Rig, names: dict[str, np.ndarray], *, unit: float = 1.0, write=write_ply) -> Path:
    """A folder of meshes: neutral, expressions (offsets by name), two identities, landmarks."""
    folder.mkdir()
    suffix = ".ply" if write is write_ply else ".obj"
    write(folder / f"neutral{suffix}", unit * rig.neutral, rig.faces)
    for name, offsets in names.items():
        write(folder / f"{name}{suffix}", unit * (rig.neutral + offsets), rig.faces)
    for index in range(2):
        write(folder / f"identity{index:03d}{suffix}", unit * (rig.neutral + rig.identity[index]), rig.faces)
    (folder / "landmarks.json").write_text(json.dumps(landmark_vertices(rig)))
    return folder


def offsets(rig: Rig, *names: str) -> dict[str, np.ndarray]:
    return {name: rig.expressions[RIG_NAMES.index(name)] for name in names}


def test_our_own_format_reads_back(tmp_path, rig):
    save_rig(rig, tmp_path / "a.rig.safetensors")
    found = load_rig(tmp_path / "a.rig.safetensors")
    assert found.expression_names == rig.expression_names and found.part_names == rig.part_names
    assert (found.faces == rig.faces).all() and (found.parts == rig.parts).all()
    assert np.allclose(found.neutral, rig.neutral) and np.allclose(found.expressions, rig.expressions, atol=2e-5)
    with pytest.raises(UserError, match="exists"):
        save_rig(rig, tmp_path / "a.rig.safetensors")


def test_a_rig_without_parts_reads_back(tmp_path, rig):
    save_rig(replace(rig, parts=None, part_names=("skin",)), tmp_path / "a.rig.safetensors")
    assert load_rig(tmp_path / "a.rig.safetensors").parts is None


@pytest.mark.parametrize(("unit", "write"), [(1.0, write_ply), (100.0, write_obj), (1000.0, write_ply)])
def test_a_folder_of_meshes_in_any_unit_is_a_rig(tmp_path, rig, unit, write):
    names = offsets(rig, "jawOpen", "mouthPucker", "eyeBlinkLeft")
    names["EyeBlink_R"] = offsets(rig, "eyeBlinkRight")["eyeBlinkRight"]
    names["wiggle ears"] = names["jawOpen"] * 0.1
    names["still"] = 0 * names["jawOpen"]
    found = load_rig(write_folder(tmp_path / "head", rig, names, unit=unit, write=write))
    assert set(found.expression_names) == {"jawOpen", "mouthPucker", "eyeBlinkLeft", "eyeBlinkRight", "wiggle ears"}
    assert found.name == "head" and len(found.identity) == 2
    jaw = found.expressions[found.expression_names.index("jawOpen")]
    assert np.allclose(found.neutral, rig.neutral, atol=1e-6) and np.allclose(jaw, names["jawOpen"], atol=1e-6)
    points = found.landmarks_3d(found.neutral[None])
    assert np.allclose(points, rig.landmarks_3d(rig.neutral[None]), atol=1e-6)


def test_a_full_set_of_expressions_becomes_the_rig_s_46(rig):
    names = {}
    for name in RIG_NAMES:
        parts = MERGED.get(name, (name,))
        for part in parts:
            names[part] = offsets(rig, name)[name] / len(parts)
    names["cheekRaiser_L"] = names["jawOpen"]
    found = make_rig(Shapes("kit", rig.neutral, rig.faces, names), rig.landmark_faces, rig.landmark_weights)
    assert found.expression_names == RIG_NAMES and np.allclose(found.expressions, rig.expressions, atol=1e-6)


def test_both_sides_of_one_expression_are_added(rig):
    brow = offsets(rig, "browInnerUp")["browInnerUp"]
    shapes = Shapes("kit", rig.neutral, rig.faces, {"browInnerUp_L": brow / 4, "browInnerUp_R": brow * 3 / 4})
    found = make_rig(shapes, rig.landmark_faces, rig.landmark_weights)
    assert found.expression_names == ("browInnerUp",) and np.allclose(found.expressions[0], brow, atol=1e-6)


def test_landmarks_may_be_barycentric(tmp_path, rig):
    folder = write_folder(tmp_path / "head", rig, offsets(rig, "jawOpen"))
    marks = {"faces": rig.landmark_faces.tolist(), "weights": rig.landmark_weights.tolist()}
    (folder / "landmarks.json").write_text(json.dumps(marks))
    found = load_rig(folder)
    assert np.allclose(found.landmarks_3d(found.neutral[None]), rig.landmarks_3d(rig.neutral[None]), atol=1e-6)


@pytest.mark.parametrize(
    "content",
    ["[1, 2, 3]", "not json", '{"faces": [1], "weights": [[1, 0, 0]]}', json.dumps([10**7] * 68), "{}",
     json.dumps({"faces": [10**7] * 68, "weights": [[1, 0, 0]] * 68})],
)  # fmt: skip
def test_landmarks_that_are_not_on_the_mesh_are_refused(tmp_path, rig, content):
    folder = write_folder(tmp_path / "head", rig, offsets(rig, "jawOpen"))
    (folder / "landmarks.json").write_text(content)
    with pytest.raises(UserError, match=r"landmarks.json: not 68 landmarks of this mesh"):
        load_rig(folder)


def test_what_a_folder_lacks_is_named(tmp_path, rig):
    folder = write_folder(tmp_path / "head", rig, offsets(rig, "jawOpen"))
    write_ply(folder / "other.ply", rig.neutral[:3], np.array([[0, 1, 2]]))
    with pytest.raises(UserError, match=r"other.ply: 3 vertices; neutral.ply has 2376"):
        load_rig(folder)
    (folder / "other.ply").unlink()
    (folder / "landmarks.json").unlink()
    with pytest.raises(UserError, match=r"there is no landmarks.json"):
        load_rig(folder)
    (folder / "neutral.ply").unlink()
    with pytest.raises(UserError, match="there is no neutral mesh"):
        load_rig(folder)


def test_a_head_without_expressions_is_refused(rig):
    with pytest.raises(UserError, match="no expression"):
        make_rig(Shapes("kit", rig.neutral, rig.faces), rig.landmark_faces, rig.landmark_weights)


def test_a_head_that_looks_elsewhere_is_refused(rig):
    lying = rig.neutral[:, [0, 2, 1]] * [1, 1, -1]
    shapes = Shapes("kit", lying, rig.faces, offsets(rig, "jawOpen"))
    with pytest.raises(UserError, match="looks along"):
        make_rig(shapes, rig.landmark_faces, rig.landmark_weights)


def test_ict_facekit_as_distributed_is_the_head_that_the_default_was_made_of(shared, rig):
    found = load_rig(shared / "data" / "rigs" / "ict_facekit")
    assert found.expression_names == RIG_NAMES and found.identity.shape == (20, 9409, 3)
    small, ours = found.at_landmarks(), rig.at_landmarks()
    assert np.allclose(small.neutral, ours.neutral, atol=1e-6)
    assert np.abs(small.expressions - ours.expressions).max() < 2e-5


def flame_arrays(rig: Rig, *, directions: int = 30) -> dict[str, np.ndarray]:
    """The default rig's surface in FLAME's arrays: half of the directions are identity, half expressions."""
    random = np.random.default_rng(0)
    count = len(rig.neutral)
    joints = np.zeros((5, count))
    joints[:, 0] = 1
    weights = np.zeros((count, 5))
    weights[:, 0], weights[rig.part("teeth"), :] = 1, [0, 0, 1, 0, 0]
    return {
        "v_template": rig.neutral,
        "f": rig.faces.astype(np.uint32),
        "shapedirs": random.normal(0, 1e-3, (count, 3, directions)),
        "J_regressor": joints,
        "weights": weights,
    }


def test_flame_has_both_directions_of_an_expression_and_a_jaw(tmp_path, rig):
    arrays = flame_arrays(rig)
    np.savez(tmp_path / "flame.npz", **arrays)
    marks = {"lmk_face_idx": rig.landmark_faces, "lmk_b_coords": rig.landmark_weights}
    np.savez(tmp_path / "flame_static_embedding.npz", **marks)
    found = load_rig(tmp_path / "flame.npz")
    assert found.expression_names[:4] == ("jawOpen", "jawLeft", "jawRight", "flame00+")
    assert len(found.identity) == 15 and np.allclose(found.identity[0], arrays["shapedirs"][..., 0])
    assert np.allclose(found.expressions[3], 2 * arrays["shapedirs"][..., 15], atol=1e-7)
    assert np.allclose(found.expressions[3], -found.expressions[4])
    moved = np.abs(found.expressions[0]).sum(1) > 1e-9
    assert set(np.flatnonzero(moved)) <= set(rig.part("teeth")) and moved.any()


def test_flame_s_51_landmarks_get_a_jaw(tmp_path, rig):
    arrays = flame_arrays(rig)
    with (tmp_path / "flame.pkl").open("wb") as file:
        pickle.dump({name: arrays[name] for name in ("v_template", "f", "shapedirs")}, file)
    with (tmp_path / "flame_static_embedding.pkl").open("wb") as file:
        pickle.dump({"lmk_face_idx": rig.landmark_faces[17:], "lmk_b_coords": rig.landmark_weights[17:]}, file)
    found = load_rig(tmp_path / "flame.pkl")
    ours, theirs = (head.landmarks_3d(head.neutral[None])[0] for head in (rig, found))
    assert np.allclose(ours[17:], theirs[17:], atol=1e-6)
    assert np.linalg.norm(ours[:17] - theirs[:17], axis=1).max() < 0.01
    assert "jawOpen" not in found.expression_names


def test_flame_files_that_hold_objects_or_lack_arrays_are_refused(tmp_path, rig):
    np.savez(tmp_path / "flame.npz", v_template=np.array([{}], object))
    with pytest.raises(UserError, match="landmarks are|save FLAME's arrays"):
        load_rig(tmp_path / "flame.npz")
    np.savez(tmp_path / "lone.npz", **flame_arrays(rig))
    with pytest.raises(UserError, match="there is no flame_static_embedding.npz"):
        load_rig(tmp_path / "lone.npz")
    np.savez(tmp_path / "flame_static_embedding.npz", nothing=np.zeros(1))
    with pytest.raises(UserError, match="is missing"):
        load_rig(tmp_path / "lone.npz")
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(UserError, match="holds no names"):
        load_rig(tmp_path / "list.pkl")
    (tmp_path / "code.pkl").write_bytes(pickle.dumps(Path))
    with pytest.raises(UserError, match="not plain data"):
        load_rig(tmp_path / "code.pkl")


def test_what_is_no_rig_is_named(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load_rig(tmp_path / "none.glb")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(UserError, match=r"\.txt is not a rig's"):
        load_rig(tmp_path / "a.txt")
    save_file({"neutral": np.zeros((1, 3), np.float32)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="not a rig"):
        load_rig(tmp_path / "a.safetensors")
    about = {"format": "talkinghead.rig", "rig": json.dumps({"version": 99})}
    save_file({"neutral": np.zeros((1, 3), np.float32)}, tmp_path / "b.safetensors", metadata=about)
    with pytest.raises(UserError, match="its version is 99"):
        load_rig(tmp_path / "b.safetensors")
