"""Landmarks drawn as coloured lines: the picture that the networks see.

References:
    Zakharov et al. 2019, section 3.1; colours and thickness as in the authors' published code.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
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

_EDGE, _SOFTNESS = 0.675, 0.345
"""What OpenCV's anti-aliased lines come to: half of their colour is left this far outside their nominal edge, and it
fades as a Gaussian blur of this deviation, pixels."""

_AT_ONCE = 32
"""Pictures drawn at once on a GPU: 0.7 GB at 256 px."""


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
    scale, side, thickness = _canvas(size)
    canvas = np.zeros((side, side, 3), np.uint8)
    pixels = np.clip(landmarks * side - 0.5, -4 * side, 5 * side)
    points = np.round(pixels * 2**_SUBPIXEL_BITS).astype(np.int32)
    for indices, closed, colour in _STROKES:
        cv2.polylines(canvas, [points[indices]], closed, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)
    if scale > 1:
        canvas = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    return canvas


def _canvas(size: int) -> tuple[int, int, int]:
    """How many times larger than the picture it is drawn, the side of that canvas, and the lines' thickness on it."""
    scale = max(1, round(_PAPER_SIDE / size)) if size < _PAPER_SIDE else 1
    return scale, size * scale, max(2, round(2 * size * scale / _PAPER_SIDE))


def draw_many(landmarks: Float[np.ndarray, "t 68 2"], size: int) -> Float[Tensor, "t 3 {size} {size}"]:
    """Landmark images of many frames, in -1..1."""
    return frame_to_tensor(np.stack([draw_landmarks(one, size) for one in landmarks]))


def draw_tensor(landmarks: Float[Tensor, "*n 68 2"], size: int) -> Float[Tensor, "*n 3 {size} {size}"]:
    """Landmark images of many frames, in -1..1, on the device that holds the landmarks.

    On a CPU OpenCV draws them. Elsewhere the same lines come from the distance of each pixel to them: as OpenCV's but
    for their edges, by a quarter of a grey level of 255 on the mean over a picture.

    Args:
        landmarks: fractions of the side.
        size: side of the pictures, pixels.
    """
    flat = landmarks.reshape(-1, *landmarks.shape[-2:])
    if landmarks.device.type == "cpu":
        pictures = draw_many(flat.numpy(), size)
    else:
        pictures = torch.cat([draw_by_distance(part, size) for part in flat.split(_AT_ONCE)])
    return pictures.reshape(*landmarks.shape[:-2], *pictures.shape[1:])


def draw_by_distance(landmarks: Float[Tensor, "t 68 2"], size: int) -> Float[Tensor, "t 3 {size} {size}"]:
    """What `draw_many` gives, but for the lines' edges, in plain operations of any device."""
    scale, side, thickness = _canvas(size)
    pixels = (landmarks * side - 0.5).clamp(-4 * side, 5 * side)
    points = (pixels * 2**_SUBPIXEL_BITS).round() / 2**_SUBPIXEL_BITS
    axis = torch.arange(side, device=landmarks.device, dtype=landmarks.dtype)
    reach = (thickness + 1) // 2 + _EDGE
    canvas = landmarks.new_zeros(len(landmarks), 3, side, side)
    for indices, closed, colour in _STROKES:
        corners = torch.stack([points[:, index] for index in [*indices, *indices[: int(closed)]]], 1)
        start, along = corners[:, :-1, :, None, None], corners.diff(dim=1)[..., None, None]
        dx, dy = axis - start[:, :, 0], axis[:, None] - start[:, :, 1]  # (t, lines, 1, side), (t, lines, side, 1)
        lx, ly = along[:, :, 0], along[:, :, 1]
        place = ((dx * lx + dy * ly) / (lx.square() + ly.square()).clamp_min(1e-6)).clamp(0, 1)
        distance = (dx - place * lx).square().add((dy - place * ly).square()).sqrt()
        left = torch.special.ndtr((distance - reach) / _SOFTNESS).prod(1)[:, None]  # of what was there before
        for channel, value in enumerate(colour):
            canvas[:, channel : channel + 1] = canvas[:, channel : channel + 1] * left + value / 255 * (1 - left)
    if scale > 1:
        canvas = F.avg_pool2d(canvas, scale)
    return (canvas * 2 - 1).contiguous(memory_format=torch.channels_last)
