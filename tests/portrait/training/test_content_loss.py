import os
import pickle

import numpy as np
import pytest
import torch
from torchvision import transforms
from torchvision.models import mobilenet_v2

from talkinghead.errors import UserError
from talkinghead.face.identity import csim, face_centre, face_chips
from talkinghead.portrait.networks.vgg import VGG19_LAYERS, VGG19_MEAN_BGR, VGG19_WIDTHS, VGGFACE_MEAN_RGB, CaffeVGG
from talkinghead.portrait.training import content_loss as perceptual
from talkinghead.portrait.training.content_loss import (
    OfflineContent,
    differentiated_at_once,
    make_content_loss,
    region_weights,
)
from talkinghead.testing.synthetic import episode_batch
from talkinghead.weights import downloads


@pytest.fixture(scope="module")
def batch():
    return episode_batch(batch=2, shots=1, size=64)


@pytest.fixture(scope="module")
def offline() -> OfflineContent:
    return OfflineContent()


def test_offline_loss_is_zero_for_the_truth_and_grows_with_the_error(offline, batch):
    truth, landmarks = batch["target_frame"], batch["target_landmarks"]
    near, far = ((truth + amount * torch.randn_like(truth)).clamp(-1, 1) for amount in (0.05, 0.3))
    assert offline(truth, truth, landmarks) == 0
    assert 0 < offline(near, truth, landmarks) < offline(far, truth, landmarks)


def test_offline_loss_of_a_batch_is_the_mean_of_its_samples(offline, batch):
    truth, landmarks = batch["target_frame"], batch["target_landmarks"]
    fake = (truth + 0.2 * torch.randn_like(truth)).clamp(-1, 1)
    samples = [offline(fake[i : i + 1], truth[i : i + 1], landmarks[i : i + 1]) for i in range(2)]
    assert torch.isclose(offline(fake, truth, landmarks), torch.stack(samples).mean(), rtol=1e-4)


def test_offline_loss_works_without_mobilenet(monkeypatch, batch):
    monkeypatch.setattr(perceptual, "find_mobilenet", lambda: None)
    loss = OfflineContent()
    fake = torch.zeros_like(batch["target_frame"]).requires_grad_()
    loss(fake, batch["target_frame"], batch["target_landmarks"]).backward()
    assert fake.grad.abs().sum() > 0


def test_gradient_reaches_the_fake_and_no_frozen_weight(offline, batch):
    fake, real = torch.zeros_like(batch["target_frame"]).requires_grad_(), batch["target_frame"].clone()
    real.requires_grad_()
    offline(fake, real, batch["target_landmarks"]).backward()
    assert fake.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in offline.parameters())


def test_frozen_networks_stay_in_evaluation_mode(offline):
    assert not any(module.training for module in offline.train().modules())


def test_vgg_is_cut_after_its_last_tap_and_taps_the_relus():
    network = CaffeVGG(VGG19_WIDTHS, VGG19_LAYERS, VGG19_MEAN_BGR)
    assert len(network.layers) == 30
    assert all(isinstance(network.layers[tap], torch.nn.ReLU) for tap in VGG19_LAYERS)


@pytest.mark.parametrize(
    ("order", "mean", "expected"),
    [
        ("BGR", VGG19_MEAN_BGR, [204.0 - 103.939, 153.0 - 116.779, 255.0 - 123.680]),
        ("RGB", VGGFACE_MEAN_RGB, [255.0 - 129.1863, 153.0 - 104.7624, 204.0 - 93.5940]),
    ],
)
def test_vgg_sees_its_files_order_on_the_scale_0_to_255_less_its_mean(order, mean, expected):
    network = CaffeVGG((3,), (1,), mean, order=order)
    with torch.no_grad():
        network.layers[0].weight.zero_()
        network.layers[0].bias.zero_()
        for channel in range(3):
            network.layers[0].weight[channel, channel, 1, 1] = 1
    frame = torch.ones(1, 3, 8, 8) * torch.tensor([1.0, 0.2, 0.6]).view(1, 3, 1, 1)  # RGB
    maps = network(frame)[0][0, :, 4, 4]
    assert torch.allclose(maps, torch.tensor(expected), atol=1e-3)


WIDTHS = (64, 128, 256, 512, 512)
"""Of the five stages of a VGG, whose first maps are compared."""


def passing_weights(depths: tuple[int, ...], *, channel: int, gain: float) -> dict[str, torch.Tensor]:
    """A VGG whose every convolution passes on one channel of the picture, times a gain, and nothing else."""
    tensors: dict[str, torch.Tensor] = {}
    inputs = 3
    for stage, (depth, width) in enumerate(zip(depths, WIDTHS, strict=True), 1):
        for number in range(1, depth + 1):
            kernel = torch.zeros(width, inputs, 3, 3, dtype=torch.float16)
            kernel[0, 0 if tensors else channel, 1, 1] = gain
            tensors |= {
                f"conv{stage}_{number}.weight": kernel, f"conv{stage}_{number}.bias": torch.zeros(width)
            }  # fmt: skip
            inputs = width
    return tensors


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """The published loss; its VGG19 passes on blue, its VGGFace red."""
    folder = tmp_path_factory.mktemp("weights")
    networks = {
        "vgg19_caffe.pth": passing_weights((2, 2, 4, 4, 1), channel=0, gain=1.25),
        "vgg_face_dag.pth": passing_weights((2, 2, 3, 3, 1), channel=0, gain=1.5),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALKINGHEAD_WEIGHTS", str(folder))
        for name, tensors in networks.items():
            torch.save(tensors, folder / name)
            patch.setitem(downloads.WEIGHT_FILES, name, ("https://nowhere.invalid", None))
        loss = make_content_loss("paper")
    for name in networks:
        (folder / name).unlink()  # they are large
    return loss


def flat(red: float, green: float, blue: float) -> torch.Tensor:
    """A picture of one colour, 0..255."""
    return torch.tensor([red, green, blue]).view(1, 3, 1, 1).expand(2, 3, 32, 32) / 127.5 - 1


def test_paper_loss_weighs_the_first_map_of_each_stage_of_either_network(paper):
    """Each map is worth what is left of its channel over the mean, times the gains before it, over its width."""
    nobody = torch.zeros(2, 68, 2)
    black = flat(0, 0, 0)
    vgg19 = sum(1.25**number / width for number, width in zip((1, 3, 5, 9, 13), WIDTHS, strict=True))
    vggface = sum(1.5**number / width for number, width in zip((1, 3, 5, 8, 11), WIDTHS, strict=True))
    blue, red = 0.15 * (203.939 - 103.939) * vgg19, 0.025 * (229.1863 - 129.1863) * vggface
    assert paper(black, black, nobody) == 0
    assert paper(flat(0, 255, 203.939), black, nobody) == pytest.approx(blue, rel=1e-4)
    assert paper(flat(229.1863, 255, 0), black, nobody) == pytest.approx(red, rel=1e-4)
    assert paper(black, flat(229.1863, 0, 203.939), nobody) == pytest.approx(red + blue, rel=1e-4)


def test_paper_loss_teaches_the_fake_alone(paper):
    nobody, black = torch.zeros(2, 68, 2), flat(0, 0, 0).clone().requires_grad_()
    fake = flat(200, 200, 200).clone().requires_grad_()
    paper(fake, black, nobody).backward()
    with torch.no_grad():
        steps = [paper(flat(*colour), black, nobody) for colour in ((200, 200, 200), (201, 200, 200), (200, 200, 201))]
    red, green, blue = fake.grad.sum((0, 2, 3)).tolist()
    assert [red, blue] == pytest.approx([127.5 * float(further - steps[0]) for further in steps[1:]], rel=1e-2)
    assert green == 0
    assert black.grad is None
    assert all(parameter.grad is None for parameter in paper.parameters())


def test_paper_loss_without_weights_is_an_error_that_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TALKINGHEAD_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(downloads, "download", lambda *_: (_ for _ in ()).throw(OSError("no network")))
    with pytest.raises(UserError, match="vgg19_caffe.pth"):
        make_content_loss("paper")


def test_weights_with_a_wrong_checksum_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TALKINGHEAD_WEIGHTS", str(tmp_path))
    (tmp_path / "vgg19_caffe.pth").write_bytes(b"not the weights")
    with pytest.raises(UserError, match="checksum"):
        make_content_loss("paper")


class Attack:
    """Makes a folder when it is unpickled."""

    def __init__(self, made):
        self.made = made

    def __reduce__(self):
        return os.mkdir, (str(self.made),)


@pytest.mark.parametrize("name", ["offline", "paper"])
def test_nothing_in_a_weights_file_is_run(monkeypatch, tmp_path, name):
    for file in ("mobilenet_v2-b0353104.pth", "vgg19_caffe.pth"):
        torch.save({"weight": Attack(tmp_path / "made")}, tmp_path / file)
    monkeypatch.setenv("TALKINGHEAD_WEIGHTS", str(tmp_path))
    monkeypatch.setitem(downloads.WEIGHT_FILES, "vgg19_caffe.pth", ("https://nowhere.invalid", None))
    with pytest.raises(pickle.UnpicklingError):
        make_content_loss(name)
    assert not (tmp_path / "made").exists()


def test_unknown_loss_is_refused_by_name():
    with pytest.raises(UserError, match="fancy"):
        make_content_loss("fancy")


def test_eyes_and_mouth_count_more(batch):
    weights = region_weights(batch["target_landmarks"], 64, gain=3.0)
    mouth = (batch["target_landmarks"][0, 48:].mean(0) * 64).long()
    assert weights[0, 0, mouth[1], mouth[0]] > 3.5
    assert weights[0, 0, 0, 0] < 1.1


def eyes_and_mouth(*, right: tuple, left: tuple, mouth: tuple) -> torch.Tensor:
    """Landmarks of a face whose eyes and mouth are points."""
    landmarks = torch.zeros(1, 68, 2)
    landmarks[0, 36:42], landmarks[0, 42:48], landmarks[0, 48:] = map(torch.tensor, (right, left, mouth))
    return landmarks


@pytest.mark.parametrize(
    ("row", "column", "weight"),
    [
        (20, 15, 4.0),  # in the middle of an eye
        (20, 35, 4.0),
        (35, 25, 4.0),  # of the mouth
        (20, 12, 1 + 3 * np.exp(-0.5 * (0.06 / 0.088) ** 2)),  # 0.06 beside an eye, whose disc has 0.22 x 0.4
        (17, 35, 1 + 3 * np.exp(-0.5 * (0.06 / 0.088) ** 2)),
        (40, 25, 1 + 3 * np.exp(-0.5 * (0.10 / 0.152) ** 2)),  # 0.1 below the mouth, 0.38 x 0.4
        (35, 31, 1 + 3 * np.exp(-0.5 * (0.12 / 0.152) ** 2)),
    ],
)
def test_the_discs_of_eyes_and_mouth_are_as_large_as_the_eyes_are_apart(row, column, weight):
    landmarks = eyes_and_mouth(right=(0.31, 0.41), left=(0.71, 0.41), mouth=(0.51, 0.71))
    assert region_weights(landmarks, 50, gain=3.0)[0, 0, row, column] == pytest.approx(weight, abs=1e-3)


def test_eyes_in_one_place_count_as_a_twentieth_apart():
    weights = region_weights(eyes_and_mouth(right=(0.51, 0.51), left=(0.51, 0.51), mouth=(0.51, 0.51)), 50, gain=1.0)
    assert weights[0, 0, 25, 26] == pytest.approx(1 + np.exp(-0.5 * (0.02 / (0.38 * 0.05)) ** 2), abs=1e-3)


def relative(fake: list[torch.Tensor], real: list[torch.Tensor]) -> float:
    """The L1 distance of maps over the size of the real ones, mean over samples and maps."""
    shares = [(a - b).abs().flatten(1).mean(1) / b.abs().flatten(1).mean(1) for a, b in zip(fake, real, strict=True)]
    return float(torch.stack(shares).mean())


@pytest.fixture
def shifted(batch):
    """A frame that is wrong by 0.1 everywhere, one that is right, and landmarks."""
    truth = batch["target_frame"] * 0.8
    return truth + 0.1, truth, batch["target_landmarks"]


def test_pixels_count_ten_and_four_times_that_in_eyes_and_mouth(offline, shifted):
    expected = 10 * 0.1 * region_weights(shifted[2], 64, gain=3.0).mean()
    assert offline.terms(*shifted)["pixel"] == pytest.approx(float(expected), rel=1e-4)


def test_four_maps_of_the_face_network_on_chips_count_two(offline, shifted):
    *frames, landmarks = shifted
    maps = [offline.face_network.features((face_chips(one, landmarks, side=112) + 1) * 127.5) for one in frames]
    expected = 2 * relative(*[[all_maps[block] for block in (0, 3, 7, 10)] for all_maps in maps])
    assert offline.terms(*shifted)["face"] == pytest.approx(expected, rel=1e-3)


def test_four_maps_of_mobilenet_on_its_own_scale_count_two(monkeypatch, tmp_path, shifted):
    torch.manual_seed(0)
    network = mobilenet_v2()
    torch.save(network.state_dict(), tmp_path / "mobilenet.pth")
    monkeypatch.setattr(perceptual, "find_mobilenet", lambda: tmp_path / "mobilenet.pth")
    loss, layers = OfflineContent(), network.features.eval()
    scale = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.no_grad():
        maps = [[layers[: last + 1](scale((one + 1) / 2)) for last in (1, 3, 6, 10)] for one in shifted[:2]]
    assert loss.terms(*shifted)["image"] == pytest.approx(2 * relative(*maps), rel=1e-3)
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_without_mobilenet_the_face_network_sees_the_whole_frame(monkeypatch, shifted):
    monkeypatch.setattr(perceptual, "find_mobilenet", lambda: None)
    loss = OfflineContent()
    maps = [loss.face_network.features((one + 1) * 127.5, blocks=7) for one in shifted[:2]]
    expected = 2 * relative(*[[all_maps[block] for block in (0, 3, 6)] for all_maps in maps])
    assert loss.terms(*shifted)["image"] == pytest.approx(expected, rel=1e-3)


def test_the_terms_make_up_the_loss_and_have_the_weights_asked_for(offline, shifted, monkeypatch):
    terms = offline.terms(*shifted)
    assert list(terms) == ["pixel", "face", "image", "identity"]
    assert offline(*shifted) == pytest.approx(float(sum(terms.values())), rel=1e-5)
    for name, value in terms.items():
        monkeypatch.setattr(offline, name, 0.5 * getattr(offline, name))
        assert offline.terms(*shifted)[name] == pytest.approx(0.5 * float(value), rel=1e-4)


def test_half_precision_maps_are_summed_in_single(paper, batch):
    truth, landmarks = batch["target_frame"], batch["target_landmarks"]
    with torch.autocast("cpu", torch.bfloat16):
        value = paper(-truth, truth, landmarks)
    assert value.dtype == torch.float32
    assert value == pytest.approx(float(paper(-truth, truth, landmarks)), rel=0.02)


def test_identity_term_is_one_less_the_centred_similarity(offline, batch):
    truth, landmarks = batch["target_frame"], batch["target_landmarks"]
    stranger = truth.flip(0)
    terms = offline.terms(stranger, truth, landmarks)
    chips = [(face_chips(frames, landmarks, side=offline.CHIP) + 1) * 127.5 for frames in (stranger, truth)]
    similarity = csim(*[offline.face_network(chip) for chip in chips], face_centre())
    assert torch.isclose(terms["identity"], offline.identity * (1 - similarity.mean()), atol=1e-4)


def test_a_gradient_found_at_once_is_the_gradient():
    frames = torch.randn(2, 3, 8, 8, requires_grad=True)

    def judge(x):
        return (x.sin() * x).sum()

    (3 * differentiated_at_once(judge, frames)).backward()
    expected = torch.autograd.grad(3 * judge(frames), frames)[0]
    torch.testing.assert_close(frames.grad, expected)
    with torch.no_grad():
        assert differentiated_at_once(judge, frames) == judge(frames)
