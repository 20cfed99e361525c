"""Photos of a person picked from a video."""

from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from talkinghead.errors import UserError
from talkinghead.face.crop import CropWindow, crop_frame, stable_windows, to_crop
from talkinghead.face.detection.choice import make_detector
from talkinghead.face.detection.detector import FaceDetector
from talkinghead.face.landmarks import eye_opening, mouth_opening
from talkinghead.face.track import SURE, FaceTrack, track_faces
from talkinghead.media.video import read_frames
from talkinghead.portrait.data.photos import SMALLEST_FACE, Photos, most_usual, own_side, sha256
from talkinghead.portrait.data.whole_picture import WholePicture, whole_window

MAX_TRACKED = 1500
"""Frames that are looked at: the first minute at 25 a second."""


def video_photos(path: Path, *, count: int, size: int | None = None, detector: FaceDetector | None = None) -> Photos:
    """Frames of a video, as different from each other in pose and expression as it has them.

    The person tracked longest in the first minute is taken.

    Args:
        path: the video.
        count: frames wanted; a short video gives fewer.
        size: side of the crops, pixels; None keeps their own, up to `photos.LARGEST_SIDE`.
        detector: of faces and landmarks; the default one if None.

    Raises:
        UserError: if the video cannot be read or shows no face, or fewer than one frame is wanted.
    """
    if count < 1:
        raise UserError(f"{count} frames of {path} are no photos; take at least 1")
    detector = detector or make_detector()
    colour = "grey" if detector.colour == "grey" else "rgb"
    looked_at = islice(read_frames(path, colour=colour), MAX_TRACKED)  # type: ignore[arg-type]
    tracks = track_faces(looked_at, detector, min_face=SMALLEST_FACE)
    if not tracks:
        raise UserError(f"{path}: no face at least {SMALLEST_FACE} px wide was found; take another video")
    track = max(tracks, key=len)
    windows = [CropWindow(*row) for row in stable_windows(track.landmarks_px).tolist()]
    landmarks = np.stack([to_crop(*pair) for pair in zip(track.landmarks_px, windows, strict=True)]).astype(np.float32)
    chosen = spread_apart(landmarks, count, among=_sure(track))
    main = int(chosen[most_usual(landmarks[chosen])])
    if size is None:
        windows = [whole_window(window) for window in windows]
    side, whole = size or own_side(windows[main]), None
    wanted = {int(track.frame_index[i]): int(i) for i in chosen}
    crops: dict[int, UInt8[np.ndarray, "s s 3"]] = {}
    for index, (_, frame) in enumerate(islice(read_frames(path), max(wanted) + 1)):
        if index in wanted:
            crops[wanted[index]] = crop_frame(frame, windows[wanted[index]], side)
            if size is None and wanted[index] == main:
                whole = WholePicture(frame, windows[main], chosen.tolist().index(main)).fitted()
    names = tuple(f"{Path(path).name} at {track.times[i]:.2f} s" for i in chosen)
    frames = np.stack([crops[int(i)] for i in chosen])
    return Photos(frames, landmarks[chosen], names, (sha256(path),) * len(chosen), whole)


def _sure(track: FaceTrack) -> Int[np.ndarray, " n"]:
    """The frames of a track whose landmarks are surest: those above `SURE`, or the better half where they are few."""
    return np.flatnonzero(track.confidence >= min(SURE, np.median(track.confidence)))


def spread_apart(
    landmarks: Float[np.ndarray, "t 68 2"], count: int, *, among: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " m"]:
    """Indices of frames far from each other in pose and expression, in order of time; the first is the most usual one.

    Args:
        landmarks: fractions of the crop's side.
        count: how many; all of ``among`` if there are fewer.
        among: the indices to choose from.
    """
    shape = landmarks[among].reshape(len(among), -1)
    expression = np.stack([mouth_opening(landmarks[among]), eye_opening(landmarks[among])], 1)
    features = np.concatenate([shape, expression], 1)  # an open mouth moves few points: it counts for itself
    chosen = [int(np.linalg.norm(features - np.median(features, 0), axis=1).argmin())]
    nearest = np.linalg.norm(features - features[chosen[0]], axis=1)
    while len(chosen) < min(count, len(among)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(features - features[chosen[-1]], axis=1))
    return np.sort(among[chosen])
