"""Square crops around a face, and landmarks carried into them and back.

Pixel coordinates are (x, y) with integers at pixel centres; a fraction of the crop's side is (pixel + 0.5) / side.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter1d

MARGIN = 2.0
"""Side of the crop over the longer side of the landmarks' bounding box."""

LIFT = 0.12
"""How far the crop's centre lies above the centre of the landmarks' box, over the box's height: room for the hair."""

STILL = 0.10
"""A head whose centre keeps within this fraction of the crop's side of its median is framed by a camera that stands."""

SMALLEST_MARGIN = 1.6
"""What the margin may be lowered to where the picture ends."""

LARGEST_SHIFT = 0.15
"""How far, over the crop's side, a window may be moved to stay inside the picture."""


@dataclass(frozen=True)
class CropWindow:
    """A square in an image, which may reach outside it."""

    x: float
    """Centre, pixels from the left."""
    y: float
    """Centre, pixels from the top."""
    side: float
    """Pixels."""


def window_for(
    landmarks_px: Float[np.ndarray, "68 2"], *, margin: float = MARGIN, frame_size: tuple[int, int] | None = None
) -> CropWindow:
    """The window that frames one face: the framing that `stable_windows` gives a track."""
    x, y, side = stable_windows(landmarks_px[None], margin=margin, frame_size=frame_size)[0].tolist()
    return CropWindow(x, y, side)


def stable_windows(
    landmarks_px: Float[np.ndarray, "t 68 2"],
    *,
    margin: float = MARGIN,
    smoothing: float = 12.0,
    frame_size: tuple[int, int] | None = None,
) -> Float[np.ndarray, "t 3"]:
    """Windows for a track as rows of x, y, side: no zoom, and no movement unless the head travels.

    The side is constant (the median). The centre is the median where the head stays near it; otherwise the head's path
    smoothed by a Gaussian.

    Args:
        landmarks_px: the track's landmarks, image pixels.
        margin: side of the crop over the longer side of the landmarks' box.
        smoothing: standard deviation of the Gaussian, frames.
        frame_size: height and width of the image; windows are then shrunk and moved a little where they would reach
            outside it. Without it the framing is exact.
    """
    low, high = landmarks_px.min(1).astype(np.float64), landmarks_px.max(1).astype(np.float64)
    extent = high - low
    side = max(margin * float(np.median(extent.max(1))), 1.0)
    centres = (low + high) / 2
    centres[:, 1] -= LIFT * extent[:, 1]
    middle = np.median(centres, 0)
    if np.abs(centres - middle).max() <= STILL * side:
        centres = np.broadcast_to(middle, centres.shape)
    else:
        centres = gaussian_filter1d(centres, smoothing, axis=0, mode="nearest")
    if frame_size is not None:
        shrunk = min(side, max(min(frame_size), side * SMALLEST_MARGIN / margin))
        centres = _moved_inside(centres, shrunk, frame_size)
        side = shrunk
    return np.concatenate([centres, np.full((len(centres), 1), side)], 1)


def _moved_inside(
    centres: Float[np.ndarray, "t 2"], side: float, frame_size: tuple[int, int]
) -> Float[np.ndarray, "t 2"]:
    """Centres moved by at most `LARGEST_SHIFT` so that the windows reach outside the image as little as can be."""
    low = np.full(2, side / 2 - 0.5)
    high = np.array(frame_size[::-1]) - side / 2 - 0.5
    low, high = np.minimum(low, (low + high) / 2), np.maximum(high, (low + high) / 2)
    return centres + np.clip(np.clip(centres, low, high) - centres, -LARGEST_SHIFT * side, LARGEST_SHIFT * side)


def crop_frame(frame: UInt8[np.ndarray, "h w *c"], window: CropWindow, size: int) -> UInt8[np.ndarray, "s s *c"]:
    """The window of the frame as a picture `size` pixels wide; outside the image its border is repeated.

    Shrinking averages over the pixels covered, so that it does not alias.
    """
    scale = window.side / size
    if scale > 1.5:
        # Average first, at a whole number of samples a pixel, then halve exactly.
        return cv2.resize(crop_frame(frame, window, size * 2), (size, size), interpolation=cv2.INTER_AREA)
    left, top = window.x + 0.5 - window.side / 2, window.y + 0.5 - window.side / 2
    # Output pixel i covers left + i*scale .. left + (i+1)*scale in edge coordinates; its centre in pixel coordinates:
    offset_x, offset_y = left + scale / 2 - 0.5, top + scale / 2 - 0.5
    matrix = np.array([[scale, 0, offset_x], [0, scale, offset_y]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def to_crop(landmarks_px: Float[np.ndarray, "*n 2"], window: CropWindow) -> Float[np.ndarray, "*n 2"]:
    """Image pixels -> fractions of the crop's side."""
    corner = np.array([window.x, window.y]) - window.side / 2
    return (landmarks_px - corner) / window.side
