"""Finding faces and their 68 landmarks in a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels."""


BOX_PER_SPREAD = 2.80
"""Side of dlib's face box over the root-mean-square distance of the landmarks from their mean (median of 572 faces)."""

BOX_LIFT = 0.135
"""How far that box's centre lies above the landmarks' mean, in the same unit."""

PATCH = 512
"""Side of the upright patch that the shape predictor sees. It answers in whole pixels, so the patch is finer than the
image: with 200 pixels instead the landmarks tremble half as much again."""

PATCH_MARGIN = 2.0
"""Side of the patch over the side of the face box."""


@dataclass(frozen=True)
class Face:
    """A face box."""

    box: Box
    score: float
    """The detector's own; higher is surer. Not comparable between detectors."""


@runtime_checkable
class FaceDetector(Protocol):
    """What finds faces and landmarks. One is made for a run, not one a frame."""

    colour: Literal["rgb", "grey"]
    """"grey" or "rgb": the frames it needs. A grey one takes RGB too."""

    batch: int
    """How many frames `fit` takes at once with profit."""

    def detect(self, frame: UInt8[np.ndarray, "h w *c"], *, min_face: float = 64) -> list[Face]:
        """The faces in a frame at least about `min_face` pixels wide, surest first."""
        ...

    def fit(
        self, frames: Sequence[UInt8[np.ndarray, "h w *c"]], boxes: Sequence[Box], rolls: Sequence[float]
    ) -> tuple[Float[np.ndarray, "n 68 2"], Float[np.ndarray, " n"]]:
        """Landmarks, pixels, of one face in each frame, and how sure they are, 0..1.

        `boxes` are square, as dlib draws them; `rolls` are the faces' leans in radians.
        """
        ...

    def landmarks(self, frame: UInt8[np.ndarray, "h w *c"], box: Box) -> Float[np.ndarray, "68 2"]:
        """The landmarks, pixels, of the face in a detected box."""
        ...


def upright_patch(
    frame: UInt8[np.ndarray, "h w *c"], box: Box, roll: float, *, size: int = PATCH, margin: float = PATCH_MARGIN
) -> tuple[UInt8[np.ndarray, "s s *c"], Float[np.ndarray, "2 2"], Float[np.ndarray, " 2"]]:
    """A square around a box, turned upright, and what brings its points back: `point @ turn.T + offset`."""
    scale = margin * max(box[2] - box[0], box[3] - box[1]) / size
    cos, sin = np.cos(roll) * scale, np.sin(roll) * scale
    turn = np.array([[cos, -sin], [sin, cos]])
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    offset = centre - turn @ np.full(2, (size - 1) / 2)
    matrix = np.concatenate([turn, offset[:, None]], 1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE), turn, offset


def fit_detected(
    detector: FaceDetector, frame: UInt8[np.ndarray, "h w *c"], box: Box
) -> tuple[Float[np.ndarray, "68 2"], float]:
    """Landmarks and confidence of a face whose lean is not known yet: fitted twice, the second time turned upright."""
    first, first_confidence = detector.fit([frame], [box], [0.0])
    closer, roll = box_around(first[0])
    second, second_confidence = detector.fit([frame], [closer], [roll])
    better = second_confidence[0] >= first_confidence[0]
    return (second[0], float(second_confidence[0])) if better else (first[0], float(first_confidence[0]))


def box_around(landmarks_px: Float[np.ndarray, "68 2"]) -> tuple[Box, float]:
    """The box that dlib would draw around the face with these landmarks, and the face's lean in radians."""
    across = landmarks_px[42:48].mean(0) - landmarks_px[36:42].mean(0)
    roll = float(np.arctan2(across[1], across[0]))
    mean = landmarks_px.mean(0)
    spread = max(float(np.sqrt(((landmarks_px - mean) ** 2).sum(1).mean())), 1.0)
    x, y = (mean + BOX_LIFT * spread * np.array([np.sin(roll), -np.cos(roll)])).tolist()
    half = BOX_PER_SPREAD * spread / 2
    return (x - half, y - half, x + half, y + half), roll


def to_grey(frame: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "h w"]:
    """Brightness of an RGB frame; a grey one as it is."""
    return frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
