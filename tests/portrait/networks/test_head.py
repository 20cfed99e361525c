import json
import resource
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from talkinghead.errors import UserError
from talkinghead.portrait.networks import head as module
from talkinghead.portrait.networks.compositing import generate
from talkinghead.portrait.networks.config import CompositingConfig, PortraitConfig
from talkinghead.portrait.networks.head import (
    FewShotHead,
    default_head_path,
    folded,
    read_safetensors,
    respectral,
    widened,
)

TINY = PortraitConfig(size=32, min_channels=8, max_channels=16, embedding_dim=16, embedder_blocks=5)


@pytest.fixture
def head() -> FewShotHead:
    torch.manual_seed(0)
    return FewShotHead(TINY).eval()


def outputs(head: FewShotHead) -> list[torch.Tensor]:
    picture = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)
    embedding = head.embedder(picture.flip(1), picture)
    frame = head.generator(picture, head.generator.project(embedding))
    return [embedding, frame, head.discriminator(frame, picture, embedding)[0]]


def test_folding_and_unfolding_keep_the_function(head):
    for twin in (folded(head), respectral(folded(head))):
        for ours, theirs in zip(outputs(twin.eval()), outputs(folded(head)), strict=True):
            assert torch.allclose(ours, theirs, rtol=2e-3, atol=2e-3)


def test_folded_weights_have_no_state_of_spectral_normalisation(head):
    names = folded(head).state_dict()
    assert not any(name.endswith((".u", ".v")) for name in names)
    assert any(name.endswith(".u") for name in head.state_dict())


def test_head_reads_back_what_was_written(head, tmp_path):
    head.save(tmp_path / "a.safetensors", {"steps": 7})
    loaded, provenance = FewShotHead.load(tmp_path / "a.safetensors")
    assert provenance == {"steps": 7}
    assert loaded.config == TINY
    for ours, theirs in zip(outputs(loaded), outputs(folded(head)), strict=True):
        assert torch.allclose(ours, theirs, rtol=2e-2, atol=2e-2)  # half precision


@pytest.mark.parametrize(
    ("name", "over_photo", "frame", "realism"),
    [("head", False, (0.18650, 0.43427), -0.38406), ("over-photo-head", True, (0.16995, 0.34213), -0.08952)],
)
def test_a_head_of_an_older_version_says_the_same(old_files, name, over_photo, frame, realism):
    head, provenance = FewShotHead.load(old_files / f"{name}.safetensors")
    picture = torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)
    with torch.no_grad():
        embedding, _ = head.embedder.average(picture[None], picture[None].flip(-1))
        made = generate(
            head.generator, picture, head.generator.project(embedding), picture.flip(-2) if over_photo else None
        )
        score, _ = head.discriminator(made, picture, None)
    assert embedding[0, :3] == pytest.approx((0.37749, 0.97601, 0.02413), abs=1e-3)
    assert (made.mean(), made.std()) == pytest.approx(frame, abs=1e-3)
    assert score == pytest.approx(realism, abs=1e-3)
    assert provenance == {"steps": 7, "licence": "none"}


def test_widened_head_lays_half_of_the_source_over_what_it_painted_before(head):
    plain, wide = folded(head), widened(folded(head), replace(TINY, compositing=CompositingConfig()))
    picture, photo, embedding = torch.randn(1, 3, 32, 32), torch.rand(1, 3, 32, 32), torch.rand(1, 16)
    frame = wide.generator(picture, wide.generator.project(embedding), photo)
    painted = plain.generator(picture, plain.generator.project(embedding))
    assert torch.allclose(frame, (painted + photo) / 2, atol=1e-5)
    assert torch.equal(wide.embedder(photo, picture), plain.embedder(photo, picture))


@pytest.mark.parametrize("sizes", [{"embedding_dim": 8}, {"compositing": CompositingConfig(), "max_channels": 8}])
def test_head_of_other_sizes_cannot_be_widened(head, sizes):
    with pytest.raises(UserError, match="the head to start from has the sizes"):
        widened(folded(head), replace(TINY, **sizes))
    with pytest.raises(UserError, match="the head to start from has the sizes"):
        widened(FewShotHead(replace(TINY, compositing=CompositingConfig()), spectral=False), TINY)


def test_existing_head_is_not_overwritten(head, tmp_path):
    head.save(tmp_path / "a.safetensors", {})
    with pytest.raises(UserError, match=r"a\.safetensors"):
        head.save(tmp_path / "a.safetensors", {})


def test_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.safetensors does not exist"):
        FewShotHead.load(tmp_path / "nothing.safetensors")
    with pytest.raises(UserError, match=f"{tmp_path} cannot be used: .*is a folder"):
        FewShotHead.load(tmp_path)


def test_file_of_another_format_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors", metadata={"format": "talkinghead.avatar.1"})
    with pytest.raises(UserError, match=r"holds talkinghead\.avatar\.1"):
        FewShotHead.load(tmp_path / "other.safetensors")


def test_pickle_is_not_opened(tmp_path):
    torch.save({"a": 1}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="not a readable safetensors file"):
        read_safetensors(tmp_path / "evil.pt", module.FORMAT, "a head")


def test_head_that_does_not_fit_its_sizes_is_refused(head, tmp_path):
    tensors = {name: value.half().contiguous() for name, value in folded(head).state_dict().items()}
    tensors.pop("embedder.blocks.0.conv1.weight")
    header = {"format": module.FORMAT, "portrait": module.json.dumps(TINY.to_dict()), "provenance": "{}"}
    save_file(tensors, tmp_path / "cut.safetensors", metadata=header)
    with pytest.raises(UserError, match="lacks tensors that its sizes ask for"):
        FewShotHead.load(tmp_path / "cut.safetensors")


def test_missing_default_head_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "shipped", lambda name: tmp_path / name)
    with pytest.raises(UserError, match="reinstall talkinghead"):
        default_head_path()


@pytest.mark.parametrize(
    ("name", "value"), [("portrait", "{"), ("portrait", "[]"), ("provenance", "7"), ("portrait", None)]
)
def test_a_header_that_says_too_little_is_refused(tmp_path, name, value):
    header = {"format": module.FORMAT, "portrait": "{}", "provenance": "{}", name: value}
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={key: text for key, text in header.items() if text is not None})
    with pytest.raises(UserError, match=r"a\.safetensors cannot be used"):
        read_safetensors(path, module.FORMAT, "a head")


def test_a_small_file_that_asks_for_large_networks_takes_no_memory(tmp_path):
    huge = PortraitConfig(size=32, min_channels=4096, max_channels=4096, embedding_dim=1)
    header = {"format": module.FORMAT, "portrait": json.dumps(huge.to_dict()), "provenance": "{}"}
    save_file({"embedder": torch.zeros(1)}, tmp_path / "small.safetensors", metadata=header)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match="lacks tensors"):
        FewShotHead.load(tmp_path / "small.safetensors")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB, of 13 GB


def test_a_head_that_was_read_lies_in_memory_as_one_that_was_made(head, tmp_path):
    head.save(tmp_path / "a.safetensors", {})
    loaded, _ = FewShotHead.load(tmp_path / "a.safetensors")
    made = folded(head).state_dict()
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32 and value.stride() == made[name].stride(), name
    assert all(parameter.requires_grad for parameter in loaded.parameters())
