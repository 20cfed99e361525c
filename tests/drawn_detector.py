"""A detector for drawn people: it knows the frames it was made with, and finds no face in any other."""

from collections.abc import Sequence

import cv2
import numpy as np

from talkinghead.face.detection.detector import Box, Face, box_around


class DrawnDetector:
    """Finds what was drawn: landmarks as fractions of the side, by the frames' looks."""

    colour = "rgb"
    batch = 1

    def __init__(self, frames: np.ndarray, landmarks: np.ndarray):
        self.frames, self.known = frames.astype(np.float32), landmarks

    def _points(self, frame: np.ndarray) -> np.ndarray | None:
        side = self.frames.shape[1]
        apart = np.abs(self.frames - cv2.resize(frame, (side, side), interpolation=cv2.INTER_CUBIC)).mean((1, 2, 3))
        return self.known[apart.argmin()] * frame.shape[0] - 0.5 if apart.min() < 30 else None

    def detect(self, frame: np.ndarray, *, min_face: float = 64) -> list[Face]:
        points = self._points(frame)
        return [] if points is None else [Face(box_around(points)[0], 1.0)]

    def fit(
        self, frames: Sequence[np.ndarray], boxes: Sequence[Box], rolls: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.stack([self.landmarks(*pair) for pair in zip(frames, boxes, strict=True)]), np.ones(len(frames))

    def landmarks(self, frame: np.ndarray, box: Box) -> np.ndarray:
        points = self._points(frame)
        assert points is not None
        return points.astype(np.float32)
