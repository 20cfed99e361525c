"""A photo moved to other landmarks, and the choice of the photo that needs to move least."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from scipy.spatial import Delaunay

from talkinghead.face import landmarks as scheme
from talkinghead.face.landmarks import downwards, interocular

Box = tuple[slice, slice]
"""Rows and columns."""

STILL = [*scheme.RIGHT_BROW, *scheme.LEFT_BROW, *scheme.NOSE_BRIDGE, *scheme.NOSE_BASE, 36, 39, 42, 45]
"""Points that move with the head, not with the mouth or the lids."""

_UPPER, _LOWER = np.concatenate([scheme.EYELID_PAIRS, scheme.INNER_LIP_PAIRS]).T
_LEAST_GAP = 0.01
"""Between upper and lower lids, and inner rims of the lips, as a part of the distance of the eyes."""

_HAIR_ANGLES = np.radians(np.linspace(200, 340, 7))
_FRAME_STEPS = 6
_CLEARANCE = 0.06
_FLAT = 1e-12


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
    photo: UInt8[np.ndarray, "s s 3"],
    source: Float[np.ndarray, "68 2"],
    target: Float[np.ndarray, "68 2"],
    *,
    sharp: bool = False,
    box: Box | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Move the photo's landmarks to the target's, piecewise affinely over a Delaunay triangulation.

    The triangles are those of the target and cover the frame, so each pixel is fetched once and nothing cracks. Beside
    the 68 points, an arc over the hair follows the head; the frame's edge stays, and with it shoulders and background.

    Args:
        photo: square crop.
        source: landmarks in the photo, fractions of its side.
        target: where they should be, fractions of its side.
        sharp: interpolate between pixels by a Lanczos filter, not linearly.
        box: rows and columns of the result to compute; None is all of it.
    """
    side = photo.shape[0]
    rows, columns = box or (slice(0, side), slice(0, side))
    between = cv2.INTER_LANCZOS4 if sharp else cv2.INTER_LINEAR
    centres = _centres(side)[rows, columns]
    origin = _origins(*control_points(source, target), centres) * side - 0.5
    return cv2.remap(photo, origin, None, between, borderMode=cv2.BORDER_REPLICATE)


def warp_nearest(
    photos: UInt8[np.ndarray, "k s s 3"],
    sources: Float[np.ndarray, "k 68 2"],
    targets: Float[np.ndarray, "t 68 2"],
    nearest: Int[np.ndarray, " t"],
) -> UInt8[np.ndarray, "t s s 3"]:
    """For each target the nearest photo, moved to it.

    Args:
        photos: square crops.
        sources: their landmarks, fractions of the side.
        targets: wanted landmarks.
        nearest: index of the photo for each target.
    """
    return np.stack([warp_photo(photos[i], sources[i], one) for i, one in zip(nearest, targets, strict=True)])


def _origins(
    source_points: Float[np.ndarray, "n 2"], target_points: Float[np.ndarray, "n 2"], cells: Float[np.ndarray, "h w 2"]
) -> Float32[np.ndarray, "h w 2"]:
    """Where in the photo each cell of the target comes from, fractions of the side."""
    triangles = Delaunay(target_points)
    corners = np.pad(target_points[triangles.simplices], ((0, 0), (0, 0), (0, 1)), constant_values=1.0)
    flat = np.abs(np.linalg.det(corners)) < _FLAT  # a sliver without area has no inverse: what falls on it stays
    corners[flat] = np.eye(3)
    affine = np.linalg.solve(corners, source_points[triangles.simplices])
    affine[flat] = [[1, 0], [0, 1], [0, 0]]
    planes = affine.astype(np.float32).transpose(2, 1, 0).copy()
    chosen = planes[:, :, triangles.find_simplex(cells)]
    x, y = cells.astype(np.float32).transpose(2, 0, 1).copy()
    return np.stack([x * across + y * along + shift for across, along, shift in chosen], -1)


@lru_cache(maxsize=8)
def _centres(side: int) -> Float[np.ndarray, "{side} {side} 2"]:
    """The middle of each cell of a grid, fractions of the side."""
    return (np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1) + 0.5) / side


def control_points(
    source: Float[np.ndarray, "68 2"], target: Float[np.ndarray, "68 2"]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """The points of the warp in the photo and in the target: landmarks, hair, the frame's edge."""
    source, target = uncrossed(source), uncrossed(target)
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


def uncrossed(landmarks: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, "68 2"]:
    """Landmarks whose lids and lips touch at most: crossed in a blink they would fold and show an open eye."""
    down = downwards(landmarks)
    gap = (landmarks[_LOWER] - landmarks[_UPPER]) @ down
    lack = np.maximum(_LEAST_GAP * float(interocular(landmarks[None])[0]) - gap, 0)[:, None] / 2 * down
    apart = landmarks.copy()
    apart[_UPPER] -= lack
    apart[_LOWER] += lack
    return apart


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
