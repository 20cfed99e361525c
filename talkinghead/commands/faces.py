"""faces: the faces in a picture or video, numbered."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from talkinghead.commands.options import Tracking, Verb
from talkinghead.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from talkinghead.face.detection.detector import Face, FaceDetector

log = logging.getLogger(__name__)

EXAMPLES = """
talkinghead faces party.jpg                        (party.faces.png, and a line for each face)
talkinghead faces interview.mp4 -o who.png         (of a video: the frame that shows most of them)
"""
LOOKED_AT = 24
"""Frames of a video, evenly spread."""


@dataclass(frozen=True, kw_only=True)
class Options(Tracking):
    """Number the faces in a picture or video from the left, as --face takes them, in a picture beside it."""

    file: Path
    """A picture or a video."""
    output: Path | None = None
    """The picture to write; FILE.faces.png if not given."""
    overwrite: bool = False
    """Replace a picture that exists."""


VERB = Verb("faces", Options, positional=("file",), examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    faces(*VERB.parse(argv))


def faces(options: Options) -> None:
    """Find, number, draw.

    Raises:
        UserError: if the file cannot be read or shows no face.
    """
    from talkinghead.face.detection.choice import make_detector
    from talkinghead.media.files import refuse_existing
    from talkinghead.media.image import write_image

    output = options.output or options.file.with_name(options.file.stem + ".faces.png")
    refuse_existing(output, overwrite=options.overwrite, file=True)
    frame, found = most_faces(options.file, make_detector(options.detector, options.place))
    if not found:
        raise UserError(f"{options.file}: no face was found; see talkinghead faces --help for other detectors.")
    found.sort(key=lambda face: face.box[0] + face.box[2])
    for number, face in enumerate(found, 1):
        log.info("%d: %.0f px wide, its middle at %.0f, %.0f", number, width(face), *middle(face))
    write_image(output, numbered(frame, found), overwrite=options.overwrite)
    log.info("%s shows them", output)


def most_faces(path: Path, detector: "FaceDetector") -> "tuple[np.ndarray, list[Face]]":
    """A picture and its faces; of a video, the frame that shows most."""
    from talkinghead.face.frames import evenly_spread
    from talkinghead.media.collection import VIDEO_SUFFIXES
    from talkinghead.media.image import IMAGE_SUFFIXES, read_image
    from talkinghead.media.video import probe, read_frames

    if path.suffix.lower() in IMAGE_SUFFIXES - VIDEO_SUFFIXES:
        frame = read_image(path)
        return frame, detector.detect(frame)
    wanted = set(evenly_spread(probe(path).frames or 1, LOOKED_AT).tolist())
    best: tuple[np.ndarray, list[Face]] | None = None
    for index, (_, frame) in enumerate(read_frames(path)):
        if index in wanted:
            found = detector.detect(frame)
            if best is None or len(found) > len(best[1]):
                best = frame.copy(), found
    if best is None:
        raise UserError(f"{path}: there is no frame in it.")
    return best


def numbered(frame: "np.ndarray", found: "list[Face]") -> "np.ndarray":
    """The picture with a box and a number at each face."""
    import cv2

    picture, thick = frame.copy(), max(2, min(frame.shape[:2]) // 200)
    for number, face in enumerate(found, 1):
        left, top, right, bottom = (round(edge) for edge in face.box)
        cv2.rectangle(picture, (left, top), (right, bottom), (255, 220, 60), thick, cv2.LINE_AA)
        size = max(width(face) / 60, 0.6)
        for colour, weight in (((0, 0, 0), 3 * thick), ((255, 220, 60), thick)):
            place = (left + thick, max(top - 2 * thick, round(25 * size)))
            cv2.putText(picture, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, weight, cv2.LINE_AA)
    return picture


def width(face: "Face") -> float:
    """Of its box, pixels."""
    return face.box[2] - face.box[0]


def middle(face: "Face") -> tuple[float, float]:
    """Of its box, pixels."""
    left, top, right, bottom = face.box
    return (left + right) / 2, (top + bottom) / 2
