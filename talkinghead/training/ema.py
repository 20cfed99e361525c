"""Averages that follow the weights, slowly: what is kept of a training."""

from collections.abc import Iterable

import torch
from torch import Tensor


def warmed_up(decay: float, updates: int) -> float:
    """The decay after so many updates: smaller at first, so that where the weights started is soon forgotten."""
    return min(decay, (1 + updates) / (10 + updates))


@torch.no_grad()
def follow(averages: Iterable[Tensor], weights: Iterable[Tensor], decay: float) -> None:
    """Move averages towards weights: each keeps `decay` of itself. Whole numbers are copied.

    Raises:
        ValueError: if there are not as many of the one as of the other.
    """
    for average, weight in zip(averages, weights, strict=True):
        if average.is_floating_point():
            average.lerp_(weight.detach(), 1 - decay)
        else:
            average.copy_(weight)
