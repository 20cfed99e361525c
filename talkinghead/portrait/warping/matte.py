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

_SMOOTH = 1.0
"""Of the network's map, pixels of it: it is ragged where the network wavers."""
_DOUBT, _NEAR = 0.3, 0.04
"""Near the person (a share of the side) this much is enough to be the person: earrings, a ponytail, a dark collar.

What is taken by mistake moves with the head; what is lost stays behind as a ghost, which is worse.
"""
_DECISION = 2.5
"""How much steeper the map is made around one half, so that what the network doubts is the person's or is not."""
_LARGEST_HOLE = 0.01
"""Of the picture."""
_RADIUS = 0.016
_EPSILON = 2e-4
"""Guided filter: half of its window, of the side; the variance of colour, 0..1, that is noise."""
_CONTRAST = 1.5
"""Takes the haze away that the guided filter leaves on both sides of the edge."""


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


def person_matte(
    frame: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "68 2"] | None = None
) -> Float32[np.ndarray, "h w"]:
    """How much of each pixel is the person, 0..1; all 0 where the network sees nobody and no landmarks are given.

    Args:
        frame: a photo of one person, best the crop of the head.
        landmarks: fractions of the width and height; of several people the one who has this face is taken, None
            takes the largest.
    """
    small = cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    picture = torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255
    network = matte_network()
    with torch.inference_mode():
        seen, mirrored = network(torch.cat([picture, picture.flip(3)]))[:, 0].numpy()
    return guided_filter(frame, _one_person((seen + mirrored[:, ::-1]) / 2, landmarks))


def _one_person(
    seen: Float32[np.ndarray, "s s"], landmarks: Float[np.ndarray, "68 2"] | None
) -> Float32[np.ndarray, "s s"]:
    """The network's map, decided where it wavers, without other people and without holes."""
    smooth = cv2.GaussianBlur(seen, (0, 0), _SMOOTH)
    away = cv2.distanceTransform((smooth < 0.5).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) / len(seen)
    smooth += (0.5 - _DOUBT) * np.clip(1.5 - away / _NEAR, 0, 1)
    person = (smooth > 0.5).astype(np.uint8)
    face = np.zeros_like(person)
    if landmarks is not None:
        outline = np.rint(np.clip(landmarks * len(seen) - 0.5, -len(seen), 2 * len(seen))).astype(np.int32)
        cv2.fillConvexPoly(face, cv2.convexHull(outline), 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(person | face)
    if count == 1:
        return np.zeros_like(seen)
    on_face = np.bincount(labels[face > 0], minlength=count)
    kept = _without_holes(labels == (on_face if on_face.any() else stats[:, cv2.CC_STAT_AREA])[1:].argmax() + 1)
    near = cv2.dilate(kept.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    decided = np.clip((smooth - 0.5) * _DECISION + 0.5, 0, 1)
    return np.where(kept, np.maximum(decided, cv2.erode(kept.astype(np.float32), np.ones((3, 3)))), decided) * near


def _without_holes(shape: Bool[np.ndarray, "s s"]) -> Bool[np.ndarray, "s s"]:
    """A shape whose holes are filled, but for large ones: between arm and body lies background."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~shape).astype(np.uint8), connectivity=4)
    left, top, width, height, area = stats.T
    inside = (left > 0) & (top > 0) & (left + width < len(shape)) & (top + height < len(shape))
    small = inside & (area < _LARGEST_HOLE * shape.size)
    return shape | small[labels]


def guided_filter(frame: UInt8[np.ndarray, "h w 3"], matte: Float32[np.ndarray, "s s"]) -> Float32[np.ndarray, "h w"]:
    """A coarse matte whose edge follows the picture's: a linear function of the colours around each pixel.

    Args:
        frame: the picture.
        matte: of the whole picture, 0..1.

    References:
        He and Sun 2015, Fast guided filter: the coefficients are found on a small picture and enlarged.
    """
    side = len(matte)
    guide = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    window = (2 * round(_RADIUS * side) + 1,) * 2

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, window, borderType=cv2.BORDER_REPLICATE)

    mean_guide, mean_matte = mean(guide), mean(matte)
    together = mean(guide * matte[..., None]) - mean_guide * mean_matte[..., None]
    first, second = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]
    pairs = cv2.merge([guide[..., i] * guide[..., j] for i, j in zip(first, second, strict=True)])
    rr, rg, rb, gg, gb, bb = cv2.split(mean(pairs) - mean_guide[..., first] * mean_guide[..., second])
    rr, gg, bb = rr + _EPSILON, gg + _EPSILON, bb + _EPSILON
    # The inverse of the symmetric 3 x 3 covariance, by cofactors.
    c00, c01, c02 = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    c11, c12, c22 = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    determinant = rr * c00 + rg * c01 + rb * c02
    r, g, b = cv2.split(together)
    slope = cv2.merge([c00 * r + c01 * g + c02 * b, c01 * r + c11 * g + c12 * b, c02 * r + c12 * g + c22 * b])
    slope /= determinant[..., None]
    level = mean_matte - (slope * mean_guide).sum(-1)
    slope, level = (cv2.resize(mean(part), frame.shape[1::-1]) for part in (slope / 255, level))
    explained = np.einsum("hwc,hwc->hw", slope, frame.astype(np.float32)) + level
    return np.clip((explained - 0.5) * _CONTRAST + 0.5, 0, 1)
