"""G: a landmark image in, a frame of the embedded person out."""

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

    OUTPUTS = 3
    """Channels of a frame."""

    def __init__(self, config: PortraitConfig, *, spectral: bool = True, projection: bool = True):
        super().__init__()
        widths = [config.channels(level) for level in range(config.down_blocks)]
        level = attention_level(config.size, LARGEST_DOWN_ATTENTION, config.attention)
        self.down = down_stack(self.inputs(config), widths, attention_after=level, norm=True, spectral=spectral)
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
        self.extend(config, spectral=spectral)
        self.last = Conv(inputs, self.OUTPUTS, spectral=spectral)
        self.norm_channels = [c for block in [*self.middle, *self.up] for c in block.norm_channels] + [inputs]
        self.num_adain_params = 2 * sum(self.norm_channels)
        self.projection = None
        if projection:
            self.projection = Linear(config.embedding_dim, self.num_adain_params, spectral=spectral)
            with torch.no_grad():  # every scale starts at 1, every shift at 0
                for scale, _ in self._split(self.projection.bias[None]):
                    scale.fill_(1.0)

    @staticmethod
    def inputs(config: PortraitConfig) -> int:
        """Channels of a landmark image, and of what else is seen."""
        return 3 + (0 if config.compositing is None else config.compositing.channels)

    def extend(self, config: PortraitConfig, *, spectral: bool) -> None:
        """Room for a subclass to add layers before the last one: the order of layers decides what a seed gives."""

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
        self, landmark_image: Float[Tensor, "b 3 h w"], adain_params: Float[Tensor, "b n"]
    ) -> Float[Tensor, "b 3 h w"]:
        """A frame for each landmark image."""
        return torch.tanh(self.paint(landmark_image, adain_params))

    def paint(self, x: Float[Tensor, "b i h w"], adain_params: Float[Tensor, "b n"]) -> Float[Tensor, "b o h w"]:
        """What the last layer gives, in single precision."""
        norms = self._split(adain_params)
        x = x.contiguous(memory_format=torch.channels_last)
        passed = []
        for down in self.down:
            x = down(x)
            passed.append(x)
        for index, block in enumerate([*self.middle, *self.up]):
            x = block(x, norms[2 * index : 2 * index + 2])
            if index >= len(self.middle):
                x = self.after_up(index - len(self.middle), x, passed)
        return self.last(norm_scale_relu(x, *norms[-1])).float()

    def after_up(self, level: int, x: Float[Tensor, "b c h2 w2"], passed: list[Tensor]) -> Float[Tensor, "b c h2 w2"]:
        """What follows upsampling block ``level``: self-attention at 64 x 64. ``passed``: the maps of the way down."""
        return self.attention[str(level)](x) if str(level) in self.attention else x
