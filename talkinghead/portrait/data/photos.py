"""A few photos of one person: found, checked, cropped as the training frames are, with landmarks."""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8

from talkinghead.errors import UserError
from talkinghead.face.crop import CropWindow, crop_frame, to_crop, window_for
from talkinghead.face.detection.choice import make_detector
from talkinghead.face.detection.detector import Face, FaceDetector, fit_detected
from talkinghead.face.identity import embed_faces
from talkinghead.face.which_face import WhichFace, identities
from talkinghead.media.files import say_left_out
from talkinghead.media.image import IMAGE_SUFFIXES, frame_to_tensor, read_image, resize
from talkinghead.portrait.data.whole_picture import WholePicture, whole_window
from talkinghead.portrait.warping.source_photos import source_distances

SUFFIXES = IMAGE_SUFFIXES
"""Files of a folder that count as photos."""

STRANGER_DISTANCE = 0.6
"""A photo further than this from half of the others shows somebody else.

On 55 press photos of 10 people this refuses none of the person's own photos and lets 0.6 % of strangers pass.
"""

STRANGER_OF_TWO = 0.66
"""The limit for two photos alone, where no third one tells which is right.

Of the same press photos' 137 pairs of one person the furthest lie .60 apart: .60 refuses 0.7 % of them and lets 0.5 %
of 1348 pairs of strangers pass, .66 none and 1.3 %. In between it is said.
"""

SMALLEST_FACE = 64
"""Pixels; a smaller face has nothing to teach."""

LARGEST_SIDE = 768
"""Pixels of a crop that keeps its own size, at most."""

SECOND_FACE = 0.4
"""A face this wide against the main one counts as a second person; a smaller one is background."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Allow:
    """What is let pass although it looks like a mistake."""

    no_face: bool = False
    """Photos without a face are left out."""
    several_faces: bool = False
    """Of several people in a photo the largest face is taken."""
    strangers: bool = False
    """The photos may look like different people."""


@dataclass(frozen=True)
class Photos:
    """Crops of one person and their landmarks."""

    frames: UInt8[np.ndarray, "t s s 3"]
    landmarks: Float[np.ndarray, "t 68 2"]
    """Fractions of the crop's side."""
    names: tuple[str, ...]
    """File name of each photo; of a video's frame also the second."""
    sha256: tuple[str, ...]
    """Of the files."""
    whole: WholePicture | None = None
    """The picture that the most usual of the photos was cut from, where photos keep their own size."""

    def __post_init__(self) -> None:
        if not len(self.frames) == len(self.landmarks) == len(self.names) == len(self.sha256) > 0:
            raise ValueError(f"{len(self.frames)} frames, {len(self.landmarks)} landmarks, {len(self.names)} names")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def side(self) -> int:
        """Side of the crops, pixels."""
        return int(self.frames.shape[1])

    def at(self, size: int) -> "Photos":
        """The same photos at another size."""
        if size == self.side:
            return self
        return replace(self, frames=np.stack([resize(frame, size) for frame in self.frames]))

    def select(self, indices: Iterable[int]) -> "Photos":
        """Some of the photos."""
        chosen = list(indices)
        names, hashes = (tuple(values[i] for i in chosen) for values in (self.names, self.sha256))
        whole = None
        if self.whole is not None and self.whole.photo in chosen:
            whole = replace(self.whole, photo=chosen.index(self.whole.photo))
        return Photos(self.frames[chosen], self.landmarks[chosen], names, hashes, whole)

    def joined(self, other: "Photos") -> "Photos":
        """These photos and others, at these ones' size."""
        return Photos(
            np.concatenate([self.frames, other.at(self.side).frames]),
            np.concatenate([self.landmarks, other.landmarks]),
            self.names + other.names,
            self.sha256 + other.sha256,
            self.whole,
        )


def photo_files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves and the photos directly in the folders, sorted by name.

    Raises:
        UserError: if a path does not exist or a folder holds no photo.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            shown = sorted(file for file in path.iterdir() if not file.name.startswith("."))
            inside = [file for file in shown if file.suffix.lower() in SUFFIXES and file.is_file()]
            if not inside:
                raise UserError(f"{path}: the folder holds no photo ({', '.join(sorted(SUFFIXES))})")
            say_left_out(path, [file.name for file in shown if file not in inside], "no photos by their names")
            files += inside
        elif path.exists() or path.is_symlink():
            files.append(path)
        else:
            raise UserError(f"{path} does not exist; give photos or a folder of photos")
    return files


def read_photos(
    paths: Sequence[Path],
    *,
    size: int | None = None,
    detector: FaceDetector | None = None,
    face: str | None = None,
    allow: Allow | None = None,
) -> Photos:
    """Photos of one person from files and folders.

    Args:
        paths: photos and folders of photos.
        size: side of the crops, pixels; None keeps the most usual one's own for all, up to `LARGEST_SIDE`,
            and its whole picture.
        detector: of faces and landmarks; the default one if None.
        face: whose, in photos of several people: largest, left, right, a number from the left, or a picture.
        allow: what is let pass; None lets nothing pass, and complaints speak of this argument, not of options.

    Raises:
        UserError: naming every photo that cannot be read, shows no face, several faces or somebody else.
    """
    detector = detector or make_detector()
    cuts, landmarks, taken, complaints = [], [], [], []
    for path in photo_files(paths):
        try:
            frame = read_image(path)
            faces = detector.detect(frame, min_face=_face_floor(frame))
            if face is not None and len(faces) > 1:
                faces = [faces[_meant(face, frame, faces, detector, path)]]
            shown = main_face(faces, path, allow=allow)
        except UserError as complaint:
            complaints.append(str(complaint))
            continue
        if shown is None:
            _log.warning("%s is left out: no face was found", path)
            continue
        points, _ = fit_detected(detector, frame, shown.box)
        window = window_for(points) if size else whole_window(window_for(points))
        cuts.append((crop_frame(frame, window, size or own_side(window)), window))
        landmarks.append(to_crop(points, window).astype(np.float32))
        taken.append(path)
    if complaints:
        raise UserError("; ".join(complaints))
    if not cuts:
        raise UserError("no photo shows a face; give at least one that shows the person from the front")
    names, hashes = tuple(path.name for path in taken), tuple(map(sha256, taken))
    main = most_usual(np.stack(landmarks))
    crops = np.stack([resize(crop, len(cuts[main][0])) for crop, _ in cuts])
    whole = None if size else WholePicture(read_image(taken[main]), cuts[main][1], main).fitted()
    photos = Photos(crops, np.stack(landmarks), names, hashes, whole)
    if allow is None or not allow.strangers:
        refuse_strangers(photos, taken, allow=allow)
    return photos


def _meant(
    said: str, frame: UInt8[np.ndarray, "h w 3"], faces: Sequence[Face], detector: FaceDetector, path: Path
) -> int:
    """Index of the face that is meant."""

    def who() -> Float32[np.ndarray, "n 128"]:
        return identities(frame, np.stack([fit_detected(detector, frame, one.box)[0] for one in faces]))

    return WhichFace(said).among([one.box for one in faces], who, detector, str(path))


def most_usual(landmarks: Float[np.ndarray, "t 68 2"]) -> int:
    """Index of the photo whose pose and expression are nearest to all others'."""
    return int(np.mean([source_distances(one, landmarks) for one in landmarks], 0).argmin())


def own_side(window: CropWindow) -> int:
    """Pixels that a window of a picture holds, across, up to `LARGEST_SIDE`."""
    return int(np.clip(round(window.side), SMALLEST_FACE, LARGEST_SIDE))


def _face_floor(frame: UInt8[np.ndarray, "h w 3"]) -> float:
    """The smallest face looked for: a tenth of a large photo, so that 40 megapixels do not take a minute."""
    return max(SMALLEST_FACE, min(frame.shape[:2]) / 10)


def main_face(faces: Sequence[Face], path: Path, *, allow: Allow | None = None) -> Face | None:
    """The face a photo is of; None where it shows none and that is allowed.

    Raises:
        UserError: if there is no face, or more than one person, and that is not allowed.
    """
    if not faces:
        if allow is not None and allow.no_face:
            return None
        raise UserError(
            f"{path}: no face was found (it must be at least {SMALLEST_FACE} px and a tenth of the photo wide, "
            "and turned to the camera; paintings and profiles often escape the detector); "
            + _advice("take another or leave it out", allow, "--allow-no-face")
        )
    largest = max(faces, key=lambda face: _width(face) * (face.score > 0))
    people = [face for face in faces if face.score > 0 and _width(face) >= SECOND_FACE * _width(largest)]
    if len(people) > 1 and (allow is None or not allow.several_faces):
        advice = _advice("crop it to one person", allow, "--allow-several-faces to take the largest")
        raise UserError(f"{path}: {len(people)} faces were found; {advice}")
    return largest


def _advice(first: str, allow: Allow | None, option: str) -> str:
    """What to do about a photo: fine-tune's option, or the argument of Python's functions."""
    if allow is not None:
        return f"{first}, or give {option}"
    name = option.split()[0].removeprefix("--allow-").replace("-", "_")
    return f"{first}, or give allow=Allow({name}=True)"


def _width(face: Face) -> float:
    return face.box[2] - face.box[0]


def stranger_distances(photos: Photos) -> Float[np.ndarray, " t"]:
    """Lower median distance of each photo's identity embedding to the other photos'; 0 for a single photo."""
    if len(photos) == 1:
        return np.zeros(1)
    frames = frame_to_tensor(photos.frames)
    with torch.inference_mode():
        embeddings = embed_faces(frames, torch.from_numpy(photos.landmarks)).double().numpy()
    apart = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=-1)
    # Column 0 of each sorted row is the photo itself. The lower median: of three photos, one stranger spoils no other.
    return np.sort(apart, 1)[:, 1 + (len(photos) - 2) // 2]


def refuse_strangers(photos: Photos, labels: Sequence[object] | None = None, *, allow: Allow | None = None) -> None:
    """Check that the photos show one person.

    Args:
        photos: to check.
        labels: what to call each photo; its name if None.
        allow: what else is let pass; None where nothing can be.

    Raises:
        UserError: naming the photos that show somebody else.
    """
    distances = stranger_distances(photos)
    limit = STRANGER_OF_TWO if len(photos) == 2 else STRANGER_DISTANCE
    named = [f"{(labels or photos.names)[i]} ({distance:.2f})" for i, distance in enumerate(distances.tolist())]
    strange = [name for name, distance in zip(named, distances, strict=True) if distance > limit]
    if strange:
        who = "somebody else is in" if len(strange) < len(photos) else "the photos look like different people"
        what = f"{who}: {', '.join(strange)}, an identity distance above {limit} to the others"
        if len(photos) == 2:
            first = "if they show one person, a third photo decides which to leave out"
            raise UserError(f"{what}; {_advice(first, allow, '--allow-strangers')}; else give one of them alone")
        raise UserError(f"{what}; {_advice('leave such photos out', allow, '--allow-strangers')}")
    if distances.max() > STRANGER_DISTANCE:
        _log.warning("the two photos differ as two people may: %s; look whether they show one", ", ".join(named))


def sha256(path: Path) -> str:
    """Fingerprint of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
