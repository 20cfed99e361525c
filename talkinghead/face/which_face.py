"""Which of several faces is meant: the largest, the one on the left, one by its number, or one like a picture's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from talkinghead.errors import UserError
from talkinghead.face.crop import crop_frame, to_crop, window_for
from talkinghead.face.detection.detector import Box, FaceDetector, box_around, fit_detected
from talkinghead.face.identity import embed_faces
from talkinghead.face.track import Choose, FaceTrack, track_weight
from talkinghead.media.image import frame_to_tensor, read_image
from talkinghead.media.video import read_frames

SAME_PERSON = 0.6
"""Identity distance up to which two faces are taken for one person's."""
EMBEDDED_SIDE = 256

Embeddings = Float32[np.ndarray, "n 128"]


@dataclass(frozen=True)
class WhichFace:
    """Which of several faces is meant."""

    said: str = "largest"
    """largest, left, right, a number from the left (1 is the first), or a picture of the person."""

    @property
    def needs_identity(self) -> bool:
        """Whether faces are compared with a picture's."""
        return self.said not in ("largest", "left", "right") and not self.said.isdigit()

    def chooser(self, path: Path, max_side: int, detector: FaceDetector) -> Choose:
        """For `follow_face`: the track of a video that is meant, and others of the same person.

        Args:
            path: the video, which is read once more where faces are compared.
            max_side: as it was tracked.
            detector: as it was tracked by.

        Raises:
            UserError: if a picture is meant and is not there.
        """
        if self.needs_identity:
            refuse_absent(Path(self.said))
        return partial(_followed, path, max_side, detector, self)

    def among(
        self, boxes: Sequence[Box], embeddings: Callable[[], Embeddings], detector: FaceDetector, name: str
    ) -> int:
        """Index of the face that is meant.

        Args:
            boxes: of all faces.
            embeddings: their identities, asked for if they are needed.
            detector: finds the face of the picture.
            name: of what shows the faces, for what is said.

        Raises:
            UserError: if there is no such face.
        """
        middles = [(left + right) / 2 for left, _, right, _ in boxes]
        if self.said == "largest":
            return int(np.argmax([right - left for left, _, right, _ in boxes]))
        if self.said in ("left", "right"):
            return int(np.argmin(middles) if self.said == "left" else np.argmax(middles))
        if self.said.isdigit():
            number = int(self.said)
            if not 1 <= number <= len(boxes):
                raise UserError(f"--face is {number}, but {name} shows {len(boxes)}; `talkinghead faces` numbers them.")
            return int(np.argsort(middles, kind="stable")[number - 1])
        wanted = identity_in(Path(self.said), detector)
        apart = np.linalg.norm(embeddings() - wanted, axis=1)
        if apart.min() > SAME_PERSON:
            raise UserError(
                f"{name}: nobody in it looks like {self.said}: the nearest is {apart.min():.2f} away, the limit is "
                f"{SAME_PERSON}; give another picture of the person, or a number (see `talkinghead faces`)."
            )
        return int(apart.argmin())


def identity_in(path: Path, detector: FaceDetector) -> Float32[np.ndarray, " 128"]:
    """Identity of the largest face of a picture.

    Raises:
        UserError: if --face names no picture, or that shows no face.
    """
    refuse_absent(path)
    frame = read_image(path)
    faces = detector.detect(frame)
    if not faces:
        raise UserError(f"{path}: no face was found; --face needs a picture that shows the person from the front.")
    largest = max(faces, key=lambda face: face.box[2] - face.box[0])
    return identities(frame, fit_detected(detector, frame, largest.box)[0][None])[0]


def refuse_absent(path: Path) -> None:
    """Raise UserError if --face names no picture."""
    if not path.is_file():
        raise UserError(f"--face is {path}; give largest, left, right, a number, or a picture of the person.")


def identities(frame: UInt8[np.ndarray, "h w 3"], landmarks_px: Float[np.ndarray, "n 68 2"]) -> Embeddings:
    """Identity embeddings of the faces in a picture."""
    windows = [window_for(points) for points in landmarks_px]
    crops = np.stack([crop_frame(frame, window, EMBEDDED_SIDE) for window in windows])
    points = np.stack([to_crop(one, window) for one, window in zip(landmarks_px, windows, strict=True)])
    with torch.inference_mode():
        found = embed_faces(frame_to_tensor(crops), torch.from_numpy(points.astype(np.float32)))
    embeddings: Embeddings = found.numpy()
    return embeddings


LEAST_SHARE = 0.1
"""Of the largest face's weight: fainter tracks are passers-by and not counted."""


def _followed(
    path: Path, max_side: int, detector: FaceDetector, which: "WhichFace", tracks: list[FaceTrack]
) -> list[FaceTrack]:
    """The track that is meant, and others of the same person."""
    seen = [track for track in tracks if track_weight(track) >= LEAST_SHARE * track_weight(tracks[0])]
    boxes = [box_around(np.median(track.landmarks_px, 0))[0] for track in seen]
    who = cache(lambda: _identities(path, max_side, seen))
    chosen = which.among(boxes, who, detector, str(path))
    if len(seen) == 1:
        return seen
    apart = np.linalg.norm(who() - who()[chosen], axis=1)
    same = [track for track, distance in zip(seen, apart, strict=True) if distance <= SAME_PERSON]
    return [seen[chosen], *(track for track in same if track is not seen[chosen])]


def _identities(path: Path, max_side: int, tracks: list[FaceTrack]) -> Embeddings:
    """Identity of each track, in its surest frame; the video is read once more for them."""
    surest = [int(track.confidence.argmax()) for track in tracks]
    wanted = {int(track.frame_index[best]) for track, best in zip(tracks, surest, strict=True)}
    frames = {}
    for index, (_, frame) in enumerate(read_frames(path, max_side=max_side, threads=2)):
        if index in wanted:
            frames[index] = frame.copy()
        if len(frames) == len(wanted):
            break
    return np.concatenate(
        [
            identities(frames[int(track.frame_index[best])], track.landmarks_px[best : best + 1])
            for track, best in zip(tracks, surest, strict=True)
        ]
    )
