"""A face detector by its name."""

from talkinghead.errors import UserError
from talkinghead.face.detection.detector import FaceDetector
from talkinghead.face.detection.dlib import DlibDetector
from talkinghead.face.detection.neural import FanDetector, MtcnnDetector, fan_weights_present

DETECTORS = ("auto", "dlib", "face-alignment", "mtcnn")


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

    if name == "mtcnn":
        return MtcnnDetector(device=device)
    if name == "face-alignment" or fan_weights_present():
        return FanDetector(device=device)
    return DlibDetector()
