"""The person's matte: how much of each pixel of a photo is the person, found once a photo.

A small network looks at 256 x 256 pixels; a guided filter brings its edge onto the picture's own.
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor, nn

from talkinghead.media.tensors import read_tensors
from talkinghead.weights.shipped import shipped

FORMAT = "talkinghead.matte.1"

SIDE = 256
"""Pixels of the picture that the network sees."""


class MatteNetwork(nn.Module):
    """A MobileNetV3 with a decoder: a picture in, the share of each pixel that is a person out.

    Args:
        steps: what is done, one after the other: ``op``, its ``stride``, and the values that it is done ``of``; value 0
            is the picture, value n what step n makes.
        weights: ``n.weight`` and ``n.bias`` of the convolution that is step n.

    References:
        Howard et al. 2019, Searching for MobileNetV3; MediaPipe's selfie segmentation, general model (Apache-2.0).
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]], weights: Mapping[str, Tensor]):
        super().__init__()
        self.steps = steps
        for name, tensor in weights.items():
            self.register_buffer(name.replace(".", "_"), tensor.float())

    def forward(self, picture: Float[Tensor, "b 3 256 256"]) -> Float[Tensor, "b 1 256 256"]:
        """Values 0..1 in, 0..1 out."""
        values = [picture.contiguous(memory_format=torch.channels_last)]
        for number, step in enumerate(self.steps, 1):
            values.append(self._done(number, step, [values[index] for index in step["of"]]))
        return values[-1]

    def _done(self, number: int, step: Mapping[str, Any], of: list[Tensor]) -> Tensor:
        match step["op"]:
            case "add":
                return of[0] + of[1]
            case "mul":
                return of[0] * of[1]
            case "relu":
                return F.relu(of[0])
            case "hard_swish":
                return F.hardswish(of[0])
            case "sigmoid":
                return torch.sigmoid(of[0])
            case "mean":
                return of[0].mean((2, 3), keepdim=True)
            case "double":
                return F.interpolate(of[0], scale_factor=2, mode="bilinear", align_corners=False)
        weight, bias = self.get_buffer(f"{number}_weight"), self.get_buffer(f"{number}_bias")
        if step["op"] == "transposed":
            return F.conv_transpose2d(of[0], weight, bias, stride=2)
        groups = len(weight) if step["op"] == "depthwise" else 1
        return _same_convolution(of[0], weight, bias, stride=step["stride"], groups=groups)


def _same_convolution(x: Tensor, weight: Tensor, bias: Tensor, *, stride: int, groups: int) -> Tensor:
    """A convolution whose map is the input's over the stride; an odd pixel of padding goes to the right and below."""
    kernel = weight.shape[-1]
    lack = [max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
    if any(value % 2 for value in lack):
        (top, left), (height, width) = (value // 2 for value in lack), lack
        x = F.pad(x, (left, width - left, top, height - top))
        lack = [0, 0]
    return F.conv2d(x, weight, bias, stride=stride, padding=(lack[0] // 2, lack[1] // 2), groups=groups)


@cache
def matte_network() -> MatteNetwork:
    """The network that ships with the package, read once in a process."""
    tensors, header = read_tensors(shipped("matte.safetensors"), FORMAT, framework="pt")
    return MatteNetwork(json.loads(header["steps"]), tensors).eval()
