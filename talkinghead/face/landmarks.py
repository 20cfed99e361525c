"""The iBUG 68-point landmark scheme: groups, mirror order and simple measures.

Landmarks that cross rooms are float32 arrays of shape (..., 68, 2) in fractions of the crop's side, x right and y down.

References:
    Sagonas et al. 2013, 300 Faces in-the-Wild (the 68-point mark-up).
"""

import numpy as np
from jaxtyping import Float

JAW = list(range(17))
RIGHT_BROW = list(range(17, 22))
LEFT_BROW = list(range(22, 27))
NOSE_BRIDGE = list(range(27, 31))
NOSE_BASE = list(range(31, 36))
RIGHT_EYE = list(range(36, 42))
LEFT_EYE = list(range(42, 48))
OUTER_LIPS = list(range(48, 60))
INNER_LIPS = list(range(60, 68))

EYELID_PAIRS = np.array([[37, 41], [38, 40], [43, 47], [44, 46]])
"""Upper and lower point of each pair."""
INNER_LIP_PAIRS = np.array([[61, 67], [62, 66], [63, 65]])
"""Upper and lower point of each pair."""
OUTER_LIP_PAIRS = np.array([[49, 59], [50, 58], [51, 57], [52, 56], [53, 55]])
"""Upper and lower point of each pair."""

MIRROR = np.array(
    JAW[::-1]
    + LEFT_BROW[::-1]
    + RIGHT_BROW[::-1]
    + NOSE_BRIDGE
    + NOSE_BASE[::-1]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]
    + [64, 63, 62, 61, 60, 67, 66, 65]
)
"""Index of each point's partner in a mirrored face: ``mirrored = landmarks[..., MIRROR, :]`` after x is flipped."""


def mirror(landmarks: Float[np.ndarray, "*t 68 2"]) -> Float[np.ndarray, "*t 68 2"]:
    """Landmarks of the left-right mirrored crop, in fractions of the side."""
    mirrored = landmarks[..., MIRROR, :].copy()
    mirrored[..., 0] = 1 - mirrored[..., 0]
    return mirrored


def interocular(landmarks: Float[np.ndarray, "*t 68 2"]) -> Float[np.ndarray, "*t"]:
    """Distance of the outer eye corners (points 36 and 45), in the unit of the landmarks."""
    return np.asarray(np.linalg.norm(landmarks[..., 36, :] - landmarks[..., 45, :], axis=-1))


def downwards(landmarks: Float[np.ndarray, "68 2"]) -> Float[np.ndarray, " 2"]:
    """The direction from the bridge of the nose to the chin (points 27 and 8), of length 1."""
    down = landmarks[8] - landmarks[27]
    return down / max(float(np.linalg.norm(down)), 1e-6)


def mouth_opening(landmarks: Float[np.ndarray, "*t 68 2"]) -> Float[np.ndarray, "*t"]:
    """Mean height of the inner lips (pairs 61-67, 62-66, 63-65) over the interocular distance."""
    gaps = np.linalg.norm(landmarks[..., [61, 62, 63], :] - landmarks[..., [67, 66, 65], :], axis=-1)
    return np.asarray(gaps.mean(-1) / np.maximum(interocular(landmarks), 1e-6))


def eye_opening(landmarks: Float[np.ndarray, "*t 68 2"]) -> Float[np.ndarray, "*t"]:
    """Mean eye aspect ratio of both eyes: lid distance over eye width.

    References:
        Soukupova and Cech 2016, Real-time eye blink detection using facial landmarks.
    """
    lids = np.linalg.norm(landmarks[..., [37, 38, 43, 44], :] - landmarks[..., [41, 40, 47, 46], :], axis=-1)
    widths = np.linalg.norm(landmarks[..., [36, 42], :] - landmarks[..., [39, 45], :], axis=-1)
    return np.asarray(lids.mean(-1) / np.maximum(widths.mean(-1), 1e-6))
