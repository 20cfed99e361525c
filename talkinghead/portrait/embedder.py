"""E: who somebody is, from one frame and its landmarks."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from talkinghead.portrait.blocks import down_stack
from talkinghead.portrait.config import LARGEST_DOWN_ATTENTION, PortraitConfig


def attention_level(size: int, side: int, wanted: bool) -> int | None:
    """Index of the downsampling block whose output is ``side`` pixels wide, if attention is wanted there."""
    level = (size // side).bit_length() - 2
    return level if wanted and level >= 0 else None


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

    def forward(
        self, frames: Float[Tensor, "b 3 h w"], landmark_images: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b e"]:
        x = pair(frames, landmark_images)
        for block in self.blocks:
            x = block(x)
        return F.relu(x).sum((2, 3), dtype=torch.float32)

    def average(
        self, frames: Float[Tensor, "b k 3 h w"], landmark_images: Float[Tensor, "b k 3 h w"]
    ) -> tuple[Float[Tensor, "b e"], Float[Tensor, "b k e"]]:
        """The mean embedding of K frames, and the embedding of each."""
        each = self(frames.flatten(0, 1), landmark_images.flatten(0, 1)).unflatten(0, frames.shape[:2])
        return each.mean(1), each
