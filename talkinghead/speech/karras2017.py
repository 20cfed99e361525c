"""Karras et al. 2017: from autocorrelation and an emotion vector to vertices.

Karras, Aila, Laine, Herva, Lehtinen: Audio-driven facial animation by joint end-to-end learning of pose and emotion,
SIGGRAPH 2017.
"""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

WINDOW = 64
"""Rows of autocorrelation that the network hears at once."""
FORMANT_CHANNELS = (72, 108, 162, 243, 256)
NOISE = math.log(1.4)
"""Strength of the multiplicative noise: a factor of 1.4 for one standard deviation."""


@dataclass(frozen=True)
class KarrasConfig:
    """Sizes of the network.

    Raises:
        ValueError: if a size is not positive.
    """

    vertices: int = 5022
    emotion: int = 16
    """Length of the emotion vector, E in the paper: 16 or 24."""
    basis: int = 150
    """Principal components of the last layer."""

    def __post_init__(self) -> None:
        if min(self.vertices, self.emotion, self.basis) < 1:
            raise ValueError(f"sizes of the network must be positive: {self}")


class MultiplicativeNoise(nn.Module):
    """In training, multiply each feature map by 1.4^N(0, 1), renormalised to unit RMS over the maps.

    A factor is shared by all of a map, and by the samples of a pair, so that it does not look like motion.

    References:
        Karras et al. 2017, section 4.3. It takes dropout's place.
    """

    def forward(self, maps: Float[Tensor, "b c *size"], group: int = 1) -> Float[Tensor, "b c *size"]:
        """`group` samples that follow each other share their factors."""
        if not self.training:
            return maps
        factor = torch.exp(NOISE * torch.randn(len(maps) // group, maps.shape[1], device=maps.device))
        factor = factor / factor.square().mean(1, keepdim=True).sqrt()
        shape = (len(maps), maps.shape[1]) + (1,) * (maps.dim() - 2)
        return maps * factor.repeat_interleave(group, 0).view(shape).to(maps.dtype)


class FormantAnalysis(nn.Module):
    """What sounds in each 16 ms: five convolutions over the lags.

    References:
        Karras et al. 2017, table 1.
    """

    def __init__(self) -> None:
        super().__init__()
        kernels = [(1, 3)] * 4 + [(1, 2)]
        channels = (1, *FORMANT_CHANNELS)
        self.layers = nn.ModuleList(
            nn.Conv2d(channels[i], channels[i + 1], kernel, stride=(1, 2), padding=(0, kernel[1] // 2 % 2 * (i < 4)))
            for i, kernel in enumerate(kernels)
        )
        self.noise = MultiplicativeNoise()

    def forward(self, features: Float[Tensor, "b 1 time 32"], group: int = 1) -> Float[Tensor, "b 256 time 1"]:
        maps = features
        for layer in self.layers:
            maps = self.noise(F.relu(layer(maps)), group)
        return maps


class Articulation(nn.Module):
    """How sounds follow each other in 520 ms: five convolutions over time, the emotion appended to each one's output.

    References:
        Karras et al. 2017, table 1 and section 3.3.
    """

    def __init__(self, emotion: int) -> None:
        super().__init__()
        widths = [256] + [256 + emotion] * 4
        self.layers = nn.ModuleList(
            nn.Conv2d(width, 256, (3, 1), stride=(2, 1), padding=(1, 0))
            if i < 4
            else nn.Conv2d(width, 256, (4, 1), stride=(4, 1))
            for i, width in enumerate(widths)
        )
        self.noise = MultiplicativeNoise()

    def forward(
        self, maps: Float[Tensor, "b 256 64 1"], emotion: Float[Tensor, "b e"], group: int = 1
    ) -> Float[Tensor, "b f"]:
        for layer in self.layers:
            maps = self.noise(F.relu(layer(maps)), group)
            everywhere = emotion[:, :, None, None].expand(-1, -1, maps.shape[2], 1)
            maps = torch.cat([maps, everywhere.to(maps.dtype)], 1)
        return maps.flatten(1)


class KarrasNetwork(nn.Module):
    """Half a second of sound and an emotion vector -> the vertices in the middle of it.

    3.74 M parameters with 5022 vertices and 16 emotions.

    References:
        Karras et al. 2017, section 3 and table 1.
    """

    def __init__(self, config: KarrasConfig):
        super().__init__()
        self.config = config
        self.formant = FormantAnalysis()
        self.articulation = Articulation(config.emotion)
        self.coefficients = nn.Linear(256 + config.emotion, config.basis)
        self.vertices = nn.Linear(config.basis, config.vertices * 3)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(_bias(module))
        nn.init.xavier_normal_(self.coefficients.weight)
        nn.init.zeros_(self.coefficients.bias)

    def forward(
        self, features: Float[Tensor, "b 64 32"], emotion: Float[Tensor, "b e"], group: int = 1
    ) -> Float[Tensor, "b v 3"]:
        """Vertices, metres.

        Args:
            features: autocorrelation (see `features.karras_features`).
            emotion: one vector for each sample.
            group: how many samples that follow each other share their noise in training: 2 for pairs.
        """
        return self.articulate(self.formant(features[:, None], group), emotion, group)

    def forward_segments(
        self, frames: Float[Tensor, "b m 32"], emotion: Float[Tensor, "b n e"], step: int = 4
    ) -> Float[Tensor, "b n v 3"]:
        """Vertices of `n` windows that overlap, for less work: what they share is analysed once.

        Gives what `forward` gives for each window. In training a segment shares its noise; segments of two windows are
        the paper's pairs.

        Args:
            frames: autocorrelation every 8 ms, 64 + (n - 1) x step rows.
            emotion: one vector for each window.
            step: from one window to the next, rows: 4 are 32 ms.
        """
        maps = self.formant(frames[:, None]).unfold(2, WINDOW, step)
        windows = rearrange(maps, "b c n 1 t -> (b n) c t 1")
        vertices = self.articulate(windows, emotion.flatten(0, 1), emotion.shape[1])
        return rearrange(vertices, "(b n) v xyz -> b n v xyz", n=emotion.shape[1])

    def articulate(
        self, maps: Float[Tensor, "b 256 64 1"], emotion: Float[Tensor, "b e"], group: int = 1
    ) -> Float[Tensor, "b v 3"]:
        """Vertices from the output of the formant analysis."""
        coefficients = self.coefficients(self.articulation(maps, emotion, group))
        return rearrange(self.vertices(coefficients), "b (v xyz) -> b v xyz", xyz=3)

    @torch.no_grad()
    def start_from(self, poses: Float[Tensor, "t v 3"]) -> None:
        """Set the last layer to the mean and the principal components of training poses, each scaled to its deviation.

        References:
            Karras et al. 2017, section 3.3: 150 components explain 99.9 % of the variance; the layer is then trained.
        """
        mean, components = principal_components(poses, self.config.basis)
        self.vertices.bias.copy_(mean)
        self.vertices.weight.copy_(components)


def principal_components(
    poses: Float[Tensor, "t v 3"], count: int
) -> tuple[Float[Tensor, " f"], Float[Tensor, "f {count}"]]:
    """Mean of poses and their principal components, each as long as one standard deviation; zeros beyond their rank."""
    flat = poses.flatten(1)
    mean = flat.mean(0)
    centred = flat - mean
    # Eigenvectors of the small matrix of inner products: there are fewer poses than coordinates.
    values, vectors = torch.linalg.eigh((centred @ centred.T).double())
    values, vectors = values.flip(0)[:count].clamp_min(0), vectors.flip(1)[:, :count]
    used = values > 1e-6 * values[:1].clamp_min(1e-30)
    # centred.T @ vector has the length sqrt(value); over sqrt(t - 1) it is one standard deviation long.
    scaled = vectors.float() * used.float() / math.sqrt(max(len(flat) - 1, 1))
    result = torch.zeros(flat.shape[1], count)
    result[:, : scaled.shape[1]] = centred.T @ scaled.to(centred.dtype)
    return mean, result


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


def position_loss(predicted: Float[Tensor, "b 2 v 3"], truth: Float[Tensor, "b 2 v 3"]) -> Float[Tensor, " b"]:
    """Formula 1: squared error of a sample's coordinates, for each pair."""
    return (predicted - truth).square().mean((1, 2, 3))


def motion_loss(predicted: Float[Tensor, "b 2 v 3"], truth: Float[Tensor, "b 2 v 3"]) -> Float[Tensor, " b"]:
    """Formula 2: twice the squared error of how coordinates move within a pair."""
    return 2 * ((predicted[:, 1] - predicted[:, 0]) - (truth[:, 1] - truth[:, 0])).square().mean((1, 2))


def emotion_loss(emotion: Float[Tensor, "b 2 e"]) -> Float[Tensor, " b"]:
    """Formulas 3 and 4: how the emotion changes within a pair, over the size of the batch's vectors.

    Divided by their size, because otherwise vectors would shrink for ever.
    """
    change = 2 * (emotion[:, 1] - emotion[:, 0]).square().mean(1)
    return change / emotion.square().mean().clamp_min(1e-12)


class RunningBalance(nn.Module):
    """Divides a loss by the root of the running mean of its square, so that no term needs a weight.

    References:
        Karras et al. 2017, section 4.2: like Adam's second moment, decay 0.99, with its correction of the start.
    """

    mean_square: Tensor
    batches: Tensor

    def __init__(self, decay: float = 0.99, eps: float = 1e-8):
        super().__init__()
        self.decay, self.eps = decay, eps
        self.register_buffer("mean_square", torch.zeros(()))
        self.register_buffer("batches", torch.zeros((), dtype=torch.long))

    def forward(self, loss: Float[Tensor, " b"]) -> Float[Tensor, ""]:
        """The mean of the pairs' losses, balanced. In training the running mean moves; no gradient goes through it."""
        if self.training:
            self.batches += 1
            self.mean_square.lerp_(loss.detach().square().mean().to(self.mean_square.dtype), 1 - self.decay)
        correction = 1 - self.decay ** self.batches.clamp_min(1).double()
        corrected = self.mean_square / correction.to(self.mean_square.dtype)
        return loss.mean() / (corrected.sqrt() + self.eps)


def learning_rate(step: int, *, steps: int, epoch: int, last: float = 0.06) -> float:
    """What the base rate is multiplied by: a geometric ramp over the first epoch, 1/sqrt(t), a smooth end.

    Args:
        step: from 0.
        steps: in all.
        epoch: steps of the first epoch, or a twentieth of all where that is less.
        last: share of the steps over which the rate goes smoothly to 0 (the paper's last 30 of 500 epochs).

    References:
        Karras et al. 2017, section 4.4.
    """
    epoch = max(min(epoch, steps // 20), 1)
    rate = 1e-2 ** (1 - (step + 1) / epoch) if step < epoch else math.sqrt(epoch / (step + 1))
    ending = (step - steps * (1 - last)) / max(steps * last, 1)
    return rate * (0.5 + 0.5 * math.cos(math.pi * min(ending, 1.0)) if ending > 0 else 1.0)


def smooth_emotions(emotions: Float[Tensor, "t e"], sigma: float) -> Float[Tensor, "t e"]:
    """An emotion database smoothed over time by a Gaussian; `sigma` in frames.

    References:
        Karras et al. 2017, section 5.
    """
    radius = max(1, math.ceil(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, dtype=emotions.dtype) / sigma) ** 2)
    padded = torch.cat([emotions[:1].expand(radius, -1), emotions, emotions[-1:].expand(radius, -1)])
    return F.conv1d(padded.T[:, None], (kernel / kernel.sum())[None, None])[:, 0].T
