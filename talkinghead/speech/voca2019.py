"""VOCA, Cudeiro et al. 2019: from phonetic scores and a speaking style to the offsets of a template's vertices.

Cudeiro, Bolkart, Laidlaw, Ranjan, Black: Capture, learning, and synthesis of 3D speaking styles, CVPR 2019. Written
from the layer table; the authors' code is non-commercial and was not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from talkinghead.speech.karras2017 import principal_components

CHANNELS = (32, 32, 64, 64)
POSITION, VELOCITY = 1.0, 10.0
"""Weights of the two losses."""


@dataclass(frozen=True)
class VocaConfig:
    """Sizes of the network.

    Raises:
        ValueError: if a size is not positive.
    """

    vertices: int = 5023
    speakers: int = 8
    scores: int = 29
    """Phonetic classes, D in the paper."""
    window: int = 16
    basis: int = 50

    def __post_init__(self) -> None:
        if min(self.vertices, self.speakers, self.scores, self.window, self.basis) < 1:
            raise ValueError(f"sizes of the network must be positive: {self}")
        if self.window != 16:
            raise ValueError(f"the window is {self.window} frames; four halvings to one need 16")


class VocaNetwork(nn.Module):
    """A window of phonetic scores and a style -> how far each vertex is from the template, metres.

    0.81 M parameters with 5023 vertices and 8 speakers.

    References:
        Cudeiro et al. 2019, section 4 and table 1.
    """

    def __init__(self, config: VocaConfig):
        super().__init__()
        self.config = config
        self.norm = nn.BatchNorm2d(1, eps=1e-5, momentum=0.1)
        widths = (config.scores + config.speakers, *CHANNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], 3, stride=2, padding=0) for i in range(len(CHANNELS))
        )
        self.hidden = nn.Linear(CHANNELS[-1] + config.speakers, 128)
        self.coefficients = nn.Linear(128, config.basis)
        self.offsets = nn.Linear(config.basis, config.vertices * 3)
        for convolution in self.convolutions:
            for parameter in convolution.parameters():
                nn.init.trunc_normal_(parameter, std=0.02, a=-0.04, b=0.04)
        for layer in (self.hidden, self.coefficients, self.offsets):
            nn.init.trunc_normal_(layer.weight, std=0.1, a=-0.2, b=0.2)
            nn.init.zeros_(layer.bias)

    def forward(self, windows: Float[Tensor, "b 16 d"], style: Float[Tensor, "b k"]) -> Float[Tensor, "b v 3"]:
        """Offsets from the template.

        Args:
            windows: phonetic scores.
            style: one-hot for a training speaker, or any mixture.
        """
        scores = self.norm(windows[:, None])[:, 0]
        everywhere = style[:, None].expand(-1, scores.shape[1], -1)
        maps = rearrange(torch.cat([scores, everywhere], -1), "b t c -> b c t")
        for convolution in self.convolutions:
            maps = F.relu(convolution(F.pad(maps, (0, 1))))
        hidden = torch.tanh(self.hidden(torch.cat([maps.flatten(1), style], -1)))
        return rearrange(self.offsets(self.coefficients(hidden)), "b (v xyz) -> b v xyz", xyz=3)

    @torch.no_grad()
    def start_from(self, offsets: Float[Tensor, "t v 3"]) -> None:
        """Set the decoder to the principal components of training offsets, each scaled to its deviation; bias 0."""
        _, components = principal_components(offsets, self.config.basis)
        self.offsets.weight.copy_(components)
        nn.init.zeros_(self.offsets.bias)


def position_loss(predicted: Float[Tensor, "b 2 v 3"], truth: Float[Tensor, "b 2 v 3"]) -> Float[Tensor, ""]:
    """Mean squared distance of vertices, square metres."""
    return (predicted - truth).square().sum(-1).mean()


def velocity_loss(predicted: Float[Tensor, "b 2 v 3"], truth: Float[Tensor, "b 2 v 3"]) -> Float[Tensor, ""]:
    """Mean squared distance of how vertices move between two consecutive frames, square metres."""
    return (predicted.diff(dim=1) - truth.diff(dim=1)).square().sum(-1).mean()


def style_vector(
    speakers: int, style: int | Sequence[float] | Float[np.ndarray, " k"] | None
) -> Float[Tensor, " {speakers}"]:
    """The style to speak in: a training speaker's number, weights of several (brought to the sum 1), None for all.

    Raises:
        ValueError: if there is no such speaker, or the weights do not fit or do not sum to more than 0.
    """
    if style is None:
        return torch.full((speakers,), 1 / speakers)
    if isinstance(style, int | np.integer):
        if not 0 <= style < speakers:
            raise ValueError(f"there is no speaker {style}; there are {speakers}, counted from 0")
        return F.one_hot(torch.tensor(int(style)), speakers).float()
    weights = torch.as_tensor(np.asarray(style, np.float32))
    if weights.shape != (speakers,) or float(weights.sum()) <= 0:
        raise ValueError(f"style weights {weights.tolist()} do not fit {speakers} speakers; give one for each, sum > 0")
    return weights / weights.sum()
