"""VOCA's network: sizes, styles, losses."""

import numpy as np
import pytest
import torch

from talkinghead.speech.voca2019 import VocaConfig, VocaNetwork, position_loss, style_vector, velocity_loss


@pytest.fixture
def small() -> VocaNetwork:
    torch.manual_seed(0)
    network = VocaNetwork(VocaConfig(vertices=5, speakers=3, scores=6, basis=4)).eval()
    for convolution in network.convolutions:
        torch.nn.init.normal_(convolution.weight, std=0.3)
    return network


def test_the_papers_sizes_give_its_parameters():
    network = VocaNetwork(VocaConfig())
    assert sum(parameter.numel() for parameter in network.parameters()) == 809_563


def test_four_convolutions_halve_the_window_to_one():
    maps = torch.zeros(1, 37, 16)
    sizes = []
    for convolution in VocaNetwork(VocaConfig()).convolutions:
        maps = convolution(torch.nn.functional.pad(maps, (0, 1)))
        sizes.append(tuple(maps.shape[1:]))
    assert sizes == [(32, 8), (32, 4), (64, 2), (64, 1)]


@pytest.mark.parametrize("sizes", [{"speakers": 0}, {"window": 8}])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match="positive|need 16"):
        VocaConfig(**sizes)


def test_style_changes_the_face_and_mixtures_lie_between(small):
    windows = torch.randn(1, 16, 6)
    faces = [small(windows, style_vector(3, style)[None]) for style in (0, 1, [0.5, 0.5, 0.0])]
    assert not torch.allclose(faces[0], faces[1])
    assert (faces[2] - faces[0]).norm() < (faces[1] - faces[0]).norm()


def test_an_untrained_network_rests_on_the_template(small):
    small.start_from(1e-3 * torch.randn(20, 5, 3))
    torch.nn.init.zeros_(small.coefficients.weight)
    assert small(torch.randn(2, 16, 6), style_vector(3, 0).expand(2, -1)).abs().max() == 0


def test_losses_count_the_distance_of_vertices():
    truth = torch.zeros(1, 2, 2, 3)
    predicted = truth.clone()
    predicted[0, 1, 0] = torch.tensor([0.0, 3.0, 4.0])
    assert position_loss(predicted, truth).item() == pytest.approx(25 / 4)
    assert velocity_loss(predicted, truth).item() == pytest.approx(25 / 2)


def test_styles_are_numbers_weights_or_everybody():
    assert style_vector(4, 2).tolist() == [0, 0, 1, 0]
    assert style_vector(4, None).tolist() == [0.25] * 4
    assert style_vector(2, [1.0, 3.0]).tolist() == [0.25, 0.75]
    assert style_vector(2, np.array([0.0, 2.0])).tolist() == [0, 1]


@pytest.mark.parametrize("style", [4, -1, [1.0], [0.0, 0.0, 0.0, 0.0]])
def test_a_style_that_is_not_there_is_refused(style):
    with pytest.raises(ValueError, match="no speaker|do not fit"):
        style_vector(4, style)
