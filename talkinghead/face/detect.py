"""Finding faces and their 68 landmarks in a picture."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from talkinghead.errors import UserError

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels."""

SMALLEST_HOG_FACE = 80
"""Side of dlib's detection window: a smaller face is found only in an enlarged picture."""

PATCH = 384
"""Side of the patch that the shape predictor is given. It answers in whole pixels, so the patch is finer than the image."""

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

    colour: str
    """"grey" or "rgb": what frames it takes. (Any detector takes RGB.)"""

    def detect(self, frame: UInt8[np.ndarray, "h w *c"], *, min_face: float = 64) -> list[Face]:
        """The faces in a frame at least `min_face` pixels wide, surest first."""
        ...

    def landmarks(self, frame: UInt8[np.ndarray, "h w *c"], box: Box, *, roll: float = 0.0) -> Float[np.ndarray, "68 2"]:
        """The landmarks, pixels, of the face in a box that leans by `roll` radians."""
        ...


class DlibDetector:
    """dlib's HOG face detector and 68-point shape predictor: light, offline, weak on profiles."""

    colour = "grey"

    def __init__(self, *, threshold: float = -0.5) -> None:
        """`threshold`: detections with a lower score are dropped; dlib's own is 0, which misses dark and turned faces."""
        import dlib

        self.threshold = threshold
        self._boxes = dlib.get_frontal_face_detector()
        self._shape = dlib.shape_predictor(str(dlib_model("shape_predictor_68_face_landmarks.dat")))
        self._rectangle = dlib.rectangle

    def detect(self, frame: UInt8[np.ndarray, "h w *c"], *, min_face: float = 64) -> list[Face]:
        """The faces in a frame at least about `min_face` pixels wide, surest first."""
        scale = SMALLEST_HOG_FACE / min_face
        grey = to_grey(frame)
        if scale != 1:
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=method)
        boxes, scores, _ = self._boxes.run(grey, 0, self.threshold)
        faces = []
        for box, score in zip(boxes, scores, strict=True):
            edges = (box.left(), box.top(), box.right() + 1, box.bottom() + 1)
            left, top, right, bottom = ((e / scale) - 0.5 for e in edges)
            faces.append(Face((left, top, right, bottom), float(score)))
        return sorted(faces, key=lambda face: -face.score)

    def landmarks(self, frame: UInt8[np.ndarray, "h w *c"], box: Box, *, roll: float = 0.0) -> Float[np.ndarray, "68 2"]:
        """The landmarks, pixels, of the face in a box that leans by `roll` radians."""
        side = max(box[2] - box[0], box[3] - box[1])
        scale = PATCH_MARGIN * side / PATCH
        cos, sin = np.cos(roll) * scale, np.sin(roll) * scale
        turn = np.array([[cos, -sin], [sin, cos]])
        centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
        offset = centre - turn @ np.full(2, (PATCH - 1) / 2)
        matrix = np.concatenate([turn, offset[:, None]], 1)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        patch = cv2.warpAffine(to_grey(frame), matrix, (PATCH, PATCH), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        low, high = round(PATCH / 2 * (1 - 1 / PATCH_MARGIN)), round(PATCH / 2 * (1 + 1 / PATCH_MARGIN)) - 1
        parts = self._shape(patch, self._rectangle(low, low, high, high)).parts()
        points = np.array([(part.x, part.y) for part in parts], np.float64)
        return (points @ turn.T + offset).astype(np.float32)


def make_detector(name: str = "auto", device: str = "cpu") -> FaceDetector:
    """A detector by name: "dlib", "face-alignment", "mtcnn" (boxes, with dlib's landmarks), or "auto".

    Raises:
        UserError: if the name is unknown or what it needs is not installed.
    """
    if name in ("auto", "dlib"):
        return DlibDetector()
    raise UserError(f"there is no face detector {name!r}; choose auto, dlib, face-alignment or mtcnn.")


@cache
def dlib_model(name: str) -> Path:
    """A model file of the `face-recognition-models` package, found without importing it (that needs pkg_resources).

    Raises:
        UserError: if the package is not installed.
    """
    spec = find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise UserError(f"{name} is missing: pip install face-recognition-models.")


def to_grey(frame: UInt8[np.ndarray, "h w *c"]) -> UInt8[np.ndarray, "h w"]:
    """Brightness of an RGB frame; a grey one as it is."""
    return frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
