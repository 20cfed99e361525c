"""Landmarks drawn as coloured lines: the picture that the networks see.

References:
    Zakharov et al. 2019, section 3.1; colours and thickness as in the authors' published code.
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from talkinghead.face import landmarks as scheme
from talkinghead.media.image import frame_to_tensor

_STROKES: list[tuple[list[int], bool, tuple[int, int, int]]] = [
    (scheme.JAW, False, (255, 255, 255)),
    (scheme.RIGHT_BROW, False, (255, 0, 0)),
    (scheme.LEFT_BROW, False, (0, 255, 0)),
    (scheme.NOSE_BRIDGE, False, (0, 0, 255)),
    (scheme.NOSE_BASE, False, (0, 0, 255)),
    (scheme.RIGHT_EYE, True, (255, 0, 255)),
    (scheme.LEFT_EYE, True, (0, 255, 255)),
    (scheme.OUTER_LIPS, True, (255, 255, 0)),
    (scheme.INNER_LIPS, True, (255, 255, 0)),
]
"""(points, closed, RGB) of each line; the inner lips are drawn because the mouth cannot close without them."""

_SUBPIXEL_BITS = 4
_PAPER_SIDE = 256


def draw_landmarks(landmarks: Float[np.ndarray, "68 2"], size: int) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Draw facial landmarks as coloured lines, one colour for each part of the face.

    Lines have OpenCV's thickness 2 at 256 px, as the authors draw them (3 px and soft edges), and in proportion below.
    Points keep their fractions (1/16 px) where the authors round them, and lines are anti-aliased: at 128 px and less
    a rounded point moves an eyelid by half its opening.

    Args:
        landmarks: fractions of the side, (x, y) from the top-left corner of the crop.
        size: side of the picture, pixels.

    Raises:
        ValueError: if a landmark is not finite.

    References:
        Zakharov et al. 2019, section 3.1.
    """
    if not np.isfinite(landmarks).all():
        raise ValueError("landmarks hold a value that is not finite; drop such frames before drawing them")
    scale = max(1, round(_PAPER_SIDE / size)) if size < _PAPER_SIDE else 1
    side = size * scale
    canvas = np.zeros((side, side, 3), np.uint8)
    pixels = np.clip(landmarks * side - 0.5, -4 * side, 5 * side)
    points = np.round(pixels * 2**_SUBPIXEL_BITS).astype(np.int32)
    thickness = max(2, round(2 * side / _PAPER_SIDE))
    for indices, closed, colour in _STROKES:
        cv2.polylines(canvas, [points[indices]], closed, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    if scale > 1:
        canvas = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return canvas


def draw_many(landmarks: Float[np.ndarray, "t 68 2"], size: int) -> Float[Tensor, "t 3 {size} {size}"]:
    """Landmark images of many frames, in -1..1."""
    return frame_to_tensor(np.stack([draw_landmarks(one, size) for one in landmarks]))
