"""Where the files lie that come with this package, and with the packages it needs."""

from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from talkinghead.errors import UserError


def shipped(name: str) -> Path:
    """A file of this folder: weights, rigs and motions that come with the package."""
    return Path(str(files("talkinghead.weights") / name))


@cache
def dlib_model(name: str) -> Path:
    """A model file of the `face-recognition-models` package, found without importing it (that needs pkg_resources).

    Raises:
        UserError: if the package is not installed.
    """
    spec = find_spec("face_recognition_models")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder) / "models" / name
        if path.is_file():
            return path
    raise UserError(f"{name} is missing: pip install face-recognition-models.")
