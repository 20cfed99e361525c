"""A person's photos: which are taken for a target, and how they are laid over each other."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from talkinghead.face.landmarks import LEFT_BROW, RIGHT_BROW, downwards, interocular
from talkinghead.portrait.warping.warp import Warp, Warping

ALIKE = 20.0
"""Difference of the frames' edges, 0..255, below which two photos show the same scene in the same light."""

MOST = 3
"""Photos whose faces are averaged at most."""

SHARPNESS = 0.06
"""How much farther a photo is from the target, in distances of the eyes, to count e times less."""

_LOOKED_AT = 200
_FOREHEAD = 0.15
_SOFTNESS = 0.06
"""How far the face reaches above the brows, and how soft its edge is, in distances of the eyes."""


class SourcePhotos:
    """Photos of one person, moved to where they are wanted.

    Hair, shoulders and background are those of one photo. The face is the mean of the nearest photos of the same scene,
    the nearest with the largest weight: what the detector got wrong in one of them counts less. Weights change steadily
    with the target, so that nothing jumps where another photo becomes the nearest.

    Args:
        frames: square crops.
        landmarks: in them, fractions of the side.
        warp: what makes a photo ready to be moved.
    """

    def __init__(
        self,
        frames: UInt8[np.ndarray, "k s s 3"],
        landmarks: Float[np.ndarray, "k 68 2"],
        *,
        warp: Callable[[np.ndarray, np.ndarray], Warping] = Warp,
    ):
        self.landmarks = landmarks
        self.warps = [warp(frame, points) for frame, points in zip(frames, landmarks, strict=True)]
        self.scenes = scenes(frames)

    def moved(
        self,
        targets: Float[np.ndarray, "t 68 2"],
        *,
        background: int | None = None,
        among: Sequence[Int[np.ndarray, " n"]] | None = None,
    ) -> UInt8[np.ndarray, "t s s 3"]:
        """The person at each target.

        Args:
            targets: wanted landmarks.
            background: index of the photo that hair and background are from; None takes the nearest to each target.
            among: indices of the photos that faces may be from, for each target; None takes those of the background's
                scene.
        """
        moved = []
        for index, target in enumerate(targets):
            usable = np.arange(len(self.warps)) if among is None else among[index]
            main = int(usable[nearest_source(target, self.landmarks[usable])]) if background is None else background
            faces = self.scenes[main] if among is None else usable
            moved.append(blend([self.warps[i] for i in (main, *faces[faces != main])], target))
        return np.stack(moved)

    def background(self, targets: Float[np.ndarray, "t 68 2"]) -> int:
        """Index of the photo nearest to the targets on average: a clip that shows it never jumps."""
        looked_at = targets[:: max(1, len(targets) // _LOOKED_AT)]
        return int(np.mean([source_distances(target, self.landmarks) for target in looked_at], 0).argmin())

    def others(self, index: int) -> Int[np.ndarray, " n"]:
        """Indices of the other photos of a photo's scene, which it can be drawn from; itself if there are none."""
        rest = self.scenes[index][self.scenes[index] != index]
        return rest if len(rest) else np.array([index])


def source_distances(
    target: Float[np.ndarray, "68 2"], sources: Float[np.ndarray, "k 68 2"]
) -> Float[np.ndarray, " k"]:
    """Mean distance of the landmarks of each source photo to the target's, over the target's interocular distance.

    Both are fractions of crops framed alike, so position, size and pose of the head count as well as its expression.
    """
    distance = np.linalg.norm(sources - target, axis=-1).mean(-1)
    return distance / max(float(interocular(target[None])[0]), 1e-6)


def nearest_source(target: Float[np.ndarray, "68 2"], sources: Float[np.ndarray, "k 68 2"]) -> int:
    """Index of the source photo whose landmarks lie nearest to the target's."""
    return int(np.argmin(source_distances(target, sources)))


def blend(photos: Sequence[Warping], target: Float[np.ndarray, "68 2"]) -> UInt8[np.ndarray, "s s 3"]:
    """The first of the photos, moved to the target, with a face that is the mean of the nearest ones."""
    chosen, weights = blend_weights(source_distances(target, np.stack([photo.landmarks for photo in photos])))
    moved = photos[0].to(target)
    if chosen.tolist() == [0]:
        return moved
    mask = face_mask(target, len(moved))
    if not mask.any():
        return moved
    rows, columns, _ = np.nonzero(mask)
    box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    face = np.zeros(mask[box].shape, np.float32)
    for index, weight in zip(chosen, weights, strict=True):
        part = moved[box] if index == 0 else photos[index].to(target, box=box)
        face = face + weight * part
    moved[box] = np.rint(moved[box] + mask[box] * (face - moved[box])).astype(np.uint8)
    return moved


def face_mask(landmarks: Float[np.ndarray, "68 2"], side: int) -> Float32[np.ndarray, "{side} {side} 1"]:
    """1 in the face, from the jaw to a little above the brows, 0 outside, soft at the edge."""
    unit = float(interocular(landmarks[None])[0])
    forehead = landmarks[[*RIGHT_BROW, *LEFT_BROW]] - _FOREHEAD * unit * downwards(landmarks)
    outline = np.concatenate([landmarks, forehead]) * side - 0.5
    hull = cv2.convexHull(np.rint(np.clip(outline, -side, 2 * side) * 16).astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros((side, side), np.uint8), hull, 255, cv2.LINE_AA, shift=4)
    return cv2.GaussianBlur(mask, (0, 0), max(_SOFTNESS * unit * side, 0.5)).astype(np.float32)[..., None] / 255


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


def scenes(frames: UInt8[np.ndarray, "k s s 3"]) -> list[Int[np.ndarray, " n"]]:
    """For each photo the indices of those that show the same scene in the same light, itself among them."""
    apart = edge_differences(frames)
    return [np.flatnonzero((row < ALIKE) | (np.arange(len(row)) == i)) for i, row in enumerate(apart)]


def edge_differences(frames: UInt8[np.ndarray, "k s s 3"]) -> Float[np.ndarray, "k k"]:
    """Mean difference, 0..255, between the upper and outer edges of frames, where little of a person is seen."""
    small = np.stack([cv2.resize(frame, (16, 16), interpolation=cv2.INTER_AREA) for frame in frames]).astype(np.float32)
    edges = np.concatenate(
        [small[:, :2].reshape(len(frames), -1), small[:, 2:11, [0, 1, 2, -3, -2, -1]].reshape(len(frames), -1)], 1
    )
    return np.abs(edges[:, None] - edges[None]).mean(-1)
