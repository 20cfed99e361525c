"""A person's network outside PyTorch gives what it gives inside."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from people import PAINTER, TINY, drawn_photos, tiny_head

from talkinghead.errors import UserError
from talkinghead.portrait.avatar.avatar import Avatar, feed_forward
from talkinghead.portrait.avatar.layered_rendering import TorchNetwork
from talkinghead.portrait.deployment.person_network import (
    PersonNetwork,
    calibration,
    need,
    write_onnx,
    write_openvino,
)
from talkinghead.portrait.deployment.runtimes import OnnxNetwork, OpenVinoNetwork, network_by
from talkinghead.portrait.networks.config import CompositingConfig

LAYERS = replace(TINY, compositing=CompositingConfig(layers=True))


@cache
def avatar() -> Avatar:
    return feed_forward(tiny_head(config=LAYERS), drawn_photos(2, size=96))


def pictures(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.rand(count, 3, 64, 64) * 2 - 1, torch.rand(count, 6, 64, 64) * 2 - 1


def in_pytorch() -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        return TorchNetwork(*avatar().ready("cpu", torch.float32))(*pictures())  # type: ignore[arg-type]


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_every_runtime_paints_the_same(runtime):
    pytest.importorskip(runtime)
    network = OnnxNetwork(avatar()) if runtime == "onnx" else OpenVinoNetwork(avatar(), exact=True)
    for ours, theirs in zip(in_pytorch(), network(*pictures()), strict=True):
        assert ours.std() > 0.005  # frames that differ, or nothing would be compared
        assert torch.allclose(ours, theirs, atol=1e-3)


def test_eight_bits_are_near_enough():
    pytest.importorskip("nncf")
    drawn, warped = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*calibration(avatar()), strict=True))
    with torch.inference_mode():
        exact = TorchNetwork(*avatar().ready("cpu", torch.float32))(drawn, warped)  # type: ignore[arg-type]
    rough = OpenVinoNetwork(avatar(), int8=True)(drawn, warped)
    for ours, theirs in zip(exact, rough, strict=True):
        assert 0 < (ours - theirs).abs().mean() < 0.3 * ours.std()


def test_frames_are_the_same_by_any_runtime():
    pytest.importorskip("openvino")
    person = feed_forward(tiny_head(config=LAYERS), drawn_photos(2, size=96))
    landmarks = person.source_landmarks
    before = person.render_batch(landmarks, background=0, dtype=torch.float32).astype(int)
    person.network = network_by("openvino", person)
    after = person.render_batch(landmarks, background=0).astype(int)
    assert 0 < np.abs(before - after).mean() < 3  # bfloat16, where the processor has it
    assert network_by("torch", person) is None


def test_files_are_written_whole_and_read_by_their_runtimes(tmp_path):
    pytest.importorskip("onnx")
    openvino = pytest.importorskip("openvino")
    write_onnx(avatar(), tmp_path / "anna.onnx")
    drawn, warped = pictures(2)
    assert OnnxNetwork(tmp_path / "anna.onnx")(drawn, warped)[0].shape == (2, 3, 64, 64)
    write_openvino(avatar(), tmp_path / "anna.xml")
    model = openvino.Core().read_model(tmp_path / "anna.xml")
    assert [port.get_any_name() for port in model.inputs] == ["landmark_image", "warped_source"]
    assert [port.get_any_name() for port in model.outputs] == ["raw_frame", "stays"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anna.bin", "anna.onnx", "anna.xml"]
    with pytest.raises(UserError, match=r"anna\.(bin|xml)"):
        write_openvino(avatar(), tmp_path / "anna.xml")


def test_an_avatar_without_layers_and_a_missing_package_are_said(monkeypatch):
    flat = feed_forward(tiny_head(config=PAINTER), drawn_photos(1))
    with pytest.raises(UserError, match="without layers"):
        PersonNetwork(flat)
    with pytest.raises(UserError, match=r"nothing_of_this_name is not installed.*\[export\]"):
        need("nothing_of_this_name")
