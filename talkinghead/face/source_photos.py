"""A person's photos moved to any landmarks: what a generator paints over."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from talkinghead.face.movement import denoised
from talkinghead.face.warp import source_distances, warp_photo

ALIKE = 20.0
"""Difference of the frames' edges, 0..255, below which two photos show the same place in the same light."""

MOST = 3
"""Photos that are laid over each other at most."""

SHARPNESS = 0.06
"""How much farther a photo is from the target, in distances of the eyes, to count e times less."""

_LOOKED_AT = 200


class SourcePhotos:
    """Photos of one person, laid over each other where they are wanted.

    The photos nearest to a target are moved to it and averaged, the nearest with the largest weight. Weights change
    steadily with the target, so a clip does not jump where another photo becomes the nearest. Photos of different
    places are never mixed.

    Args:
        frames: square crops.
        landmarks: in them, fractions of the side.
    """

    def __init__(self, frames: UInt8[np.ndarray, "k s s 3"], landmarks: Float[np.ndarray, "k 68 2"]):
        self.frames, self.landmarks = frames, landmarks
        self.places = places(frames)

    def moved(
        self, targets: Float[np.ndarray, "t 68 2"], among: Sequence[Int[np.ndarray, " n"]] | None = None
    ) -> UInt8[np.ndarray, "t s s 3"]:
        """The person at each target.

        Args:
            targets: wanted landmarks.
            among: indices of the photos that may be used for each target; None takes those of the place of the nearest.
        """
        if among is None:
            among = [self.places[int(source_distances(one, self.landmarks).argmin())] for one in targets]
        return np.stack(
            [blend_photos(self.frames[of], self.landmarks[of], one) for one, of in zip(targets, among, strict=True)]
        )

    def steady(self, targets: Float[np.ndarray, "t 68 2"]) -> Int[np.ndarray, " n"]:
        """Indices of the photos of the place whose photo is nearest to the targets on average."""
        shown = targets[:: max(1, len(targets) // _LOOKED_AT)]
        distances = np.mean([source_distances(target, self.landmarks) for target in shown], 0)
        return self.places[int(distances.argmin())]

    def others(self, index: int) -> Int[np.ndarray, " n"]:
        """Indices of the other photos of the place of a photo, which it can be drawn from; itself if there are none."""
        rest = self.places[index][self.places[index] != index]
        return rest if len(rest) else np.array([index])


def move_photo(
    photo: UInt8[np.ndarray, "s s 3"], source: Float[np.ndarray, "68 2"], target: Float[np.ndarray, "68 2"]
) -> UInt8[np.ndarray, "s s 3"]:
    """A photo warped as far as its person truly moves from one set of landmarks to the other."""
    return warp_photo(photo, source, denoised(source, target))


def blend_photos(
    photos: UInt8[np.ndarray, "k s s 3"], sources: Float[np.ndarray, "k 68 2"], target: Float[np.ndarray, "68 2"]
) -> UInt8[np.ndarray, "s s 3"]:
    """The nearest of the photos, moved to the target and averaged."""
    chosen, weights = blend_weights(source_distances(target, sources))
    blend = np.zeros(photos.shape[1:], np.float32)
    for index, weight in zip(chosen, weights, strict=True):
        blend += weight * move_photo(photos[index], sources[index], target)
    return np.rint(blend).astype(np.uint8)


def blend_weights(distances: Float[np.ndarray, " n"]) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Which of the photos at these distances are laid over each other, the nearest first, and with which weights.

    The first photo that is left out has the weight that all are lowered by: so a weight is zero when it comes or goes.
    """
    order = np.argsort(distances, kind="stable")
    strength = np.exp((distances[order[0]] - distances[order[: MOST + 1]]) / SHARPNESS)
    if len(strength) > MOST:
        strength = strength[:MOST] - strength[MOST]
    if not strength.any():  # all are equally far
        strength = np.ones(len(strength))
    kept = strength > 0.01 * strength[0]
    return order[: len(strength)][kept], strength[kept] / strength[kept].sum()


def places(frames: UInt8[np.ndarray, "k s s 3"]) -> list[Int[np.ndarray, " n"]]:
    """For each photo the indices of those that show the same place in the same light, itself among them."""
    apart = edge_differences(frames)
    return [np.flatnonzero((row < ALIKE) | (np.arange(len(row)) == i)) for i, row in enumerate(apart)]


def edge_differences(frames: UInt8[np.ndarray, "k s s 3"]) -> Float[np.ndarray, "k k"]:
    """Mean difference, 0..255, between the upper and outer edges of frames, where little of a person is seen."""
    small = np.stack([cv2.resize(frame, (16, 16), interpolation=cv2.INTER_AREA) for frame in frames]).astype(np.float32)
    edges = np.concatenate(
        [small[:, :2].reshape(len(frames), -1), small[:, 2:11, [0, 1, 2, -3, -2, -1]].reshape(len(frames), -1)], 1
    )
    return np.abs(edges[:, None] - edges[None]).mean(-1)
