"""Pham's network: causality, streaming, ranges, rotations."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from talkinghead.rig.rig import rotation_matrix
from talkinghead.speech.features import pham_features
from talkinghead.speech.pham2017 import (
    PhamConfig,
    PhamNetwork,
    PhamStream,
    expression_loss,
    from_quaternion,
    rotation_loss,
    sparsity_loss,
    to_quaternion,
    velocity_loss,
)


@pytest.fixture
def small() -> PhamNetwork:
    torch.manual_seed(0)
    return PhamNetwork(PhamConfig(hidden=8, layers=2)).eval()


def test_it_gives_three_of_rotation_and_46_of_expression_in_their_ranges(small):
    rotation, expressions, _ = small(100 * torch.randn(2, 5, 537))
    assert rotation.shape == (2, 5, 3) and expressions.shape == (2, 5, 46)
    assert rotation.abs().max() <= 0.5
    assert expressions.min() >= 0 and expressions.max() <= 1


def test_it_does_not_hear_the_future(small):
    features = torch.randn(1, 10, 537, requires_grad=True)
    rotation, expressions, _ = small(features)
    (rotation[:, 4].sum() + expressions[:, 4].sum()).backward()
    assert features.grad is not None
    assert features.grad[:, 5:].abs().max() == 0
    assert (features.grad[:, :5].abs().amax((0, 2)) > 0).all()


@pytest.mark.parametrize("block", [100, 1470, 5000])
def test_a_stream_gives_what_the_whole_sound_gives(small, block):
    waveform = np.random.default_rng(0).normal(0, 0.1, 44100).astype(np.float32)
    _, whole, _ = small(torch.from_numpy(pham_features(waveform, Fraction(30)))[None])
    stream = PhamStream(small, 30)
    frames = [frame for first in range(0, 44100, block) for frame in stream.feed(waveform[first : first + block])]
    assert len(frames) == 30
    np.testing.assert_allclose(np.stack([one[1] for one in frames]), whole[0].detach().numpy(), atol=1e-4)


def test_a_frame_comes_as_soon_as_its_sound_has_ended(small):
    stream = PhamStream(small, 30)
    assert len(stream.feed(np.zeros(1469, np.float32))) == 0
    assert len(stream.feed(np.zeros(1, np.float32))) == 1
    assert len(stream.feed(np.zeros(2940, np.float32))) == 2


def test_a_stream_remembers_no_more_than_it_needs(small):
    stream = PhamStream(small, 30)
    for _ in range(20):
        stream.feed(np.zeros(4410, np.float32))
    assert len(stream._heard) < 2 * 2127


def test_a_stream_at_no_rate_is_refused(small):
    with pytest.raises(ValueError, match="fps is 0"):
        PhamStream(small, 0)


def test_a_size_of_nothing_is_refused():
    with pytest.raises(ValueError, match="positive"):
        PhamConfig(layers=0)


def test_it_starts_from_the_mean_face(small):
    features, expressions = torch.randn(50, 537), torch.rand(50, 46) * 0.5
    rotation = 0.1 * torch.randn(50, 3)
    small.start_from(features, expressions, rotation)
    turned, faces, _ = small(features[None])
    assert (faces[0].mean(0) - expressions.mean(0)).abs().max() < 0.03
    assert (turned[0].mean(0) - rotation.mean(0)).abs().max() < 0.03


def test_quaternions_are_the_rotations_of_the_rig():
    pose = np.array([[0.4, -0.3, 0.2], [0.0, 0.5, 0.0], [-1.0, 0.1, 0.3]])
    x, y, z = to_quaternion(pose).T
    w = np.sqrt(1 - x * x - y * y - z * z)
    matrix = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
            np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
            np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        -2,
    )
    np.testing.assert_allclose(matrix, rotation_matrix(pose), atol=1e-6)
    np.testing.assert_allclose(from_quaternion(to_quaternion(pose)), pose, atol=1e-6)
    assert from_quaternion(np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_losses_have_known_values():
    predicted, truth, deviation = torch.ones(1, 2, 3), torch.zeros(1, 2, 3), torch.tensor([1.0, 0.5, 0.25])
    expected = pytest.approx((1 + 4 + 16) / 3)
    assert expression_loss(predicted, truth, deviation).item() == expected
    assert rotation_loss(predicted, truth, deviation).item() == expected
    assert velocity_loss(predicted, truth, deviation).item() == 0
    assert sparsity_loss(predicted).item() == 1
