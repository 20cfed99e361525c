"""Two ways to draw a target frame that need no training: the nearest source photo, as it is and warped.

A method that does not beat them has learnt nothing.
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy.spatial import Delaunay

from talkinghead.face import landmarks as scheme
from talkinghead.face.landmarks import interocular

STILL = [*scheme.RIGHT_BROW, *scheme.LEFT_BROW, *scheme.NOSE_BRIDGE, *scheme.NOSE_BASE, 36, 39, 42, 45]
"""Points that move with the head, not with the mouth or the lids."""

_HAIR_ANGLES = np.radians(np.linspace(200, 340, 7))
_FRAME_STEPS = 6
_CLEARANCE = 0.06


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


def warp_photo(
    photo: UInt8[np.ndarray, "s s 3"], source: Float[np.ndarray, "68 2"], target: Float[np.ndarray, "68 2"]
) -> UInt8[np.ndarray, "s s 3"]:
    """Move the photo's landmarks to the target's, piecewise affinely over a Delaunay triangulation.

    The triangles are those of the target and cover the frame, so each pixel is fetched once and nothing cracks. Beside
    the 68 points, an arc over the hair follows the head; the frame's edge stays, and with it shoulders and background.

    Args:
        photo: square crop.
        source: landmarks in the photo, fractions of its side.
        target: where they should be, fractions of its side.
    """
    side = photo.shape[0]
    source_points, target_points = control_points(source, target)
    triangles = Delaunay(target_points)
    y, x = np.mgrid[0:side, 0:side]
    centres = (np.stack([x.ravel(), y.ravel()], -1) + 0.5) / side
    simplex = triangles.find_simplex(centres)
    affine = triangles.transform[simplex]
    two = np.einsum("nij,nj->ni", affine[:, :2], centres - affine[:, 2])
    weights = np.concatenate([two, 1 - two.sum(1, keepdims=True)], 1)
    origin = np.einsum("nk,nkd->nd", weights, source_points[triangles.simplices[simplex]])
    origin = np.where(np.isfinite(origin), origin, centres)  # a sliver without area has no inverse
    pixels = (origin * side - 0.5).astype(np.float32).reshape(side, side, 2)
    return cv2.remap(photo, pixels, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def control_points(
    source: Float[np.ndarray, "68 2"], target: Float[np.ndarray, "68 2"]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """The points of the warp in the photo and in the target: landmarks, hair, the frame's edge."""
    anchors = head_anchors(source)
    moved = similarity(source[STILL], target[STILL], anchors)
    frame = frame_points()
    busy = np.concatenate([source, target, anchors, moved])
    clear = np.linalg.norm(frame[:, None] - busy[None], axis=-1).min(1) > _CLEARANCE
    far = np.array([[-2, -2], [3, -2], [-2, 3], [3, 3]], np.float64)
    still = np.concatenate([frame[clear], far])
    inside = (np.abs(moved - 0.5) < 0.5).all(1) & (np.abs(anchors - 0.5) < 0.5).all(1)
    return (
        np.concatenate([source, anchors[inside], still]).astype(np.float64),
        np.concatenate([target, moved[inside], still]).astype(np.float64),
    )


def head_anchors(landmarks: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "n 2"]:
    """Points over the hair, an arc above the brows, extrapolated from the landmarks."""
    left, right, chin = landmarks[0], landmarks[16], landmarks[8]
    middle = (left + right) / 2
    across = (right - left) / 2
    down = chin - middle
    return np.array([middle + 1.15 * (np.cos(a) * across + np.sin(a) * down) for a in _HAIR_ANGLES])


def similarity(
    source: Float[np.ndarray, "n 2"], target: Float[np.ndarray, "n 2"], points: Float[np.ndarray, "m 2"]
) -> Float[np.ndarray, "m 2"]:
    """Move points by the turn, scale and shift that brings `source` nearest to `target` (least squares)."""
    z, w, p = (a[:, 0] + 1j * a[:, 1] for a in (source.astype(np.float64), target.astype(np.float64), points))
    centred = z - z.mean()
    spread = (np.abs(centred) ** 2).sum()
    turn = (centred.conj() * (w - w.mean())).sum() / spread if spread > 0 else 1.0
    moved = turn * (p - z.mean()) + w.mean()
    return np.stack([moved.real, moved.imag], -1)


def frame_points() -> Float[np.ndarray, "n 2"]:
    """Points along the edge of the crop, which stay where they are."""
    line = np.linspace(0, 1, _FRAME_STEPS + 1)
    edge = [(v, e) for v in line for e in (0.0, 1.0)] + [(e, v) for v in line[1:-1] for e in (0.0, 1.0)]
    return np.array(edge)
