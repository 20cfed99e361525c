"""Finding faces and their 68 landmarks in a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from talkinghead.errors import UserError

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels."""

DETECTORS = ("auto", "dlib", "face-alignment", "mtcnn")

SMALLEST_HOG_FACE = 80
"""Side of dlib's detection window: a smaller face is found only in an enlarged picture."""

BOX_PER_SPREAD = 2.80
"""Side of dlib's face box over the root-mean-square distance of the landmarks from their mean (median of 572 faces)."""

BOX_LIFT = 0.135
"""How far that box's centre lies above the landmarks' mean, in the same unit."""

PATCH = 512
"""Side of the upright patch that the shape predictor sees. It answers in whole pixels, so the patch is finer than the
image: with 200 pixels instead the landmarks tremble half as much again."""

PATCH_MARGIN = 2.0
"""Side of the patch over the side of the face box."""

JITTERS = ((0.0, 0.0, 1.0), (0.04, 0.03, 1.05), (-0.04, -0.03, 0.95))
"""Boxes tried for each face: shift right and down over the box's side, and scale. The mean of the answers trembles a
third less than one answer (five boxes: 7 % less again); how far they differ says how sure they are."""

EVEN_SPREAD = 0.02
"""Disagreement of the answers (standard deviation over the box's side) at which as many are wrong as right."""

SPREAD_POWER = 3.0
"""How fast the odds turn around it. Both fitted on 743 frames, many of them hard, against an independent landmark
network; noise gets 0.16."""


TURNED_AWAY = (0.08, 0.14)
"""Distance from the nose's bridge to the nearer jaw over that to the farther one. Under the second the far half of the
face is guessed, under the first nothing of it is seen: dlib was trained on faces that look towards the camera."""


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


class DlibDetector:
    """dlib's HOG face detector and 68-point shape predictor: light, offline, weak on profiles."""

    colour: Literal["rgb", "grey"] = "grey"
    batch = 1

    def __init__(self, *, threshold: float = -0.5) -> None:
        """Load the models.

        Args:
            threshold: detections with a lower score are dropped. dlib's own is 0, which misses dark and turned faces.
        """
        import dlib

        self.threshold = threshold
        self._boxes = dlib.get_frontal_face_detector()
        self._shape = dlib.shape_predictor(str(dlib_model("shape_predictor_68_face_landmarks.dat")))
        self._rectangles = [_patch_rectangle(*jitter) for jitter in JITTERS]

    def detect(self, frame: UInt8[np.ndarray, "h w *c"], *, min_face: float = 64) -> list[Face]:
        """The faces in a frame at least about `min_face` pixels wide, surest first."""
        scale = SMALLEST_HOG_FACE / min_face
        grey = to_grey(frame)
        width, height = (max(1, round(side * scale)) for side in grey.shape[::-1])
        grey = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        boxes, scores, _ = self._boxes.run(grey, 0, self.threshold)
        faces = []
        for box, score in zip(boxes, scores, strict=True):
            edges = (box.left(), box.top(), box.right() + 1, box.bottom() + 1)
            left, top, right, bottom = (edge / scale - 0.5 for edge in edges)
            faces.append(Face((left, top, right, bottom), float(score)))
        return sorted(faces, key=lambda face: -face.score)

    def fit(
        self, frames: Sequence[UInt8[np.ndarray, "h w *c"]], boxes: Sequence[Box], rolls: Sequence[float]
    ) -> tuple[Float[np.ndarray, "n 68 2"], Float[np.ndarray, " n"]]:
        """Landmarks, pixels, of one face in each frame, and how sure they are, 0..1."""
        landmarks, confidence = [], []
        for frame, box, roll in zip(frames, boxes, rolls, strict=True):
            patch, turn, offset = upright_patch(to_grey(frame), box, roll)
            answers = np.stack([self._answer(patch, rectangle) for rectangle in self._rectangles])
            spread = float(answers.std(0).mean()) * PATCH_MARGIN / PATCH
            answer = answers.mean(0)
            landmarks.append(answer @ turn.T + offset)
            confidence.append(_facing(answer) / (1 + (spread / EVEN_SPREAD) ** SPREAD_POWER))
        return np.array(landmarks, np.float32).reshape(-1, 68, 2), np.array(confidence, np.float32)

    def landmarks(self, frame: UInt8[np.ndarray, "h w *c"], box: Box) -> Float[np.ndarray, "68 2"]:
        """The landmarks, pixels, of the face in a detected box."""
        return fit_detected(self, frame, box)[0]

    def _answer(self, patch: UInt8[np.ndarray, "h w"], rectangle: object) -> Float[np.ndarray, "68 2"]:
        return np.array([(part.x, part.y) for part in self._shape(patch, rectangle).parts()], np.float64)


def _patch_rectangle(right: float, down: float, scale: float) -> object:
    import dlib

    side = PATCH / PATCH_MARGIN
    x, y, half = PATCH / 2 + right * side, PATCH / 2 + down * side, side * scale / 2
    return dlib.rectangle(round(x - half), round(y - half), round(x + half) - 1, round(y + half) - 1)


def _facing(landmarks: Float[np.ndarray, "68 2"]) -> float:
    """1 for a face that can be seen whole, falling to 0 for a profile."""
    bridge = landmarks[27:31].mean(0)
    sides = [float(np.linalg.norm(landmarks[jaw].mean(0) - bridge)) for jaw in (slice(0, 3), slice(14, 17))]
    low, high = TURNED_AWAY
    return min(max((min(sides) / max(*sides, 1e-6) - low) / (high - low), 0.0), 1.0)


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


def make_detector(name: str = "auto", device: str = "cpu") -> FaceDetector:
    """A detector by name.

    Args:
        name: "dlib"; "face-alignment" (FAN landmarks, MTCNN boxes); "mtcnn" (its boxes, dlib's landmarks); "auto":
            face-alignment where there is a GPU and its weights lie on this machine, otherwise dlib.
        device: for the neural ones.

    Raises:
        UserError: if the name is unknown, or what it needs is not installed or cannot be had.
    """
    if name not in DETECTORS:
        raise UserError(f"there is no face detector {name!r}; choose one of {', '.join(DETECTORS)}.")
    if name == "dlib" or (name == "auto" and device == "cpu"):
        return DlibDetector()
    from talkinghead.face.detect_neural import FanDetector, MtcnnDetector, fan_weights_present

    if name == "mtcnn":
        return MtcnnDetector(device=device)
    if name == "face-alignment" or fan_weights_present():
        return FanDetector(device=device)
    return DlibDetector()


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
