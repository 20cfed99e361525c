"""Measures of a result against the truth: pictures, landmarks, movement, distributions.

Only formulas: the networks that some of them need are in `portrait.judges`.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from talkinghead.face.frames import correlation
from talkinghead.face.landmarks import interocular

WINDOW = 11
SIGMA = 1.5
MAX_PSNR = 100.0
_EPSILON = 1e-10


def ssim(
    result: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"], *, data_range: float = 2.0
) -> Float[Tensor, " b"]:
    """Structural similarity, 1 for equal pictures: 11x11 gaussian window (sigma 1.5), no padding, mean over channels.

    Args:
        result: frames in -1..1.
        truth: frames in -1..1.
        data_range: largest value minus smallest that a pixel can take; 2 for -1..1.

    Raises:
        ValueError: if the frames are smaller than the window.

    References:
        Wang et al. 2004, Image quality assessment: from error visibility to structural similarity, equation 13.
    """
    channels, height, width = result.shape[1:]
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM needs frames of at least {WINDOW} px, not {width}x{height}")
    offsets = torch.arange(WINDOW, dtype=torch.float64, device=result.device) - WINDOW // 2
    line = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    line = (line / line.sum()).to(result.dtype)

    def smooth(frames: Tensor) -> Tensor:
        vertical = line.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
        horizontal = line.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        return F.conv2d(F.conv2d(frames, vertical, groups=channels), horizontal, groups=channels)

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_r, mean_t = smooth(result), smooth(truth)
    variance_r = smooth(result**2) - mean_r**2
    variance_t = smooth(truth**2) - mean_t**2
    covariance = smooth(result * truth) - mean_r * mean_t
    luminance = (2 * mean_r * mean_t + c1) / (mean_r**2 + mean_t**2 + c1)
    contrast_structure = (2 * covariance + c2) / (variance_r + variance_t + c2)
    return (luminance * contrast_structure).mean((1, 2, 3))


def psnr(
    result: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"], *, data_range: float = 2.0
) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio in dB over all channels; 100 at most, which equal pictures get."""
    error = ((result - truth) ** 2).mean((1, 2, 3)).clamp_min(data_range**2 * 10 ** (-MAX_PSNR / 10))
    return 10 * torch.log10(data_range**2 / error)


def l1(
    result: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"], *, data_range: float = 2.0
) -> Float[Tensor, " b"]:
    """Mean absolute difference of the pixels, as a fraction of the data range (0..1)."""
    return (result - truth).abs().mean((1, 2, 3)) / data_range


def feature_distance(result: Sequence[Tensor], truth: Sequence[Tensor]) -> Float[Tensor, " b"]:
    """Distance of two stacks of feature maps, 0..4: squared, between unit vectors, mean over space and layers.

    References:
        Zhang et al. 2018, The unreasonable effectiveness of deep features as a perceptual metric, equation 1, without
        learnt weights.
    """
    layers = [
        ((F.normalize(one, dim=1) - F.normalize(other, dim=1)) ** 2).sum(1).mean((1, 2))
        for one, other in zip(result, truth, strict=True)
    ]
    return torch.stack(layers).mean(0)


def frechet_distance(result: Float[np.ndarray, "n e"], truth: Float[np.ndarray, "m e"]) -> float:
    """Frechet distance of two normal distributions fitted to features; 0 for equal sets, nan for fewer than two rows.

    References:
        Heusel et al. 2017, GANs trained by a two time-scale update rule converge to a local Nash equilibrium.
    """
    if min(len(result), len(truth)) < 2:
        return float("nan")
    result, truth = result.astype(np.float64), truth.astype(np.float64)
    covariance_r, covariance_t = np.cov(result, rowvar=False), np.cov(truth, rowvar=False)
    values, vectors = np.linalg.eigh(covariance_r)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ covariance_t @ root).clip(0)).sum()
    means = ((result.mean(0) - truth.mean(0)) ** 2).sum()
    return float(max(0.0, means + np.trace(covariance_r) + np.trace(covariance_t) - 2 * cross))


def landmark_error(found: Float[np.ndarray, "t 68 2"], wanted: Float[np.ndarray, "t 68 2"]) -> Float[np.ndarray, " t"]:
    """Mean distance of 68 points over the interocular distance (points 36 and 45) of the wanted ones; nan stays nan."""
    distance = np.linalg.norm(found - wanted, axis=-1).mean(-1)
    return distance / np.maximum(interocular(wanted), _EPSILON)


def movement_correlation(
    driving: Sequence[Float[np.ndarray, " _"]], result: Sequence[Float[np.ndarray, " _"]]
) -> float:
    """Pearson correlation of one measure in the driver and in the result, over the frames of all clips together.

    The mean of each clip is taken off first: how wide a person's eyes are at rest does not count, how they move does.
    Frames where either value is nan (no face found) are left out. Gives nan where nothing moves.
    """
    centred: list[tuple[np.ndarray, np.ndarray]] = []
    for one, other in zip(driving, result, strict=True):
        known = np.isfinite(one) & np.isfinite(other)
        if known.sum() >= 2:
            values = [side[known].astype(np.float64) for side in (one, other)]
            centred.append((values[0] - values[0].mean(), values[1] - values[1].mean()))
    if not centred:
        return float("nan")
    x, y = (np.concatenate(side) for side in zip(*centred, strict=True))
    return correlation(x, y, still=float("nan"))


def acceleration(landmarks: Float[np.ndarray, "t 68 2"]) -> float:
    """Mean length of the second difference of the points from frame to frame, over the interocular distance.

    Takes landmarks of consecutive frames, nan where no face was found; gives nan where no three in a row are known.
    """
    if len(landmarks) < 3:
        return float("nan")
    second = landmarks[2:] - 2 * landmarks[1:-1] + landmarks[:-2]
    lengths = np.linalg.norm(second, axis=-1).mean(-1) / np.maximum(interocular(landmarks[1:-1]), _EPSILON)
    return float(np.nanmean(lengths)) if np.isfinite(lengths).any() else float("nan")


def far_third(distance: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which targets belong to the third that lies farthest from every source photo, given the distance to the nearest.

    A third of the targets rounded up; equal distances are taken in order.
    """
    chosen = np.zeros(len(distance), bool)
    chosen[np.argsort(-distance, kind="stable")[: -(-len(distance) // 3)]] = True
    return chosen
