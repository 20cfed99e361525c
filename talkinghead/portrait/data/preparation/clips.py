"""One clip of a collection: who it shows, and its faces as tracks on disk."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from talkinghead.errors import DiskFullError, UserError
from talkinghead.face.detection.detector import FaceDetector
from talkinghead.face.frames import evenly_spread
from talkinghead.face.track import track_faces
from talkinghead.media.files import said_when_full
from talkinghead.media.video import probe, read_frames
from talkinghead.portrait.data.preparation.cropping import (
    STRIP,
    THUMB,
    ChosenTrack,
    choose_track,
    part_path,
    split_zooms,
    store_tracks,
)
from talkinghead.portrait.data.preparation.people import name_people
from talkinghead.portrait.data.preparation.settings import Clip, PrepareSettings

log = logging.getLogger(__name__)


FAILED = "failed:"
"""How a reason begins that is the machine's (memory, a fault), not the video's: such a clip is tried again."""


@dataclass
class ClipRecord:
    """What became of a clip: a line of the report."""

    video: str
    identity: str
    fate: str = "rejected"
    """"kept" or "rejected"."""
    why: str = ""
    """The reason for a rejection."""
    seconds: float = 0.0
    """Length of the video, as far as it could be read."""
    frames_read: int = 0
    """Frames looked at."""
    faces: int = 0
    """Tracks found."""
    tracks_kept: int = 0
    people: list[str] = field(default_factory=list)
    """Identity of each track kept: a second person's has a number."""
    frames_kept: int = 0
    cpu_seconds: float = 0.0
    """Processor time spent on it."""
    tracks: list[dict[str, Any]] = field(default_factory=list)
    """Of each track: start and end in seconds, frames, sure frames, face in pixels, fate."""


def process_clip(
    clip: Clip, settings: PrepareSettings, detector: FaceDetector, stem: Path
) -> tuple[ClipRecord, UInt8[np.ndarray, "h w 3"]]:
    """Find, follow, crop and store the faces of one clip. Never raises for a bad file: the record says what is wrong.

    Args:
        clip: the video.
        settings: sizes and thresholds.
        detector: finds and fits; made once for many clips.
        stem: tracks are written to `STEM.0.safetensors`, `STEM.1.safetensors` ...

    Returns:
        The record, and a strip of pictures for the contact sheet.
    """
    record = ClipRecord(clip.video, clip.identity)
    strip = np.full((THUMB, THUMB * STRIP, 3), 96, np.uint8)
    began = time.process_time()
    try:
        with said_when_full(stem.parent.parent):
            _process(clip, settings, detector, stem=stem, record=record, strip=strip)
    except DiskFullError:
        raise
    except UserError as error:
        record.why = str(error).removeprefix(f"{clip.path}: ").rstrip(".")
    except (ValueError, ArithmeticError, MemoryError, OSError, RuntimeError, cv2.error) as error:
        log.warning("%s could not be processed", clip.video, exc_info=True)
        record.why = f"{FAILED} {type(error).__name__}: {error}"
    record.fate = "rejected" if record.why else "kept"
    if record.why:
        record.tracks_kept, record.frames_kept, record.people = 0, 0, []
    record.cpu_seconds = round(time.process_time() - began, 3)
    return record, strip


def _process(
    clip: Clip,
    settings: PrepareSettings,
    detector: FaceDetector,
    *,
    stem: Path,
    record: ClipRecord,
    strip: UInt8[np.ndarray, "h w 3"],
) -> None:
    info = probe(clip.path)
    fps = min(info.fps, settings.fps)
    frame_size = (info.height, info.width)

    def counted() -> Iterator[tuple[float, UInt8[np.ndarray, "h w *c"]]]:
        for seconds, frame in read_frames(clip.path, fps=fps, colour=detector.colour, repeat=False):
            record.frames_read += 1
            record.seconds = round(seconds + float(1 / fps), 3)
            yield seconds, frame

    tracks = track_faces(
        counted(),
        detector,
        detect_every=settings.detect_every,
        min_face=settings.min_face,
        max_frames=settings.max_frames,
    )
    record.faces = len(tracks)
    chosen: list[ChosenTrack] = []
    for track in tracks:
        for part in split_zooms(track):
            about, candidate = choose_track(part, settings, frame_size)
            record.tracks.append(about)
            if candidate is not None:
                chosen.append(candidate)
    if record.frames_read < 2:
        record.why = "it has only 1 frame"
    elif not tracks:
        record.why = _why_no_face(clip.path, detector, fps=fps, min_face=settings.min_face)
    elif not chosen:
        record.why = _most_telling(record.tracks)
    if record.why:
        _show_frames(clip.path, record.frames_read, fps, strip)
        return
    store_tracks(clip, settings, chosen, fps=fps, stem=stem, strip=strip)
    record.tracks_kept = len(chosen)
    record.people = name_people(clip.identity, [part_path(stem, number) for number in range(len(chosen))])
    record.frames_kept = sum(len(one.kept) for one in chosen)


def _most_telling(tracks: list[dict[str, Any]]) -> str:
    """Why no track was kept: the reason of the longest."""
    return str(max(tracks, key=lambda about: about["frames"])["fate"])


def _why_no_face(path: Path, detector: FaceDetector, *, fps: Fraction, min_face: float) -> str:
    """Tell a video with faces that are too small from one without."""
    largest = 0.0
    for _, frame in read_frames(path, fps=min(fps, Fraction(1)), max_side=960, colour=detector.colour, repeat=False):
        for face in detector.detect(frame, min_face=32):
            largest = max(largest, face.box[2] - face.box[0]) if face.score > 0 else largest
    return f"faces are under {min_face:.0f} px" if largest else "no face was found"


def _show_frames(path: Path, frames: int, fps: Fraction, strip: UInt8[np.ndarray, "h w 3"]) -> None:
    """Fill the strip of a rejected clip with whole frames."""
    shown = evenly_spread(frames, STRIP, repeat=True).tolist()
    for index, (_, frame) in enumerate(read_frames(path, fps=fps, max_side=THUMB, repeat=False)):
        for place in (place for place, when in enumerate(shown) if when == index):
            top, left = ((THUMB - side) // 2 for side in frame.shape[:2])
            cell = strip[:, place * THUMB : (place + 1) * THUMB]
            cell[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
        if index >= shown[-1]:
            return
