"""dlib's face detector and its 68-point shape predictor."""

from collections.abc import Sequence
from typing import Literal

import cv2
import dlib
import numpy as np
from jaxtyping import Float, UInt8

from talkinghead.face.detection.detector import PATCH, PATCH_MARGIN, Box, Face, fit_detected, to_grey, upright_patch
from talkinghead.weights.shipped import SHAPE_MODEL, dlib_model

SMALLEST_HOG_FACE = 80
"""Side of dlib's detection window: a smaller face is found only in an enlarged picture."""

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


class DlibDetector:
    """dlib's HOG face detector and 68-point shape predictor: light, offline, weak on profiles."""

    colour: Literal["rgb", "grey"] = "grey"
    batch = 1

    def __init__(self, *, threshold: float = -0.5) -> None:
        """Load the models.

        Args:
            threshold: detections with a lower score are dropped. dlib's own is 0, which misses dark and turned faces.
        """

        self.threshold = threshold
        self._boxes = dlib.get_frontal_face_detector()
        self._shape = dlib.shape_predictor(str(dlib_model(SHAPE_MODEL)))
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

    side = PATCH / PATCH_MARGIN
    x, y, half = PATCH / 2 + right * side, PATCH / 2 + down * side, side * scale / 2
    return dlib.rectangle(round(x - half), round(y - half), round(x + half) - 1, round(y + half) - 1)


def _facing(landmarks: Float[np.ndarray, "68 2"]) -> float:
    """1 for a face that can be seen whole, falling to 0 for a profile."""
    bridge = landmarks[27:31].mean(0)
    sides = [float(np.linalg.norm(landmarks[jaw].mean(0) - bridge)) for jaw in (slice(0, 3), slice(14, 17))]
    low, high = TURNED_AWAY
    return min(max((min(sides) / max(*sides, 1e-6) - low) / (high - low), 0.0), 1.0)
