"""Averages that follow the weights."""

import pytest
import torch

from talkinghead.training.ema import follow, warmed_up


def test_the_decay_warms_up_and_stays():
    assert [warmed_up(0.9, updates) for updates in (0, 1, 8, 100)] == pytest.approx([0.1, 2 / 11, 0.5, 0.9])
    assert warmed_up(0.0, 100) == 0


def test_an_average_keeps_its_share_and_whole_numbers_are_copied():
    averages = [torch.tensor([1.0, 2.0]), torch.tensor(3)]
    follow(averages, [torch.tensor([2.0, 0.0]), torch.tensor(9)], 0.75)
    assert averages[0].tolist() == [1.25, 1.5] and averages[1] == 9
    follow(averages, [torch.tensor([7.0, -1.0]), torch.tensor(4)], 0.0)
    assert averages[0].tolist() == [7.0, -1.0]


def test_averages_and_weights_must_match():
    with pytest.raises(ValueError):
        follow([torch.zeros(1)], [], 0.5)


def test_an_average_leaves_the_graph_alone():
    weight = torch.nn.Parameter(torch.ones(2))
    average = torch.zeros(2)
    follow([average], [weight * 2], 0.5)
    assert not average.requires_grad and average.tolist() == [1.0, 1.0]
