"""VGG19 and VGGFace, cut after their last tap, on the scale their weights were trained on."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

VGG19_LAYERS = (1, 6, 11, 20, 29)

VGGFACE_LAYERS = (1, 6, 11, 18, 25)
"""Indices of relu1_1 ... relu5_1 in torchvision's VGG19 and VGG16 ``features``."""

VGG19_MEAN_BGR = (103.939, 116.779, 123.680)

VGGFACE_MEAN_RGB = (129.1863, 104.7624, 93.5940)
"""VGGFace's file was converted from MatConvNet, whose networks take RGB; its own `meta` names this mean."""

VGG19_WIDTHS = (64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M")

VGGFACE_WIDTHS = (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M")


def _vgg_features(widths: tuple[int | str, ...], last: int) -> nn.Sequential:
    """The VGG feature stack up to layer ``last``; what comes after the last tap would only cost time."""
    layers: list[nn.Module] = []
    inputs = 3
    for width in widths:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
    return nn.Sequential(*layers[: last + 1])


class CaffeVGG(nn.Module):
    """A VGG cut after its last tap, that takes frames in -1..1 to the scale its weights were trained on.

    Args:
        widths: of the convolutions, "M" for a pooling.
        taps: layers whose maps are compared.
        mean: subtracted on the scale 0..255, channels in the file's order.
        order: of the channels that the weights were trained on.

    References:
        Zakharov et al. 2019, section 4; Simonyan and Zisserman 2015; Parkhi et al. 2015.
    """

    mean: Tensor

    def __init__(
        self,
        widths: tuple[int | str, ...],
        taps: tuple[int, ...],
        mean: tuple[float, float, float],
        *,
        order: Literal["BGR", "RGB"] = "BGR",
    ):
        super().__init__()
        self.taps, self.order = taps, order
        self.layers = _vgg_features(widths, taps[-1])
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def load(self, tensors: dict[str, Tensor]) -> "CaffeVGG":
        """Take the convolutions of a weights file, in the order in which it lists them."""
        convs = [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]
        kernels = [value for value in tensors.values() if value.ndim == 4][: len(convs)]
        biases = [tensors[name.replace("weight", "bias")] for name, value in tensors.items() if value.ndim == 4]
        for conv, kernel, bias in zip(convs, kernels, biases, strict=False):
            conv.weight.data.copy_(kernel)
            conv.bias.data.copy_(bias)  # type: ignore[union-attr]
        return self

    def forward(self, frames: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        x = ((frames.flip(1) if self.order == "BGR" else frames) + 1) * 127.5 - self.mean
        maps = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taps:
                maps.append(x)
        return maps
