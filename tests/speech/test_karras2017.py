"""Karras's network: sizes, noise, segments, losses, the course of the rate."""

import pytest
import torch

from talkinghead.speech.karras2017 import (
    Articulation,
    FormantAnalysis,
    KarrasConfig,
    KarrasNetwork,
    MultiplicativeNoise,
    RunningBalance,
    emotion_loss,
    learning_rate,
    motion_loss,
    position_loss,
    principal_components,
    smooth_emotions,
)


@pytest.fixture
def small() -> KarrasNetwork:
    torch.manual_seed(0)
    return KarrasNetwork(KarrasConfig(vertices=5, emotion=4, basis=6)).eval()


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_papers_sizes_give_its_parameters():
    network = KarrasNetwork(KarrasConfig())
    assert parameters(network) == 3_738_407
    assert parameters(network.formant) == 319_387
    assert parameters(network.articulation) == 1_103_104


def test_layers_have_the_papers_shapes():
    maps = torch.zeros(2, 1, 64, 32)
    sizes = []
    for layer in FormantAnalysis().layers:
        maps = layer(maps)
        sizes.append(tuple(maps.shape[1:]))
    assert sizes == [(72, 64, 16), (108, 64, 8), (162, 64, 4), (243, 64, 2), (256, 64, 1)]
    assert Articulation(16).eval()(maps, torch.zeros(2, 16)).shape == (2, 272)


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="positive"):
        KarrasConfig(vertices=0)


def test_overlapping_segments_give_what_single_windows_give(small):
    frames, emotion = torch.randn(2, 64 + 8, 32), torch.randn(2, 3, 4)
    together = small.forward_segments(frames, emotion, 4)
    for i in range(3):
        torch.testing.assert_close(
            together[:, i], small(frames[:, 4 * i : 4 * i + 64], emotion[:, i]), atol=1e-5, rtol=0
        )


def test_emotion_reaches_the_vertices(small):
    features = torch.randn(1, 64, 32)
    assert not torch.allclose(small(features, torch.zeros(1, 4)), small(features, torch.ones(1, 4)))


def test_noise_keeps_the_size_of_maps_and_is_shared_by_a_pair():
    torch.manual_seed(0)
    noise = MultiplicativeNoise().train()
    maps = noise(torch.ones(6, 50, 3, 1), 2)
    torch.testing.assert_close(maps.square().mean(1), torch.ones(6, 3, 1))
    torch.testing.assert_close(maps[0], maps[1])
    assert not torch.allclose(maps[1], maps[2])
    assert (maps[:, :, :1] == maps).all()
    assert (noise.eval()(torch.ones(2, 3, 4)) == 1).all()


def test_the_last_layer_starts_from_the_poses(small):
    torch.manual_seed(0)
    poses = torch.randn(40, 1, 1) * torch.randn(5, 3) + torch.randn(5, 3)
    small.start_from(poses)
    torch.testing.assert_close(small.vertices.bias, poses.mean(0).flatten())
    assert small.vertices.weight[:, 1:].abs().max() < 1e-3
    deviation = small.vertices.weight[:, 0].norm()
    torch.testing.assert_close(deviation, (poses - poses.mean(0)).flatten(1).norm(dim=1).square().div(39).sum().sqrt())


def test_principal_components_rebuild_poses_of_low_rank():
    torch.manual_seed(0)
    poses = (torch.randn(30, 3) @ torch.randn(3, 12)).view(30, 4, 3)
    mean, components = principal_components(poses, 8)
    centred = poses.flatten(1) - mean
    basis = components[:, :3] / components[:, :3].norm(dim=0)
    torch.testing.assert_close(centred @ basis @ basis.T, centred, atol=1e-4, rtol=0)
    assert components[:, 3:].abs().max() < 1e-2


def test_losses_have_known_values():
    truth = torch.zeros(1, 2, 1, 3)
    predicted = torch.tensor([[[[3.0, 0, 0]], [[3.0, 0, 3.0]]]])
    assert position_loss(predicted, truth).item() == pytest.approx((9 + 9 + 9) / 6)
    assert motion_loss(predicted, truth).item() == pytest.approx(2 * 9 / 3)
    emotion = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert emotion_loss(emotion).item() == pytest.approx(2 * 1 / 0.5)


def test_emotion_loss_does_not_reward_small_vectors():
    emotion = torch.randn(3, 2, 4)
    torch.testing.assert_close(emotion_loss(emotion), emotion_loss(emotion * 1e-3))


def test_balance_brings_a_steady_loss_to_one_whatever_its_size():
    for size in (1e-6, 1.0, 1e6):
        balance = RunningBalance().train()
        for _ in range(5):
            balanced = balance(torch.full((4,), size, requires_grad=True))
        assert balanced.item() == pytest.approx(1, rel=2e-2)
    before = balance.mean_square.clone()
    balance.eval()(torch.ones(4))
    assert balance.mean_square == before


def test_no_gradient_goes_through_the_balance():
    loss = torch.tensor([2.0], requires_grad=True)
    RunningBalance().train()(loss).backward()
    assert loss.grad is not None and loss.grad.item() == pytest.approx(0.5)


def test_the_rate_rises_falls_like_a_root_and_ends_at_nothing():
    rates = [learning_rate(step, steps=1000, epoch=50) for step in range(1000)]
    assert rates[0] < 0.02 and rates[49] == pytest.approx(1)
    assert rates[199] == pytest.approx(0.5)
    assert rates[-1] < 0.02


def test_smoothing_emotions_keeps_constants_and_calms_noise():
    torch.testing.assert_close(smooth_emotions(torch.ones(20, 2), 3.0), torch.ones(20, 2))
    noise = torch.randn(200, 2)
    assert smooth_emotions(noise, 5.0).std() < 0.5 * noise.std()
