"""Layers of the few-shot head, written so that a CPU spends its time in convolutions that are needed.

A 3 x 3 convolution that follows a nearest-neighbour upsampling, or comes before an average pooling, is one
4 x 4 convolution of stride 2 with the same result and 2.25 times fewer multiplications.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

EPSILON = 1e-4
_WARM_UP = 15
_STRIP = 1024
"""Queries whose attention is found at once on a CPU."""

Resample = Literal["same", "down", "up"]

_refining = ContextVar("refining", default=True)


@contextmanager
def without_refining() -> Iterator[None]:
    """Within it, passes leave the estimates of singular vectors as they are."""
    token = _refining.set(False)
    try:
        yield
    finally:
        _refining.reset(token)


class SpectralWeight(nn.Module):
    """A weight divided by its largest singular value, which power iteration tracks.

    Args:
        shape: of the weight; the first axis holds the outputs.
        spectral: off for folded networks, whose weights are already divided.

    References:
        Miyato et al. 2018, Spectral normalization for generative adversarial networks; eps as in the authors' code.
    """

    u: Tensor
    v: Tensor

    def __init__(self, *shape: int, spectral: bool = True):
        super().__init__()
        self.spectral = False
        self.weight = nn.Parameter(torch.empty(*shape))
        nn.init.orthogonal_(self.weight)
        if len(shape) == 4:
            self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)
        if spectral:
            self.add_spectral()

    def add_spectral(self) -> None:
        """Switch spectral normalisation on, with singular vectors found from a random start."""
        self.spectral = True
        self.register_buffer("u", F.normalize(torch.randn(self.weight.shape[0], device=self.weight.device), dim=0))
        self.register_buffer("v", torch.zeros(self.weight[0].numel(), device=self.weight.device))
        self.iterate(_WARM_UP)

    def _matrix(self) -> Tensor:
        # The singular values do not depend on the order of the columns; this order needs no copy.
        weight = self.weight.detach()
        return weight.permute(0, 2, 3, 1).flatten(1) if weight.ndim == 4 else weight

    @torch.no_grad()
    def iterate(self, times: int = 1) -> None:
        """Refine the estimate of the leading singular vectors."""
        matrix = self._matrix()
        u = self.u
        with torch.autocast(u.device.type, enabled=False):
            for _ in range(times):
                v = F.normalize(matrix.T @ u, dim=0, eps=EPSILON)
                u = F.normalize(matrix @ v, dim=0, eps=EPSILON)
        self.u, self.v = u, v

    def effective(self) -> Tensor:
        """The weight that the network uses; a pass that trains it refines the estimate first."""
        if self.spectral and self.training and self.weight.requires_grad and _refining.get():
            self.iterate()
        return self.current()

    def current(self) -> Tensor:
        """The same without refining the estimate."""
        if not self.spectral:
            return self.weight
        v = self.v
        if self.weight.ndim == 4:
            _, inner, height, width = self.weight.shape
            v = v.view(height, width, inner).permute(2, 0, 1)
        sigma = (self.u * (self.weight * v).flatten(1).sum(1)).sum()
        return self.weight / sigma.clamp_min(EPSILON)


def _box(weight: Float[Tensor, "o i 3 3"]) -> Float[Tensor, "o i 4 4"]:
    """Full correlation of a 3 x 3 kernel with a 2 x 2 box of ones."""
    rows = F.pad(weight, (0, 0, 0, 1)) + F.pad(weight, (0, 0, 1, 0))
    return F.pad(rows, (0, 1)) + F.pad(rows, (1, 0))


class Conv(SpectralWeight):
    """A convolution with 'same' zero padding, alone or fused with the resampling beside it.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side, 1 or 3.
        bias: learn a bias.
        resample: "down" pools the result 2 x 2 by its mean; "up" doubles the input by nearest neighbour first.
        spectral: spectral normalisation.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 3,
        bias: bool = True,
        resample: Resample = "same",
        spectral: bool = True,
    ):
        super().__init__(outputs, inputs, kernel, kernel, spectral=spectral)
        self.resample = resample
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.frozen_kernel: Tensor | None = None

    def kernel(self) -> Tensor:
        """The kernel as it is applied: normalised, and fused with the resampling."""
        weight = self.effective()
        if self.resample == "same" or weight.shape[-1] == 1:
            return weight
        if self.resample == "down":
            return _box(weight) / 4
        return _box(weight.flip(2, 3)).transpose(0, 1)

    def freeze(self, dtype: torch.dtype) -> None:
        """Keep the kernel ready in ``dtype``, for rendering; training afterwards would not see changed weights."""
        self.frozen_kernel = self.kernel().detach().to(dtype).contiguous(memory_format=torch.channels_last)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h2 w2"]:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        kernel = self.kernel() if self.frozen_kernel is None else self.frozen_kernel
        kernel = kernel.to(x.dtype)
        bias = None if self.bias is None else self.bias.to(x.dtype)
        if kernel.shape[-1] == 1:  # a 1 x 1 convolution commutes with both resamplings: do it where it is cheap
            if self.resample == "down":
                x = F.avg_pool2d(x, 2)
            x = F.conv2d(x, kernel, bias)
            return F.interpolate(x, scale_factor=2.0, mode="nearest") if self.resample == "up" else x
        if self.resample == "up":
            return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)
        return F.conv2d(x, kernel, bias, stride=2 if self.resample == "down" else 1, padding=1)


class Linear(SpectralWeight):
    """A fully connected layer with spectral normalisation."""

    def __init__(self, inputs: int, outputs: int, *, spectral: bool = True):
        super().__init__(outputs, inputs, spectral=spectral)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "b i"]) -> Float[Tensor, "b o"]:
        with torch.autocast(x.device.type, enabled=False):
            return F.linear(x.float(), self.effective(), self.bias)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """What sums are taken in: single precision for halves."""
    return torch.promote_types(dtype, torch.float32)


def _sum_over_space(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 1 1"]:
    return x.permute(0, 2, 3, 1).flatten(1, 2).sum(1, dtype=_wide(x.dtype))[:, :, None, None]


def normalised_by_kernel(
    x: Float[Tensor, "b c h w"], scale: Tensor | None = None, shift: Tensor | None = None
) -> tuple[Tensor, Float[Tensor, "b c"]]:
    """Every channel of every sample normalised over its places, then scaled and shifted; with 1 / deviation.

    PyTorch's group normalisation with one channel a group: on a CPU the one kernel that keeps the channels-last layout.
    A GPU's refuses that layout before PyTorch 2.14, and maps in half precision with scales in single precision always.
    """
    b, c, h, w = x.shape
    # The half-precision kernel is slow on small maps.
    wide = x.float() if x.dtype == torch.bfloat16 and h * w <= 256 else x
    y, _, rstd = torch.native_group_norm(wide, scale, shift, b, c, h * w, c, EPSILON)
    return y.to(x.dtype), rstd


def normalised_plainly(x: Float[Tensor, "b c h w"]) -> tuple[Tensor, Float[Tensor, "b c"]]:
    """The same without scale and shift, in plain operations of any device, which `torch.compile` fuses."""
    wide = x.to(_wide(x.dtype))
    variance, mean = torch.var_mean(wide, (2, 3), correction=0, keepdim=True)
    rstd = torch.rsqrt(variance + EPSILON)
    return ((wide - mean) * rstd).to(x.dtype), rstd[:, :, 0, 0]


class _NormScaleRelu(torch.autograd.Function):
    """relu(instance_norm(x) * scale + shift), with scale and shift for each sample and channel.

    Of what came in, only the normalised map is kept for the way back.
    """

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, shift: Tensor, kernel: bool) -> Tensor:  # type: ignore[no-untyped-def, override]
        normed, rstd = normalised_by_kernel(x) if kernel else normalised_plainly(x)
        y = torch.addcmul(shift.to(x.dtype), normed, scale.to(x.dtype)).relu_()
        ctx.save_for_backward(normed, y, rstd, scale)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # type: ignore[no-untyped-def, override]
        normed, y, rstd, scale = ctx.saved_tensors
        count = normed.shape[2] * normed.shape[3]
        gradient = torch.ops.aten.threshold_backward(gradient, y, 0)
        d_shift = _sum_over_space(gradient)
        d_scale = _sum_over_space(gradient * normed)
        slope = scale.to(_wide(scale.dtype)) * rstd.to(_wide(rstd.dtype))[:, :, None, None]
        dx = torch.addcmul(
            (-slope * d_shift / count).to(normed.dtype), normed, (-slope * d_scale / count).to(normed.dtype)
        )
        dx.addcmul_(gradient, slope.to(normed.dtype))
        return dx, d_scale.to(scale.dtype), d_shift.to(scale.dtype), None


def norm_scale_relu(
    x: Float[Tensor, "b c h w"],
    scale: Float[Tensor, "b c"],
    shift: Float[Tensor, "b c"],
    *,
    kernel: bool | None = None,
) -> Float[Tensor, "b c h w"]:
    """Adaptive instance normalisation followed by a ReLU.

    Args:
        x: maps.
        scale: of each sample and channel.
        shift: of each sample and channel.
        kernel: normalise by the CPU's kernel rather than by plain operations; None does so on a CPU.

    References:
        Huang and Belongie 2017, Arbitrary style transfer in real time with adaptive instance normalization.
    """
    kernel = x.device.type == "cpu" if kernel is None else kernel
    x = x.contiguous(memory_format=torch.channels_last)
    alike = len(scale) == 1 or scale.stride(0) == shift.stride(0) == 0
    if torch.jit.is_tracing():  # type: ignore[attr-defined]  # into a graph for other runtimes
        return F.instance_norm(x, eps=EPSILON).mul(scale[:, :, None, None]).add(shift[:, :, None, None]).relu()
    if kernel and alike and not torch.is_grad_enabled():  # one kernel does it all
        return normalised_by_kernel(x, scale[0], shift[0])[0].relu_()
    result: Tensor = _NormScaleRelu.apply(x, scale[:, :, None, None], shift[:, :, None, None], kernel)
    return result


class InstanceNormRelu(nn.Module):
    """Instance normalisation with learnt scale and shift, followed by a ReLU."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        rows = x.shape[0]
        return norm_scale_relu(x, self.weight.expand(rows, -1), self.bias.expand(rows, -1))


class SelfAttention(nn.Module):
    """Self-attention over the positions of a map, added with a weight that starts at zero.

    References:
        Zhang et al. 2019, Self-attention generative adversarial networks.
    """

    def __init__(self, channels: int, *, spectral: bool = True):
        super().__init__()
        inner = max(1, channels // 8)
        self.query = Conv(channels, inner, kernel=1, bias=False, spectral=spectral)
        self.key = Conv(channels, inner, kernel=1, bias=False, spectral=spectral)
        self.value = Conv(channels, channels, kernel=1, bias=False, spectral=spectral)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        query, key, value = self.query(x), self.key(x), self.value(x)
        if x.device.type == "cpu":
            mixed = torch.cat([_mix(*maps) for maps in zip(query.split(1), key.split(1), value.split(1), strict=True)])
        else:
            queries, keys, values = (maps.flatten(2).transpose(1, 2) for maps in (query, key, value))
            mixed = F.scaled_dot_product_attention(queries, keys, values, scale=1.0).transpose(1, 2).reshape(x.shape)
        return torch.addcmul(x, self.gamma.to(x.dtype), mixed)


def _mix(
    query: Float[Tensor, "1 d h w"], key: Float[Tensor, "1 d h w"], value: Float[Tensor, "1 c h w"]
) -> Float[Tensor, "1 c h w"]:
    """Attention of one sample; on a CPU, 1 x 1 convolutions in strips that fit its cache are the quickest products."""
    keys = key[0].flatten(1).T[:, :, None, None]
    values = value[0].flatten(1)[:, :, None, None].contiguous(memory_format=torch.channels_last)
    strips = []
    for strip in query.split(max(1, _STRIP // query.shape[3]), 2):
        scores = F.conv2d(strip, keys).permute(0, 2, 3, 1)
        strips.append(F.conv2d(scores.softmax(-1).permute(0, 3, 1, 2), values))
    return torch.cat(strips, 2)
