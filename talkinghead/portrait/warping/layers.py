"""The layers of a photo: the background without its person, and the person's colours without the background."""

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

BEYOND = 0.04
"""How far beyond the person the background is filled as well, fraction of the longer side.

The rim of a head is in no matte whole: of what is left the fill would make a grey ghost.
"""

_TRACE = 0.05
"""A pixel with less of the person in it is background."""
_SURE = 0.95
_INSIDE = 0.008
"""What has at least this much of the person, this far from what has less, shows no background; fraction of the side."""
_TRUST = 3.0
"""A third known is enough to count as known, one level coarser."""
_LOOKED_AT = 20000
_MOST_GRAIN = 6.0
"""Pixels that the noise is measured at; its deviation at most, 0..255: more is texture."""


def plate(
    photo: UInt8[np.ndarray, "h w 3"], alpha: Float32[np.ndarray, "h w"], *, grain: bool = True
) -> UInt8[np.ndarray, "h w 3"]:
    """The background plate: the photo where nobody is, bit for bit, and filled smoothly where the person was.

    Args:
        photo: of a person.
        alpha: how much of each pixel is the person, 0..1.
        grain: whether what is filled has the noise of the rest. It is the same noise each time.
    """
    reach = BEYOND * max(photo.shape[:2])
    empty = 1 - _through_padding(alpha >= _TRACE, photo, reach=round(reach)).astype(np.uint8)
    away = cv2.distanceTransform(empty, cv2.DIST_L2, cv2.DIST_MASK_5)
    known = away > min(reach, float(away.max()) / 2)  # a person who leaves little free is filled from that little
    if not known.any():  # the person is everywhere: one colour, that of the picture's edge
        edge = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]])
        return np.broadcast_to(np.rint(edge.mean(0)).astype(np.uint8), photo.shape).copy()
    filled = push_pull(photo, known.astype(np.float32))
    if grain:
        filled += _grain(photo, known)
    return np.where(known[..., None], photo, _rounded(filled))


def foreground(photo: UInt8[np.ndarray, "h w 3"], alpha: Float32[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """The person's own colours, continued outwards: blended by alpha over anything, the edge shows no background.

    Args:
        photo: of a person.
        alpha: how much of each pixel is the person, 0..1.
    """
    inside = cv2.distanceTransform((alpha > _SURE).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    sure = np.clip(2 * inside / (_INSIDE * max(photo.shape[:2])) - 1, 0, 1)[..., None]
    if not sure.any():
        return photo.copy()
    return _rounded(push_pull(photo, sure[..., 0]) * (1 - sure) + photo * sure)


def _through_padding(
    person: Bool[np.ndarray, "h w"], photo: UInt8[np.ndarray, "h w 3"], *, reach: int
) -> Bool[np.ndarray, "h w"]:
    """A person continued through padding: rows and columns at the edge that only repeat the photo's last one.

    A crop that reaches beyond the photo has them, and a head cut by the photo's edge goes on there as streaks.
    """
    person = person.copy()
    for turns in range(4):
        rows, shape = np.rot90(photo, turns), np.rot90(person, turns)
        if len(rows) > 1 and (rows[0] == rows[1]).all():
            padding = int((rows == rows[0]).all((1, 2)).argmin())  # 0 if all rows are alike
            shape[:padding] |= shape[padding : padding + reach].any(0)
    return person


def push_pull(photo: UInt8[np.ndarray, "h w 3"], known: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w 3"]:
    """A picture filled where it is not known, from what is known around, the smoother the farther away.

    Args:
        photo: the picture.
        known: how well each pixel is known, 0..1; somewhere more than 0.

    References:
        Gortler et al. 1996, The lumigraph, section 3.4.
    """
    level = cv2.merge([*cv2.split(photo.astype(np.float32) * known[..., None]), known])
    levels = [level]
    while max(level.shape[:2]) > 1:
        level = cv2.pyrDown(level)
        weight = level[..., 3:]
        # What is partly known counts as known: colours then come from nearby, not from the mean of the picture.
        level = level * (np.minimum(_TRUST * weight, 1) / np.maximum(weight, 1e-9))
        levels.append(level)
    filled = level[..., :3] / np.maximum(level[..., 3:], 1e-9)
    for level in reversed(levels[:-1]):
        size = level.shape[1], level.shape[0]
        filled = level[..., :3] + (1 - level[..., 3:]) * cv2.pyrUp(filled, dstsize=size)
    return filled


def _grain(photo: UInt8[np.ndarray, "h w 3"], known: np.ndarray) -> Float32[np.ndarray, "h w 3"]:
    """Noise as strong as what the known part of a photo has in its smooth places."""
    picture = photo.astype(np.float32)
    rest = np.abs(picture - cv2.GaussianBlur(picture, (0, 0), 1.5))[known]
    strength = np.minimum(np.median(rest[:: len(rest) // _LOOKED_AT + 1], 0) / 0.6745, _MOST_GRAIN)
    noise = np.random.default_rng(0).standard_normal(photo.shape[:2], np.float32)
    return noise[..., None] * strength.astype(np.float32)


def _rounded(picture: Float32[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
