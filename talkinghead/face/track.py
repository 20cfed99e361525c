"""Following faces through a video."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from talkinghead.errors import UserError
from talkinghead.face.detection.detector import Box, Face, FaceDetector, box_around, fit_detected, to_grey
from talkinghead.face.frames import hold_gaps

Frame = UInt8[np.ndarray, "h w *c"]
TimedFrames = Iterable[tuple[float, UInt8[np.ndarray, "h w *c"]]]

SURE = 0.8
"""Below this confidence the detector is asked again."""

LOST = 0.3
"""Below this the landmarks are not followed: they are as likely on an ear or a lamp."""

PATIENCE = 12
"""Frames that a face may stay lost before its track ends."""

COARSE_SIDE = 640
"""Faces are first looked for in a picture this large; at full size only where that finds none."""

ROW = np.dtype([("landmarks", "f4", (68, 2)), ("confidence", "f4"), ("index", "i8"), ("times", "f8")])
"""What a track keeps of a frame."""

ROWS = 1024
"""Frames of a track that lie together in memory. Thousands of small arrays would lie scattered among the pictures that
come and go, and keep their space from being used again."""


@dataclass(frozen=True)
class FaceTrack:
    """One face over time."""

    landmarks_px: Float[np.ndarray, "t 68 2"]
    """Image pixels."""
    confidence: Float[np.ndarray, " t"]
    """0..1: how likely the landmarks are right."""
    frame_index: Int[np.ndarray, " t"]
    """Which of the frames given to the tracker."""
    times: Float[np.ndarray, " t"]
    """Seconds."""

    def __len__(self) -> int:
        return len(self.times)


Choose = Callable[[list[FaceTrack]], list[FaceTrack]]
"""Of tracks, the largest first, those that are followed."""


def track_faces(
    frames: TimedFrames, detector: FaceDetector, *, detect_every: int = 12, min_face: float = 64, max_frames: int = 1000
) -> list[FaceTrack]:
    """All faces of a video, each followed until it leaves, the scene changes, or `max_frames` are reached.

    Args:
        frames: (seconds, frame) in order.
        detector: finds and fits.
        detect_every: frames between two searches for new faces.
        min_face: pixels; narrower faces are not looked for.
        max_frames: a longer track is cut there, so that a sample has a bounded size.
    """
    tracker = _Tracker(detector, detect_every=detect_every, min_face=min_face, max_frames=max_frames)
    for block in _blocks(frames, detector.batch):
        tracker.advance(block)
    tracker.close_all()
    return sorted(tracker.finished, key=lambda track: (track.frame_index[0], track.landmarks_px[0, 0, 0]))


def follow_face(
    frames: TimedFrames,
    detector: FaceDetector,
    *,
    detect_every: int = 12,
    min_face: float = 64,
    name: str = "the video",
    choose: Choose | None = None,
) -> FaceTrack:
    """The main face of a video at every frame, with confidence 0 and the last landmarks where it is not seen.

    The main face is the one seen longest and largest; before it comes and after it goes, the next one that does not
    share a frame with it takes its place, and so on.

    Args:
        frames: (seconds, frame) in order.
        detector: finds and fits.
        detect_every: frames between two searches for new faces.
        min_face: pixels; narrower faces are not looked for.
        name: of the video, for what is said.
        choose: which tracks are followed, of all, those first that count most; None takes the largest.

    Raises:
        UserError: if there is no face in any frame, or `choose` does not find the one that is meant.
    """
    times: list[float] = []

    def counted() -> Iterator[tuple[float, Frame]]:
        for seconds, frame in frames:
            times.append(seconds)
            yield seconds, frame

    tracks = track_faces(counted(), detector, detect_every=detect_every, min_face=min_face, max_frames=10**9)
    if not tracks:
        raise UserError(f"{name}: no face was found in its {len(times)} frames; give a video that shows one.")
    landmarks = np.zeros((len(times), 68, 2), np.float32)
    confidence = np.zeros(len(times), np.float32)
    taken = np.zeros(len(times), bool)
    order = sorted(tracks, key=lambda track: -track_weight(track))
    for track in order if choose is None else choose(order):
        span = slice(int(track.frame_index[0]), int(track.frame_index[-1]) + 1)
        if taken[span].any():
            continue
        taken[span] = True
        for index, points, sure in zip(track.frame_index, track.landmarks_px, track.confidence, strict=True):
            if sure >= LOST:
                landmarks[index], confidence[index] = points, sure
    hold_gaps(landmarks, confidence > 0)
    return FaceTrack(landmarks, confidence, np.arange(len(times)), np.array(times, np.float64))


def track_weight(track: FaceTrack) -> float:
    """How much of a video a face fills: its width and confidence, summed over frames."""
    extent = track.landmarks_px.max(1) - track.landmarks_px.min(1)
    return float((track.confidence * extent.max(1)).sum())


@dataclass(frozen=True)
class _Block:
    """Consecutive frames of one scene."""

    start: int
    times: list[float]
    frames: list[Frame]
    cut: bool
    """The scene changed before it."""


def _blocks(frames: TimedFrames, size: int) -> Iterator[_Block]:
    scenes = SceneCuts()
    block: _Block | None = None
    for index, (seconds, frame) in enumerate(frames):
        cut = scenes.is_cut(frame)
        if block is not None and (cut or len(block.frames) == size):
            yield block
            block = None
        if block is None:
            block = _Block(index, [], [], cut)
        block.times.append(seconds)
        block.frames.append(frame)
    if block is not None:
        yield block


class SceneCuts:
    """Tells where one shot ends and another begins: the brightness histogram and the layout both change.

    A hand before the lens changes the layout alone, a flash or the light of a screen the histogram alone.
    """

    histogram_change = 0.18
    layout_change = 0.4

    def __init__(self) -> None:
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def is_cut(self, frame: Frame) -> bool:
        """Whether this frame begins a new shot. To be called on every frame in order."""
        thumbnail = cv2.resize(to_grey(frame), (64, 64), interpolation=cv2.INTER_AREA)
        histogram = np.bincount(thumbnail.reshape(-1) >> 4, minlength=16) / thumbnail.size
        layout = cv2.resize(thumbnail, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32).reshape(-1)
        layout = layout - layout.mean()
        before, self._last = self._last, (histogram, layout)
        if before is None:
            return False
        change = float(np.abs(histogram - before[0]).sum() / 2)
        if change <= self.histogram_change:
            return False
        likeness = float(layout @ before[1] / max(np.linalg.norm(layout) * np.linalg.norm(before[1]), 1e-6))
        return 1 - likeness > self.layout_change


@dataclass
class _Open:
    """A track that still grows."""

    anchor: Float[np.ndarray, "68 2"]
    """The last landmarks that were worth following."""
    rows: list[np.ndarray] = field(default_factory=list)
    """Blocks of `ROWS` rows."""
    length: int = 0
    """Frames so far."""
    lost: int = 0
    """Frames since the anchor."""

    def add(self, landmarks: Float[np.ndarray, "68 2"], confidence: float, index: int, seconds: float) -> None:
        block, row = divmod(self.length, ROWS)
        if block == len(self.rows):
            self.rows.append(np.empty(ROWS, ROW))
        self.rows[block][row] = landmarks, confidence, index, seconds
        self.length += 1
        self.lost += 1
        if confidence >= LOST:
            self.anchor, self.lost = landmarks, 0

    def close(self) -> FaceTrack | None:
        """The track up to the anchor. To be called once: the blocks go as they are copied."""
        end = self.length - self.lost
        if end <= 0:
            return None
        landmarks, confidence = np.empty((end, 68, 2), np.float32), np.empty(end, np.float32)
        index, times = np.empty(end, np.int64), np.empty(end, np.float64)
        for start in range(0, end, ROWS):
            rows, span = self.rows.pop(0)[: end - start], slice(start, min(start + ROWS, end))
            landmarks[span], confidence[span] = rows["landmarks"], rows["confidence"]
            index[span], times[span] = rows["index"], rows["times"]
        return FaceTrack(landmarks, confidence, index, times)


class _Tracker:
    """The faces being followed."""

    def __init__(self, detector: FaceDetector, *, detect_every: int, min_face: float, max_frames: int) -> None:
        self.detector = detector
        self.detect_every = detect_every
        self.min_face = min_face
        self.max_frames = max_frames
        self.open: list[_Open] = []
        self.finished: list[FaceTrack] = []
        self._since_search = detect_every

    def advance(self, block: _Block) -> None:
        """Follow every face through a block, look for new ones when it is time, end the tracks that lost theirs."""
        if block.cut:
            self.close_all()
            self._since_search = self.detect_every
        self._since_search += len(block.frames)
        faces: list[Face] = []
        if self._since_search >= (self.detect_every if self.open else self.detect_every / 4):
            faces = self._search(block.frames[-1])
            self._since_search = 0
        for track in self.open:
            self._follow(track, block, faces)
        self._end_tracks()
        for face in faces:
            self._start(face, block)

    def close_all(self) -> None:
        """End all tracks."""
        self.finished += [closed for track in self.open if (closed := track.close())]
        self.open = []

    def _search(self, frame: Frame) -> list[Face]:
        coarse = max(self.min_face, self.min_face * max(frame.shape[:2]) / COARSE_SIDE)
        faces = self.detector.detect(frame, min_face=coarse)
        if not faces and not self.open and coarse > self.min_face:
            faces = self.detector.detect(frame, min_face=self.min_face)
        return faces

    def _follow(self, track: _Open, block: _Block, faces: list[Face]) -> None:
        box, roll = box_around(track.anchor)
        near = [face.box for face in faces if overlap(face.box, box) > 0.3]
        size = len(block.frames)
        ends = near[0] if near and size > 1 else box
        boxes = [_between(box, ends, (j + 1) / size) for j in range(size)]
        landmarks, confidence = self.detector.fit(block.frames, boxes, [roll] * size)
        for j, frame in enumerate(block.frames):
            found, sure = landmarks[j], float(confidence[j])
            if sure < SURE:
                found, sure = max([(found, sure), *self._look_again(frame, boxes[j])], key=lambda answer: answer[1])
            track.add(found, sure, block.start + j, block.times[j])

    def _look_again(self, frame: Frame, box: Box) -> list[tuple[Float[np.ndarray, "68 2"], float]]:
        """Answers from a detection in the neighbourhood of a box."""
        side = box[2] - box[0]
        height, width = frame.shape[:2]
        left, right = (min(max(int(edge), 0), width) for edge in (box[0] - 0.6 * side, box[2] + 0.6 * side))
        top, bottom = (min(max(int(edge), 0), height) for edge in (box[1] - 0.6 * side, box[3] + 0.6 * side))
        if right - left < side / 2 or bottom - top < side / 2:
            return []
        faces = self.detector.detect(np.ascontiguousarray(frame[top:bottom, left:right]), min_face=0.6 * side)
        return [fit_detected(self.detector, frame, _shifted(face.box, left, top)) for face in faces[:1]]

    def _end_tracks(self) -> None:
        """Close tracks that lost their face, that follow the same face as an older one, or that are long enough."""
        kept: list[_Open] = []
        for track in self.open:
            box = box_around(track.anchor)[0]
            double = any(overlap(box, box_around(other.anchor)[0]) > 0.5 for other in kept)
            if track.lost > PATIENCE or double or track.length >= self.max_frames:
                self.finished += [closed] if (closed := track.close()) else []
                if track.lost == 0 and not double:
                    kept.append(_Open(track.anchor))
            else:
                kept.append(track)
        self.open = kept

    def _start(self, face: Face, block: _Block) -> None:
        if any(overlap(face.box, box_around(track.anchor)[0]) > 0.1 for track in self.open):
            return
        landmarks, confidence = fit_detected(self.detector, block.frames[-1], face.box)
        if confidence < SURE:
            return
        track = _Open(landmarks)
        if len(block.frames) > 1:
            self._follow(track, block, [])
        else:
            track.add(landmarks, confidence, block.start, block.times[-1])
        self.open.append(track)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _between(a: Box, b: Box, part: float) -> Box:
    left, top, right, bottom = (x + (y - x) * part for x, y in zip(a, b, strict=True))
    return left, top, right, bottom


def _shifted(box: Box, right: float, down: float) -> Box:
    return box[0] + right, box[1] + down, box[2] + right, box[3] + down
