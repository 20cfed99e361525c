"""Following faces through a video."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from talkinghead.face.detect import Box, FaceDetector, to_grey

BOX_PER_SPREAD = 2.80
"""Side of a detector's box over the root-mean-square distance of the landmarks from their mean (median of 572 faces)."""

BOX_LIFT = 0.135
"""How far a box's centre lies above the landmarks' mean, in the same unit."""

JITTERS = ((0.0, 0.0, 1.0), (0.04, 0.03, 1.05), (-0.04, -0.03, 0.95))
"""Boxes tried for one face: shift right, shift down, scale. Their answers are averaged; how far they differ says how sure they are."""


@dataclass(frozen=True)
class FaceTrack:
    """One face over time."""

    landmarks_px: Float[np.ndarray, "t 68 2"]
    """Image pixels."""
    confidence: Float[np.ndarray, " t"]
    """0..1."""
    frame_index: Int[np.ndarray, " t"]
    """Which of the frames given to the tracker."""
    times: Float[np.ndarray, " t"]
    """Seconds."""


@dataclass
class _Open:
    """A track that still grows."""

    landmarks: list[Float[np.ndarray, "68 2"]] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    index: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    score: float = 0.0
    missed: int = 0

    def add(self, landmarks: Float[np.ndarray, "68 2"], confidence: float, index: int, seconds: float) -> None:
        self.landmarks.append(landmarks)
        self.confidence.append(confidence)
        self.index.append(index)
        self.times.append(seconds)

    def close(self) -> FaceTrack:
        return FaceTrack(
            np.stack(self.landmarks).astype(np.float32),
            np.array(self.confidence, np.float32),
            np.array(self.index, np.int64),
            np.array(self.times, np.float64),
        )


def track_faces(
    frames: Iterable[tuple[float, UInt8[np.ndarray, "h w *c"]]],
    detector: FaceDetector,
    *,
    detect_every: int = 5,
    min_face: float = 64,
    max_frames: int = 1000,
) -> Iterator[FaceTrack]:
    """Tracks of all faces, each given when it ends."""
    open_tracks: list[_Open] = []
    previous = None
    since = detect_every
    for index, (seconds, frame) in enumerate(frames):
        grey = to_grey(frame)
        small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
        if previous is not None and np.abs(small - previous).mean() > 25:
            yield from (track.close() for track in open_tracks)
            open_tracks, since = [], detect_every
        previous = small
        since += 1
        due = since >= detect_every or not open_tracks
        faces = []
        if due:
            faces = detector.detect(frame, min_face=min_face)
            since = 0
        for track in list(open_tracks):
            landmarks, spread = refine(detector, frame, *seed_box(track.landmarks[-1]))
            box = seed_box(landmarks)[0]
            if due:
                match = max(faces, key=lambda face: overlap(face.box, box), default=None)  # noqa: B023
                if match is not None and overlap(match.box, box) > 0.3:
                    faces = [face for face in faces if overlap(face.box, match.box) < 0.2]
                    track.score, track.missed = match.score, 0
                else:
                    track.missed += 1
                    track.score = -0.5
            jump = np.abs(landmarks.mean(0) - track.landmarks[-1].mean(0)).max() / (box[2] - box[0])
            if spread > 0.08 or track.missed > 1 or jump > 0.3 or len(track.index) >= max_frames:
                open_tracks.remove(track)
                yield track.close()
                continue
            track.add(landmarks, confidence_of(track.score, spread), index, seconds)
        for face in faces:
            if face.score < 0 or any(overlap(face.box, seed_box(t.landmarks[-1])[0]) > 0.1 for t in open_tracks):
                continue
            landmarks, spread = refine(detector, frame, face.box, 0.0)
            track = _Open(score=face.score)
            track.add(landmarks, confidence_of(face.score, spread), index, seconds)
            open_tracks.append(track)
    yield from (track.close() for track in open_tracks)


def refine(
    detector: FaceDetector, frame: UInt8[np.ndarray, "h w *c"], box: Box, roll: float
) -> tuple[Float[np.ndarray, "68 2"], float]:
    """Landmarks averaged over a few boxes, and how far those differ, as a fraction of the box's side."""
    side = box[2] - box[0]
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    answers = []
    for right, down, scale in JITTERS:
        cx, cy, half = x + right * side, y + down * side, side * scale / 2
        answers.append(detector.landmarks(frame, (cx - half, cy - half, cx + half, cy + half), roll=roll))
    stack = np.stack(answers)
    return stack.mean(0), float(stack.std(0).mean() / side)


def confidence_of(score: float, spread: float) -> float:
    """0..1 from a detector's score and the landmarks' spread."""
    return float(np.clip((score + 0.5) / 1.0, 0, 1) * np.clip(1.5 - spread / 0.02, 0, 1))


def seed_box(landmarks_px: Float[np.ndarray, "68 2"]) -> tuple[Box, float]:
    """The box that a detector would give the face with these landmarks, and the face's lean in radians."""
    left_eye, right_eye = landmarks_px[36:42].mean(0), landmarks_px[42:48].mean(0)
    across = right_eye - left_eye
    roll = float(np.arctan2(across[1], across[0]))
    mean = landmarks_px.mean(0)
    spread = float(np.sqrt(((landmarks_px - mean) ** 2).sum(1).mean()))
    up = np.array([np.sin(roll), -np.cos(roll)])
    x, y = (mean + BOX_LIFT * spread * up).tolist()
    half = BOX_PER_SPREAD * spread / 2
    return (x - half, y - half, x + half, y + half), roll


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
