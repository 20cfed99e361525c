"""Where the files lie that come with this package, and with the packages it needs."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from talkinghead.errors import UserError

SHAPE_MODEL = "shape_predictor_68_face_landmarks.dat"
FACE_MODEL = "dlib_face_recognition_resnet_model_v1.dat"
"""dlib's files: 68 landmarks in a face's box; the network that tells faces apart."""


def shipped(name: str) -> Path:
    """A file of this folder: weights, rigs and motions that come with the package."""
    return Path(str(files("talkinghead.weights") / name))


def astronaut() -> Path:
    """The portrait of the demo (NASA, public domain): it lies in scikit-image, which is not imported for it."""
    spec = find_spec("skimage")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "data" / "astronaut.png"


def find_dlib_model(name: str) -> Path | None:
    """A model file of the `face-recognition-models` package, found without importing it (that needs pkg_resources)."""
    spec = find_spec("face_recognition_models")
    paths = (Path(folder) / "models" / name for folder in (spec.submodule_search_locations if spec else None) or ())
    return next((path for path in paths if path.is_file()), None)


def dlib_model(name: str) -> Path:
    """The same.

    Raises:
        UserError: if the package is not installed.
    """
    path = find_dlib_model(name)
    if path is None:
        raise UserError(f"{name} is missing: pip install face-recognition-models.")
    return path
