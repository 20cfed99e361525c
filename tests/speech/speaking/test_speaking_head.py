from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from talking_corpus import TEMPLATE, TRIANGLES

from talkinghead.errors import UserError
from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig, save_rig
from talkinghead.rig.rig import Rig, rotation_matrix
from talkinghead.speech.model import PhamModel, SpeechModel, SpeechMotion, VocaModel
from talkinghead.speech.speaking.head_motion import edited, still
from talkinghead.speech.speaking.speaking_head import identity_offsets, join, speaking_rig
from talkinghead.speech.voca2019 import VocaConfig, VocaNetwork

FPS = Fraction(30)
FRAMES = 6
PERSON = np.array([1.5, -1.0, 0.5])


def voca(template: np.ndarray, faces: np.ndarray | None = None) -> SpeechModel:
    torch.manual_seed(0)
    network = VocaNetwork(VocaConfig(vertices=len(template), speakers=2, basis=3)).eval()
    return VocaModel(network, FPS, template=template, topology=faces, speakers=("anna", "ben"))


def talk() -> tuple[SpeechMotion, np.ndarray]:
    """A jaw that opens as vertices of the default rig, and the offsets alone."""
    weights = np.zeros((FRAMES, 46), np.float32)
    weights[:, RIG_NAMES.index("jawOpen")] = np.linspace(0, 0.5, FRAMES)
    vertices = default_rig().vertices(weights)
    return SpeechMotion(FPS, vertices=vertices), vertices - default_rig().neutral


def test_voca_on_another_person_is_template_and_identity_and_the_same_offsets():
    """Cudeiro et al. 2019: identity is edited after the prediction, in the resting face."""
    rig, (spoken, offsets) = default_rig(), talk()
    moves, own = join(spoken, still(FRAMES), voca(rig.neutral), identity=PERSON)
    person = rig.vertices(np.zeros((1, 46), np.float32), np.pad(PERSON, (0, 17)).astype(np.float32))[0]
    assert np.allclose(own.neutral, person, atol=1e-6)
    assert np.allclose(moves.vertices, person + offsets, atol=1e-6)
    plain, _ = join(spoken, still(FRAMES), voca(rig.neutral))
    assert np.allclose(plain.vertices, rig.neutral + offsets, atol=1e-6)
    assert np.abs(moves.landmarks - plain.landmarks).max() > 0.01


def test_identity_goes_with_blendshapes_too():
    rig = default_rig()
    weights = np.zeros((FRAMES, 46), np.float32)
    weights[:, RIG_NAMES.index("mouthSmileLeft")] = 0.5
    spoken = SpeechMotion(FPS, blendshapes=weights, names=RIG_NAMES)
    model = PhamModel(torch.nn.Identity(), rig="head")
    moves, _ = join(spoken, still(FRAMES), model, identity=PERSON)
    assert np.allclose(moves.vertices, rig.vertices(weights) + identity_offsets(rig, PERSON), atol=1e-6)


def test_pose_turns_the_mesh_and_blinks_close_its_eyes():
    rig, (spoken, _) = default_rig(), talk()
    head = edited(still(FRAMES), FPS, pose=np.radians([20, 0, 5]), blinks=[0.0])
    moves, _ = join(spoken, head, voca(rig.neutral))
    assert np.allclose(moves.pose, np.radians([20, 0, 5]), atol=1e-6)
    opening = rig.eye_opening(moves.vertices)
    assert opening[4] < 0.3 * opening[0]  # 0.13 s after the lids began to fall
    mouth = rig.mouth_opening(moves.vertices)
    assert np.allclose(mouth, rig.mouth_opening(spoken.vertices), atol=1e-3)
    assert np.linalg.det(rotation_matrix(moves.pose[0])) == pytest.approx(1, abs=1e-5)


def flame_of(folder: Path, rig: Rig) -> Path:
    """FLAME's files with the default rig's surface: two shape directions, and its lids' movement as an expression."""
    lids = rig.expressions[[RIG_NAMES.index(f"eyeBlink{side}") for side in ("Left", "Right")]]
    directions = np.stack([rig.identity[0], rig.identity[1], *lids / 2, *lids * 0], -1)
    np.savez(
        folder / "flame.npz",
        v_template=rig.neutral,
        f=rig.faces.astype(np.uint32),
        shapedirs=directions[..., [0, 1, 2, 3]],
    )
    marks = {"lmk_face_idx": rig.landmark_faces, "lmk_b_coords": rig.landmark_weights}
    np.savez(folder / "flame_static_embedding.npz", **marks)
    return folder / "flame.npz"


def test_a_mesh_of_flame_takes_its_betas_and_blinks_with_its_expressions(tmp_path):
    rig, (spoken, offsets) = default_rig(), talk()
    head = edited(still(FRAMES), FPS, blinks=[0.0])
    moves, own = join(spoken, head, voca(rig.neutral), mesh=flame_of(tmp_path, rig), identity=np.array([2.0, -1.0]))
    betas = 2 * rig.identity[0] - rig.identity[1]
    assert np.allclose(moves.vertices[0], rig.neutral + betas + offsets[0], atol=1e-6)
    opening = own.eye_opening(moves.vertices)
    assert own.name == "FLAME" and opening[4] < 0.3 * opening[0]
    with pytest.raises(UserError, match="3 numbers of identity were given; rig FLAME has 2 modes"):
        join(spoken, head, voca(rig.neutral), mesh=tmp_path / "flame.npz", identity=PERSON)


def test_a_mesh_that_is_no_rig_has_no_identity():
    spoken = SpeechMotion(FPS, vertices=np.tile(TEMPLATE, (2, 1, 1)))
    with pytest.raises(UserError, match="give that as --mesh"):
        join(spoken, still(2), voca(TEMPLATE, TRIANGLES), identity=PERSON)


def test_a_rig_of_another_topology_needs_blendshapes(tmp_path):
    rig, (spoken, _) = default_rig(), talk()
    save_rig(replace(rig.at_landmarks(), name="small"), tmp_path / "small.rig.safetensors")
    with pytest.raises(UserError, match="moved by blendshapes"):
        join(spoken, still(FRAMES), voca(rig.neutral), mesh=tmp_path / "small.rig.safetensors")


def test_a_rig_for_blendshapes_is_the_one_that_join_chooses(tmp_path):
    rig = default_rig()
    lines = ["v {:.6f} {:.6f} {:.6f}".format(*point) for point in rig.neutral * 1.1]
    (tmp_path / "big.obj").write_text("\n".join([*lines, "f 1 2 3"]))
    modes = np.array([1.0, -2.0])
    spoken = SpeechMotion(Fraction(30), blendshapes=np.zeros((2, 46), np.float32), names=RIG_NAMES)
    for mesh in (None, tmp_path / "big.obj"):
        _, joined = join(spoken, still(2), PhamModel(torch.nn.Identity(), rig="head"), mesh=mesh, identity=modes)
        assert joined is not None
        assert np.allclose(speaking_rig(mesh=mesh, identity=modes).neutral, joined.neutral)
    assert speaking_rig() is rig


def test_a_rig_without_the_models_expressions_is_refused(tmp_path):
    rig = default_rig().at_landmarks()
    save_rig(replace(rig, expression_names=tuple(f"mode{i}" for i in range(46))), tmp_path / "other.rig.safetensors")
    spoken = SpeechMotion(Fraction(30), blendshapes=np.zeros((2, 46), np.float32), names=RIG_NAMES)
    with pytest.raises(UserError, match="no expression named like"):
        speaking_rig(mesh=tmp_path / "other.rig.safetensors")
    with pytest.raises(UserError, match="no expression named like"):
        join(spoken, still(2), PhamModel(torch.nn.Identity(), rig="head"), mesh=tmp_path / "other.rig.safetensors")
