"""How far landmarks moved from one picture of a person to another, less what the detector's noise made of it.

A photo that is warped by noise changes its face's shape, and with it whom it looks like. Noise and true movement differ
in kind: a jaw moves as a whole, noise does not. So the way from one set of landmarks to the other goes through a Wiener
filter, whose two covariances were measured on videos.

References:
    Wiener 1949, Extrapolation, Interpolation, and Smoothing of Stationary Time Series.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file

from talkinghead.face.alignment import similarity
from talkinghead.face.landmarks import EYELID_PAIRS, INNER_LIP_PAIRS, MIRROR, OUTER_LIP_PAIRS
from talkinghead.weights.shipped import shipped

_UPPER, _LOWER = np.concatenate([EYELID_PAIRS, INNER_LIP_PAIRS, OUTER_LIP_PAIRS]).T
_PAIRS_OF_A_VIDEO = 30
_PHOTOS = 8
_UNSEEN = 0.25
"""Share of the noise that may go any way: where a video's noise never went, the filter would enlarge what it meets."""
_STRAY = 0.02
"""Share of the movements that is left out when covariances are measured: lost faces, not noise."""


def denoised(source: Float[np.ndarray, "68 2"], target: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "68 2"]:
    """The target's landmarks as far as the person of the source truly moves there.

    Lids and lips stand as far apart as in the target: they move faster than the filter believes.

    Args:
        source: landmarks of a photo.
        target: landmarks of the same person, or carried over to her.
    """
    turned, still = _turn(target), similarity(source, target)(source)
    movement = _movement(still, target, turned)
    moved = still + (movement_filter() @ movement.ravel()).reshape(68, 2) @ turned.T
    middle = (moved[_UPPER] + moved[_LOWER]) / 2
    gap = (target[_LOWER] - target[_UPPER]) / 2
    moved[_UPPER], moved[_LOWER] = middle - gap, middle + gap
    return moved.astype(np.float32)


@cache
def movement_filter() -> Float[np.ndarray, "136 136"]:
    """The filter that ships with the package (weights/movement_filter.md says where it is from)."""
    path = shipped("movement_filter.safetensors")
    return load_file(path)["gain"].astype(np.float64)


def measure_movement_filter(
    videos: Iterable[Float[np.ndarray, "_ 68 2"]], *, seed: int = 0
) -> Float[np.ndarray, "136 136"]:
    """The filter (136, 136) for what a detector finds in videos.

    Movement is measured from the nearest of some frames to another frame of the video, noise from the mean of two
    neighbours to the frame between them. Both are counted twice, once mirrored.

    Args:
        videos: landmarks of consecutive frames, of many people.
        seed: of the choice of frames.

    Raises:
        ValueError: if no video has ten frames.
    """
    rng = np.random.default_rng(seed)
    movements, noises = [], []
    for landmarks in videos:
        if len(landmarks) < 10:
            continue
        for _ in range(_PAIRS_OF_A_VIDEO):
            target, *photos = rng.choice(len(landmarks), min(len(landmarks), _PHOTOS + 1), replace=False)
            distances = np.linalg.norm(landmarks[photos] - landmarks[target], axis=-1).mean(-1)
            movements += _both_ways(landmarks[photos[distances.argmin()]], landmarks[target])
            middle = rng.integers(1, len(landmarks) - 1)
            around = (landmarks[middle - 1] + landmarks[middle + 1]) / 2
            noises += [noise / np.sqrt(1.5) for noise in _both_ways(around, landmarks[middle])]
    if not movements:
        raise ValueError("no video has ten frames")
    noise = 2 * _covariance(np.stack(noises))  # the photo's and the target's
    values, vectors = np.linalg.eigh(_covariance(np.stack(movements)) - noise)
    signal = (vectors * np.maximum(values, 0)) @ vectors.T
    noise += _UNSEEN * (np.trace(noise) / len(noise) * np.eye(len(noise)) - noise)
    return signal @ np.linalg.inv(signal + noise)


def _both_ways(source: Float[np.ndarray, "68 2"], target: Float[np.ndarray, "68 2"]) -> list[np.ndarray]:
    """What is left of the movement when the head is laid over itself, as is and mirrored, flat."""
    left = _movement(similarity(source, target)(source), target, _turn(target))
    return [left.ravel(), (left[MIRROR] * [-1, 1]).ravel()]


def _turn(landmarks: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "2 2"]:
    """The axes of the face, as long as the distance of its eyes."""
    x, y = (landmarks[45] - landmarks[36]).astype(np.float64)
    return np.array([[x, -y], [y, x]]) if np.hypot(x, y) >= 1e-6 else 1e-6 * np.eye(2)


def _movement(
    still: Float[np.ndarray, "68 2"], target: Float[np.ndarray, "68 2"], turned: Float[np.ndarray, "2 2"]
) -> Float[np.ndarray, "68 2"]:
    """From the one to the other along the axes of the face, in distances of the eyes."""
    return (target - still) @ np.linalg.inv(turned).T


def _covariance(movements: Float[np.ndarray, "n 136"]) -> Float[np.ndarray, "136 136"]:
    """Around zero, without the strays."""
    largest = np.abs(movements).max(1)
    kept = movements[largest <= np.quantile(largest, 1 - _STRAY)]
    return kept.T @ kept / len(kept)
