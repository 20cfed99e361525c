"""G: a landmark image in, a frame of the embedded person out.

With ``warped_photo`` it corrects what a warp gets wrong: it sees the warped photo, hands fine maps past its bottleneck
as a U-Net does, and gives for each pixel from how far away the photo is fetched, how much of it stays, and what is
added. A mask between photo and painted frame would close over the photo at once, and where it is closed nothing learns.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from talkinghead.portrait.blocks import AdaptiveResBlock, down_stack
from talkinghead.portrait.config import LARGEST_DOWN_ATTENTION, LARGEST_UP_ATTENTION, PortraitConfig
from talkinghead.portrait.embedder import attention_level
from talkinghead.portrait.layers import Conv, Correction, Linear, SelfAttention, norm_scale_relu

FARTHER = 0.05
"""Fractions of the side by which a pixel is fetched from farther away for an output of 1."""


def fetch(photo: Float[Tensor, "b c h w"], moved: Float[Tensor, "b 2 h w"]) -> Float[Tensor, "b c h w"]:
    """Each pixel of the photo from somewhere else, bilinearly; beyond the edge lies the edge.

    Args:
        photo: to fetch from.
        moved: how far away, fractions of the side, (x, y).
    """
    height, width = photo.shape[2:]
    x = (2 * torch.arange(width, device=photo.device) + 1) / width - 1
    y = (2 * torch.arange(height, device=photo.device) + 1) / height - 1
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1) + 2 * moved.permute(0, 2, 3, 1)
    return F.grid_sample(photo, grid, padding_mode="border", align_corners=False)


class Generator(nn.Module):
    """Turns a landmark image into a frame; the person enters through the scales and shifts of its normalisations.

    Args:
        config: sizes.
        spectral: spectral normalisation; off for folded weights.
        projection: hold P, which turns an embedding into AdaIN parameters. A fine-tuned person needs it no more.

    References:
        Zakharov et al. 2019, sections 3.1 and 4; Johnson et al. 2016 for the image-to-image layout.
    """

    def __init__(self, config: PortraitConfig, *, spectral: bool = True, projection: bool = True):
        super().__init__()
        widths = [config.channels(level) for level in range(config.down_blocks)]
        level = attention_level(config.size, LARGEST_DOWN_ATTENTION, config.attention)
        self.takes_photo = config.warped_photo
        self.down = down_stack(
            6 if config.warped_photo else 3, widths, attention_after=level, norm=True, spectral=spectral
        )
        self.middle = nn.ModuleList(
            AdaptiveResBlock(widths[-1], widths[-1], spectral=spectral) for _ in range(config.residual_blocks)
        )
        self.up = nn.ModuleList()
        self.attention = nn.ModuleDict()
        inputs, side = widths[-1], config.size >> config.down_blocks
        for index, outputs in enumerate(reversed(widths)):
            self.up.append(AdaptiveResBlock(inputs, outputs, resample="up", spectral=spectral))
            inputs, side = outputs, side * 2
            if config.attention and side == LARGEST_UP_ATTENTION:
                self.attention[str(index)] = SelfAttention(outputs, spectral=spectral)
        self.bridges = nn.ModuleList()
        if config.warped_photo:
            coarse_to_fine = widths[::-1]
            self.bridges.extend(
                Conv(source, target, kernel=1, bias=False, spectral=spectral)
                for source, target in zip(coarse_to_fine[1:], coarse_to_fine[:-1], strict=True)
            )
        self.last = Correction(inputs, 6) if config.warped_photo else Conv(inputs, 3, spectral=spectral)
        self.norm_channels = [c for block in [*self.middle, *self.up] for c in block.norm_channels] + [inputs]
        self.num_adain_params = 2 * sum(self.norm_channels)
        self.projection = None
        if projection:
            self.projection = Linear(config.embedding_dim, self.num_adain_params, spectral=spectral)
            with torch.no_grad():  # every scale starts at 1, every shift at 0
                for scale, _ in self._split(self.projection.bias[None]):
                    scale.fill_(1.0)

    def _split(self, adain_params: Float[Tensor, "b n"]) -> list[tuple[Tensor, Tensor]]:
        """(scale, shift) of each normalisation, in the order in which they are applied."""
        parts = adain_params.split([c for channels in self.norm_channels for c in (channels, channels)], 1)
        return list(zip(parts[1::2], parts[::2], strict=True))

    def project(self, embedding: Float[Tensor, "b e"]) -> Float[Tensor, "b n"]:
        """AdaIN parameters of a person: psi = P e."""
        if self.projection is None:
            raise ValueError("this generator belongs to one fine-tuned person and holds no projection")
        return self.projection(embedding)

    def forward(
        self,
        landmark_image: Float[Tensor, "b 3 h w"],
        adain_params: Float[Tensor, "b n"],
        warped_photo: Float[Tensor, "b 3 h w"] | None = None,
    ) -> Float[Tensor, "b 3 h w"]:
        if (warped_photo is not None) != self.takes_photo:
            raise ValueError(f"this generator takes {'a' if self.takes_photo else 'no'} warped photo")
        norms = self._split(adain_params)
        x = landmark_image if warped_photo is None else torch.cat([landmark_image, warped_photo], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        passed = []
        for down in self.down:
            x = down(x)
            passed.append(x)
        for index, block in enumerate([*self.middle, *self.up]):
            x = block(x, norms[2 * index : 2 * index + 2])
            level = index - len(self.middle)
            if str(level) in self.attention:
                x = self.attention[str(level)](x)
            if 0 <= level < len(self.bridges):
                x = x + self.bridges[level](passed[-2 - level])
        painted = self.last(norm_scale_relu(x, *norms[-1])).float()
        if warped_photo is None:
            return torch.tanh(painted)
        added, kept, moved = painted.split([3, 1, 2], 1)
        frame = torch.addcmul(added, fetch(warped_photo.float(), moved * FARTHER), 1 + kept)
        return frame + (frame.clamp(-1, 1) - frame).detach()  # a gradient also where it is clamped
