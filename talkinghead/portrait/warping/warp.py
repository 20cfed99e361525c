"""A photo moved to other landmarks: made ready once, moved as often as wanted."""

from functools import lru_cache
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8
from scipy.spatial import Delaunay

from talkinghead.face import landmarks as scheme
from talkinghead.face.alignment import similarity
from talkinghead.face.landmarks import downwards, interocular
from talkinghead.portrait.warping.denoise import denoised

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


@runtime_checkable
class Warping(Protocol):
    """A photo that is ready to be moved."""

    landmarks: Float[np.ndarray, "68 2"]
    """In the photo, fractions of its side."""

    def to(self, target: Float[np.ndarray, "68 2"], *, box: Box | None = None) -> UInt8[np.ndarray, "h w 3"]:
        """The photo with its landmarks where the target's are, or a box of it."""
        ...


class Warp:
    """A photo, moved piecewise affinely over a Delaunay triangulation of its landmarks.

    The triangles are those of the target and cover the frame, so each pixel is fetched once and nothing cracks. Beside
    the 68 points, an arc over the hair follows the head; the frame's edge stays, and with it shoulders and background.

    Args:
        photo: square crop.
        landmarks: in the photo, fractions of its side.
        denoise: move only as far as the person truly moves; if not, the landmarks come exactly to the target's.
        sharp: interpolate between pixels by a Lanczos filter, not linearly.
    """

    def __init__(
        self,
        photo: UInt8[np.ndarray, "s s 3"],
        landmarks: Float[np.ndarray, "68 2"],
        *,
        denoise: bool = True,
        sharp: bool = True,
    ):
        self.photo, self.landmarks, self.denoise = photo, landmarks, denoise
        self._between = cv2.INTER_LANCZOS4 if sharp else cv2.INTER_LINEAR
        self._points = uncrossed(landmarks)
        self._anchors = head_anchors(self._points)

    def to(self, target: Float[np.ndarray, "68 2"], *, box: Box | None = None) -> UInt8[np.ndarray, "h w 3"]:
        """The photo moved to the target.

        Args:
            target: wanted landmarks, fractions of the side.
            box: rows and columns of the result to compute; None is all of it.
        """
        side = self.photo.shape[0]
        rows, columns = box or (slice(0, side), slice(0, side))
        wanted = denoised(self.landmarks, target) if self.denoise else target
        origin = _origins(*self.control_points(wanted), _centres(side)[rows, columns]) * side - 0.5
        return cv2.remap(self.photo, origin, None, self._between, borderMode=cv2.BORDER_REPLICATE)

    def control_points(
        self, target: Float[np.ndarray, "68 2"]
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
        """The points of the warp in the photo and in the target: landmarks, hair, the frame's edge."""
        source, target, anchors = self._points, uncrossed(target), self._anchors
        moved = similarity(source[STILL], target[STILL])(anchors)
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


def frame_points() -> Float[np.ndarray, "n 2"]:
    """Points along the edge of the crop, which stay where they are."""
    line = np.linspace(0, 1, _FRAME_STEPS + 1)
    edge = [(v, e) for v in line for e in (0.0, 1.0)] + [(e, v) for v in line[1:-1] for e in (0.0, 1.0)]
    return np.array(edge)
