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
    pairs = list(zip(averages, weights, strict=True))
    moving = [(average, weight.detach()) for average, weight in pairs if average.is_floating_point()]
    if moving:  # on a GPU, a few kernels for all of them
        torch._foreach_lerp_([average for average, _ in moving], [weight for _, weight in moving], 1 - decay)
    for average, weight in pairs:
        if not average.is_floating_point():
            average.copy_(weight)
