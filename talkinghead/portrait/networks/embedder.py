"""E: who somebody is, from one frame and its landmarks."""

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from talkinghead.portrait.networks.blocks import down_stack
from talkinghead.portrait.networks.config import LARGEST_DOWN_ATTENTION, PortraitConfig
from talkinghead.portrait.networks.layers import without_refining

REMADE_BLOCKS = 3
REMADE_SIZE = 256
"""From this size of the frames on, training makes the maps of so many first blocks twice rather than keep them: with
8 shots they would be the largest part of a step's memory; to make them takes a twentieth of its time."""


def attention_level(size: int, side: int, wanted: bool) -> int | None:
    """Index of the downsampling block whose output is ``side`` pixels wide, if attention is wanted there."""
    level = (size // side).bit_length() - 2
    return level if wanted and level >= 0 else None


def remade(block: nn.Module, x: Tensor) -> Tensor:
    """The block's output, whose inner maps are forgotten and made again on the way back, with the same weights."""
    output: Tensor = checkpoint(
        block,
        x,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=lambda: (nullcontext(), without_refining()),
    )
    return output


def pair(frames: Float[Tensor, "b 3 h w"], landmark_images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 6 h w"]:
    """A frame and its landmark image as one picture of six channels."""
    return torch.cat([frames, landmark_images], 1).contiguous(memory_format=torch.channels_last)


class Embedder(nn.Module):
    """Maps a frame and its landmark image to an identity embedding.

    Args:
        config: sizes.
        spectral: spectral normalisation; off for folded weights.

    References:
        Zakharov et al. 2019, sections 3.1 and 4: sum pooling over space, then a ReLU.
    """

    def __init__(self, config: PortraitConfig, *, spectral: bool = True):
        super().__init__()
        widths = [config.channels(level) for level in range(config.embedder_blocks)]
        widths[-1] = config.embedding_dim
        level = attention_level(config.size, LARGEST_DOWN_ATTENTION, config.attention)
        self.blocks = down_stack(6, widths, attention_after=level, spectral=spectral)
        self.remade = REMADE_BLOCKS if config.size >= REMADE_SIZE else 0

    def forward(
        self, frames: Float[Tensor, "b 3 h w"], landmark_images: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b e"]:
        x = pair(frames, landmark_images)
        for index, block in enumerate(self.blocks):
            x = remade(block, x) if index < self.remade and torch.is_grad_enabled() else block(x)
        return F.relu(x).sum((2, 3), dtype=torch.float32)

    def average(
        self, frames: Float[Tensor, "b k 3 h w"], landmark_images: Float[Tensor, "b k 3 h w"]
    ) -> tuple[Float[Tensor, "b e"], Float[Tensor, "b k e"]]:
        """The mean embedding of K frames, and the embedding of each."""
        each = self(frames.flatten(0, 1), landmark_images.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return each.mean(1), each
