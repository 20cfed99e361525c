"""G: a landmark image in, a frame of the embedded person out.

With ``warped_photo`` it also sees the warped photo, hands fine maps past its bottleneck, and gives a mask beside its
frame: where the photo stays, and where it paints. Training must start with a frame that is worth as much as the photo,
as on people whom it knows; next to a poor one the mask closes over the photo, and nothing learns to paint.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from talkinghead.portrait.networks.blocks import AdaptiveResBlock, down_stack
from talkinghead.portrait.networks.config import LARGEST_DOWN_ATTENTION, LARGEST_UP_ATTENTION, PortraitConfig
from talkinghead.portrait.networks.embedder import attention_level
from talkinghead.portrait.networks.layers import Conv, Linear, SelfAttention, norm_scale_relu


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
                Bridge(source, target, spectral=spectral)
                for source, target in zip(coarse_to_fine[1:], coarse_to_fine[:-1], strict=True)
            )
        self.last = Conv(inputs, 4 if config.warped_photo else 3, spectral=spectral)
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
        *,
        painted_alone: int = 0,
    ) -> Float[Tensor, "b 3 h w"]:
        """A frame for each landmark image; the first ``painted_alone`` of them without the photo that shows through."""
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
                x = self.bridges[level](x, passed[-2 - level])
        painted = self.last(norm_scale_relu(x, *norms[-1])).float()
        frame = torch.tanh(painted[:, :3])
        if warped_photo is None:
            return frame
        blended = frame.lerp(warped_photo.float(), torch.sigmoid(painted[:, 3:]))
        return torch.cat([frame[:painted_alone], blended[painted_alone:]]) if painted_alone else blended


class Bridge(nn.Module):
    """Adds a map from the way down to one from the way up, with a weight for each channel that starts at zero.

    References:
        Ronneberger et al. 2015, U-Net.
    """

    def __init__(self, inputs: int, outputs: int, *, spectral: bool = True):
        super().__init__()
        self.conv = Conv(inputs, outputs, kernel=1, bias=False, spectral=spectral)
        self.gain = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "b o h w"], passed: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h w"]:
        return torch.addcmul(x, self.gain.to(x.dtype)[:, None, None], self.conv(passed).to(x.dtype))
