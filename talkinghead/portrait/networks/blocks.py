"""The one block family of the three networks: a pre-activation residual block, plain, normalised or adaptive.

References:
    Brock et al. 2019, Large scale GAN training (block layout); Zakharov et al. 2019, section 4.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from talkinghead.portrait.networks.layers import Conv, InstanceNormRelu, Resample, SelfAttention, norm_scale_relu


class ResBlock(nn.Module):
    """ReLU, convolution, ReLU, convolution beside a skip connection, without normalisation.

    Args:
        inputs: channels in.
        outputs: channels out.
        resample: "same" or "down".
        first: the block sees a picture, so that nothing comes before its first convolution.
        norm: instance normalisation before each ReLU; the convolutions then have no bias.
        spectral: spectral normalisation.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        resample: Resample = "same",
        first: bool = False,
        norm: bool = False,
        spectral: bool = True,
    ):
        super().__init__()
        bias = not norm
        self.first = first
        self.norm1 = InstanceNormRelu(inputs) if norm else None
        self.norm2 = InstanceNormRelu(outputs) if norm else None
        self.conv1 = Conv(inputs, outputs, bias=bias, spectral=spectral)
        self.conv2 = Conv(outputs, outputs, bias=bias, resample=resample, spectral=spectral)
        self.skip = (
            Conv(inputs, outputs, kernel=1, bias=bias, resample=resample, spectral=spectral)
            if inputs != outputs or resample != "same"
            else None
        )

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        skip = x if self.skip is None else self.skip(x)
        if not self.first:
            x = F.relu(x) if self.norm1 is None else self.norm1(x)
        x = self.conv1(x)
        x = F.relu(x, inplace=True) if self.norm2 is None else self.norm2(x)
        return self.conv2(x).add_(skip)


class AdaptiveResBlock(nn.Module):
    """The same block with adaptive instance normalisation, whose scales and shifts come from outside.

    Args:
        inputs: channels in.
        outputs: channels out.
        resample: "same" or "up".
        spectral: spectral normalisation.
    """

    def __init__(self, inputs: int, outputs: int, *, resample: Resample = "same", spectral: bool = True):
        super().__init__()
        self.norm_channels = (inputs, outputs)
        self.conv1 = Conv(inputs, outputs, bias=False, resample=resample, spectral=spectral)
        self.conv2 = Conv(outputs, outputs, bias=False, spectral=spectral)
        self.skip = (
            Conv(inputs, outputs, kernel=1, bias=False, resample=resample, spectral=spectral)
            if inputs != outputs or resample != "same"
            else None
        )

    def forward(
        self, x: Float[Tensor, "b i h w"], norms: list[tuple[Float[Tensor, "b _c"], Float[Tensor, "b _c"]]]
    ) -> Float[Tensor, "b o h2 w2"]:
        skip = x if self.skip is None else self.skip(x)
        x = self.conv1(norm_scale_relu(x, *norms[0]))
        return self.conv2(norm_scale_relu(x, *norms[1])).add_(skip)


def down_stack(
    inputs: int, widths: list[int], *, attention_after: int | None, norm: bool = False, spectral: bool = True
) -> nn.ModuleList:
    """Downsampling blocks of the given widths, with self-attention after block ``attention_after``."""
    stack = nn.ModuleList()
    for level, width in enumerate(widths):
        first = level == 0
        block: nn.Module = ResBlock(
            inputs, width, resample="down", first=first, norm=norm and not first, spectral=spectral
        )
        if level == attention_after:
            block = nn.Sequential(block, SelfAttention(width, spectral=spectral))
        stack.append(block)
        inputs = width
    return stack
