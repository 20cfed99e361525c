"""Our own format for rigs, and the two that ship."""

import json
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from talkinghead.errors import UserError
from talkinghead.media.files import atomic_path
from talkinghead.media.tensors import read_tensors, words_of
from talkinghead.rig.rig import Rig
from talkinghead.weights.shipped import shipped

FORMAT = "talkinghead.rig"

VERSION = 1


@cache
def default_rig() -> Rig:
    """The head that ships with the package: 46 expressions, 20 identities (weights/head.rig.md says where from)."""
    return load_own(shipped("head.rig.safetensors"))


@cache
def average_face() -> Rig:
    """The 68 points of a face alone, as `Rig.at_landmarks` gives them, but where landmark detectors mark them on the
    average of many people: up to 6 mm from the default rig's (weights/face68.rig.md). Without a surface. Its origin
    lies between eyes and nose."""
    return load_own(shipped("face68.rig.safetensors"))


def save_rig(rig: Rig, path: Path, *, overwrite: bool = False) -> None:
    """Write a rig as safetensors; by convention the name ends in .rig.safetensors.

    Offsets are stored in half precision: an offset of 4 cm is kept to 0.02 mm.

    Raises:
        UserError: if the file exists and `overwrite` is false.
    """
    arrays = {
        "neutral": rig.neutral.astype(np.float32),
        "faces": rig.faces.astype(np.int32),
        "expressions": rig.expressions.astype(np.float16),
        "identity": rig.identity.astype(np.float16),
        "landmark_faces": rig.landmark_faces.astype(np.int32),
        "landmark_weights": rig.landmark_weights.astype(np.float32),
    }
    if rig.parts is not None:
        arrays["parts"] = rig.parts.astype(np.uint8)
    about = {
        "version": VERSION,
        "name": rig.name,
        "expression_names": rig.expression_names,
        "part_names": rig.part_names,
    }
    with atomic_path(Path(path), overwrite=overwrite) as temporary:
        save_file(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()},
            temporary,
            metadata={"format": FORMAT, "rig": json.dumps(about)},
        )


def load_own(path: Path) -> Rig:
    try:
        arrays, header = read_tensors(path, FORMAT)
        about = words_of(header, "rig")
        if about["version"] != VERSION:
            raise ValueError(f"its version is {about['version']}, this program reads {VERSION}")
        return Rig(
            arrays["neutral"].astype(np.float32),
            arrays["faces"].astype(np.int64),
            arrays["expressions"].astype(np.float32),
            tuple(about["expression_names"]),
            arrays["identity"].astype(np.float32),
            arrays["landmark_faces"].astype(np.int64),
            arrays["landmark_weights"].astype(np.float32),
            name=about["name"],
            part_names=tuple(about["part_names"]),
            parts=arrays["parts"].astype(np.int64) if "parts" in arrays else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a rig ({error}).") from error
