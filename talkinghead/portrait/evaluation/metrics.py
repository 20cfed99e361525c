"""Measures of a result against the truth: pictures, landmarks, movement, distributions.

Only formulas: the networks that some of them need are in `measures`.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor, nn
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
from torchmetrics.image.fid import FrechetInceptionDistance

from talkinghead.face.frames import correlation
from talkinghead.face.landmarks import LEFT_EYE, OUTER_LIPS, RIGHT_EYE, interocular

WINDOW = 11
SIGMA = 1.5
MAX_PSNR = 100.0
_EPSILON = 1e-10

REGIONS: dict[str, tuple[Sequence[int], ...]] = {
    "face": (range(68),),
    "mouth": (OUTER_LIPS,),
    "eyes": (RIGHT_EYE, LEFT_EYE),
}
"""Landmarks around each region that sharpness is measured in."""

WIDER = 0.06
"""How far mouth and eyes reach beyond their landmarks, in distances of the eyes."""


def ssim(
    result: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"], *, data_range: float = 2.0
) -> Float[Tensor, " b"]:
    """Structural similarity, 1 for equal pictures: 11x11 gaussian window (sigma 1.5), RGB, mean over channels.

    Torchmetrics' map without its outermost 5 pixels, in which half a window is a mirror image, as scikit-image does it;
    with them the mean is off by 0.003 (256 px) to 0.02 (128 px, a shifted picture). The luminance term looks at the
    values as they are, -1..1: taken as 0..255 the same frames have up to 0.04 more where they are blurred.

    Args:
        result: frames in -1..1.
        truth: frames in -1..1.
        data_range: largest value minus smallest that a pixel can take; 2 for -1..1.

    Raises:
        ValueError: if the frames are smaller than the window.

    References:
        Wang et al. 2004, Image quality assessment: from error visibility to structural similarity, equation 13.
    """
    height, width = result.shape[2:]
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM needs frames of at least {WINDOW} px, not {width}x{height}")
    _, similarity = structural_similarity_index_measure(
        result, truth, sigma=SIGMA, data_range=data_range, reduction="none", return_full_image=True
    )
    edge = WINDOW // 2
    return similarity[..., edge:-edge, edge:-edge].mean((1, 2, 3))


def psnr(
    result: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"], *, data_range: float = 2.0
) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio in dB over all channels; 100 at most, which equal pictures get."""
    ratio = peak_signal_noise_ratio(result, truth, data_range=data_range, reduction="none", dim=(1, 2, 3))
    return ratio.clamp_max(MAX_PSNR)


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


class _Features(nn.Module):
    """What torchmetrics takes for a network, where the features are there already."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Float[Tensor, "n e"]) -> Float[Tensor, "n e"]:
        return features


def frechet_distance(result: Float[np.ndarray, "n e"], truth: Float[np.ndarray, "m e"]) -> float:
    """Frechet distance of two normal distributions fitted to features; 0 for equal sets, nan for fewer than two rows.

    Torchmetrics' FID in double precision; for fewer rows than features it is exact to about 1e-7.

    References:
        Heusel et al. 2017, GANs trained by a two time-scale update rule converge to a local Nash equilibrium.
    """
    if min(len(result), len(truth)) < 2:
        return float("nan")
    distance = FrechetInceptionDistance(_Features(result.shape[1])).set_dtype(torch.float64)
    for features, real in ((result, False), (truth, True)):
        distance.update(torch.from_numpy(features).double(), real=real)
    return max(0.0, float(distance.compute()))


def sharpness(
    result: UInt8[np.ndarray, "n s s 3"], truth: UInt8[np.ndarray, "n s s 3"], wanted: Float[np.ndarray, "n 68 2"]
) -> dict[str, Float32[np.ndarray, " n"]]:
    """Mean absolute Laplacian of the result over the truth's, in the face and around mouth and eyes; 1 is as sharp.

    Args:
        result: frames.
        truth: what they should be.
        wanted: landmarks that say where face, mouth and eyes are, fractions of the side.
    """
    ratios = {f"sharp_{name}": np.full(len(result), np.nan, np.float32) for name in REGIONS}
    for index, landmarks in enumerate(wanted):
        detail, true_detail = (_detail(frames[index]) for frames in (result, truth))
        for name, groups in REGIONS.items():
            inside = region(landmarks, groups, len(detail))
            if inside.any() and true_detail[inside].mean() > _EPSILON:
                ratios[f"sharp_{name}"][index] = detail[inside].mean() / true_detail[inside].mean()
    return ratios


def region(
    landmarks: Float[np.ndarray, "68 2"], groups: Sequence[Sequence[int]], side: int
) -> Bool[np.ndarray, "{side} {side}"]:
    """The pixels inside any group's outline, widened by some of the distance of the eyes where it is not the face's."""
    mask = np.zeros((side, side), np.uint8)
    for group in groups:
        outline = cv2.convexHull(np.rint((landmarks[list(group)] * side - 0.5) * 16).astype(np.int32))
        cv2.fillConvexPoly(mask, outline, 1, cv2.LINE_8, shift=4)
    wider = 0 if len(groups[0]) == 68 else round(float(interocular(landmarks)) * side * WIDER)
    return cv2.dilate(mask, np.ones((2 * wider + 1,) * 2, np.uint8)) > 0


def _detail(frame: UInt8[np.ndarray, "s s 3"]) -> Float32[np.ndarray, "s s"]:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.abs(cv2.Laplacian(grey, cv2.CV_32F))


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
