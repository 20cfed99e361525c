"""Rigs from files: our own, ICT-FaceKit, FLAME, and any set of morph targets."""

import json
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from talkinghead.errors import UserError
from talkinghead.face.rig import Rig
from talkinghead.media.files import atomic_path

FORMAT = "talkinghead.rig"
VERSION = 1


def load_rig(path: Path) -> Rig:
    """A rig from a file or a folder.

    Raises:
        UserError: if there is no such file or it is not a rig.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder.")
    return _load_own(path)


def read_obj(path: Path) -> tuple[Float[np.ndarray, "v 3"], Int[np.ndarray, "f 3"]]:
    """Vertices and triangles of a Wavefront OBJ file.

    Raises:
        UserError: if the file cannot be read.
    """
    vertices: list[list[float]] = []
    polygons: list[list[int]] = []
    try:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            if line.startswith("v "):
                vertices.append([float(number) for number in line.split()[1:4]])
            elif line.startswith("f "):
                polygons.append([_index(corner, len(vertices)) for corner in line.split()[1:]])
        points = np.array(vertices, np.float64).reshape(-1, 3)
        triangles = [triangle for polygon in polygons for triangle in _triangles(polygon, points)]
        return points, np.array(triangles, np.int64).reshape(-1, 3)
    except (OSError, ValueError, IndexError) as error:
        raise UserError(f"{path}: not a readable OBJ file ({error}).") from error


def _index(corner: str, count: int) -> int:
    """A corner of an OBJ polygon ("7", "7/1/3", "-1") as an index from 0."""
    number = int(corner.split("/")[0])
    return number - 1 if number > 0 else count + number


def _triangles(polygon: list[int], points: Float[np.ndarray, "v 3"]) -> list[list[int]]:
    """A polygon as triangles; a quadrangle is cut along its shorter diagonal."""
    if len(polygon) == 4:
        a, b, c, d = points[polygon]
        if np.linalg.norm(b - d) < np.linalg.norm(a - c) - 1e-3 * np.linalg.norm(a - c):
            polygon = polygon[1:] + polygon[:1]
    return [[polygon[0], polygon[i], polygon[i + 1]] for i in range(1, len(polygon) - 1)]


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


def _load_own(path: Path) -> Rig:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(f"its format is {metadata.get('format')!r}, not {FORMAT!r}")
            about = json.loads(metadata["rig"])
            if about["version"] != VERSION:
                raise ValueError(f"its version is {about['version']}, this program reads {VERSION}")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
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
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{path}: not a rig ({error}).") from error
