"""A rig from shapes: a neutral mesh, the same mesh in each expression and identity, and where the landmarks are.

Folders are read as ICT-FaceKit distributes them, and any other folder of OBJ or PLY files with one mesh for each
expression. Landmarks come from a JSON file in the folder: ICT-FaceKit's vertex_indices.json, or landmarks.json with 68
vertex numbers (from 0), or with `faces` (68 triangles' numbers) and `weights` (68 x 3, barycentric).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from talkinghead.errors import UserError
from talkinghead.rig.arkit import MERGED, RIG_NAMES, canonical
from talkinghead.rig.files.meshes import MESH_SUFFIXES, read_mesh
from talkinghead.rig.rig import Rig

NEUTRAL = ("generic_neutral_mesh", "neutral", "basis", "base", "rest")
IDENTITY = "identity"
LANDMARK_FILES = ("landmarks.json", "vertex_indices.json")

EYES_APART = 0.09
"""Metres between the outer eye corners of a grown-up."""

SAME_PLACE = 1e-9


@dataclass
class Shapes:
    """What a rig is made of."""

    name: str
    neutral: Float[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    expressions: dict[str, Float[np.ndarray, "v 3"]] = field(default_factory=dict)
    """Offsets."""
    identity: list[Float[np.ndarray, "v 3"]] = field(default_factory=list)
    """Offsets."""


def load_folder(folder: Path) -> Rig:
    """A rig from a folder of meshes.

    The neutral mesh is the file named so (or generic_neutral_mesh, basis, base, rest); files whose names start with
    "identity" are identity modes; each other one is an expression, which gets ARKit's name if it has one in any
    spelling. Meshes of expressions need no faces.

    Raises:
        UserError: if there is no neutral mesh or no landmark file, or a mesh has another number of vertices.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in MESH_SUFFIXES)
    neutral = next((path for path in files if path.stem.lower() in NEUTRAL), None)
    if neutral is None:
        raise UserError(f"{folder}: there is no neutral mesh; name one of its files neutral.obj or neutral.ply.")
    points, faces = read_mesh(neutral)
    shapes = Shapes(folder.name, points, faces)
    for path in files:
        if path == neutral:
            continue
        moved = read_mesh(path)[0]
        if len(moved) != len(points):
            raise UserError(f"{path}: {len(moved)} vertices; {neutral.name} has {len(points)}.")
        if path.stem.lower().startswith(IDENTITY):
            shapes.identity.append(moved - points)
        else:
            shapes.expressions[path.stem] = moved - points
    return make_rig(shapes, *read_landmarks(folder, faces))


def make_rig(shapes: Shapes, landmark_faces: Int[np.ndarray, " 68"], weights: Float32[np.ndarray, "68 3"]) -> Rig:
    """A rig in metres. If all 46 expressions of the default rig can be made of the shapes, it has those and no others;
    else each by its own name. Shapes of one name (the two sides of browInnerUp) are added; those that move nothing are
    left out.

    The size is brought to a power of ten that makes a head of it: centimetres and millimetres become metres.

    Raises:
        UserError: if there is no expression, or the landmarks are not those of a head that looks along +z, y up.
    """
    found: dict[str, np.ndarray] = {}
    for name, offsets in shapes.expressions.items():
        if np.abs(offsets).max() > SAME_PLACE:
            known = canonical(name) or name
            found[known] = found[known] + offsets if known in found else offsets
    for name, parts in MERGED.items():
        if name not in found and all(part in found for part in parts):
            found[name] = np.sum([found[part] for part in parts], axis=0)
    if not found:
        raise UserError(f"{shapes.name}: there is no expression in it; put a mesh for each beside the neutral one.")
    parts_of_merged = {part for name, parts in MERGED.items() if name in found for part in parts}
    complete = all(name in found for name in RIG_NAMES)
    names = RIG_NAMES if complete else tuple(name for name in found if name not in parts_of_merged)
    points = (shapes.neutral[shapes.faces[landmark_faces]] * weights[..., None]).sum(1)
    scale = _metres(points, shapes.name)
    identity = np.stack(shapes.identity) if shapes.identity else np.zeros((0, *shapes.neutral.shape))
    return Rig(
        (shapes.neutral * scale).astype(np.float32),
        shapes.faces,
        (np.stack([found[name] for name in names]) * scale).astype(np.float32),
        names,
        (identity * scale).astype(np.float32),
        landmark_faces,
        weights,
        name=shapes.name,
    )


def read_landmarks(
    folder: Path, faces: Int[np.ndarray, "f 3"]
) -> tuple[Int[np.ndarray, " 68"], Float32[np.ndarray, "68 3"]]:
    """The embedding of the 68 points: triangles and barycentric weights.

    Raises:
        UserError: if there is no landmark file, or it does not hold 68 points of this mesh.
    """
    path = next((folder / name for name in LANDMARK_FILES if (folder / name).is_file()), None)
    if path is None:
        raise UserError(
            f"{folder}: there is no landmarks.json; write the 68 iBUG points there, as vertex numbers from 0."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "faces" in content:
            return _embedding(np.array(content["faces"], np.int64), np.array(content["weights"], np.float32), faces)
        numbers = content["idx_to_landmark_verts"] if isinstance(content, dict) else content
        return at_vertices(np.array(numbers, np.int64), faces)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not 68 landmarks of this mesh ({error}).") from error


def at_vertices(
    vertices: Int[np.ndarray, " n"], faces: Int[np.ndarray, "f 3"]
) -> tuple[Int[np.ndarray, " 68"], Float32[np.ndarray, "68 3"]]:
    """The embedding of landmarks that are vertices.

    Raises:
        ValueError: if there are not 68 of them, or one belongs to no triangle.
    """
    if vertices.shape != (68,):
        raise ValueError(f"there are {len(vertices)} points")
    order = np.argsort(faces, axis=None, kind="stable")
    at = np.searchsorted(faces.ravel()[order], vertices)
    if (at == faces.size).any() or (faces.ravel()[order[at]] != vertices).any():
        raise ValueError("a landmark's vertex belongs to no triangle")
    triangle, corner = np.divmod(order[at], 3)
    return triangle, np.eye(3, dtype=np.float32)[corner]


def _embedding(
    triangles: Int[np.ndarray, " n"], weights: Float32[np.ndarray, "n c"], faces: Int[np.ndarray, "f 3"]
) -> tuple[Int[np.ndarray, " 68"], Float32[np.ndarray, "68 3"]]:
    if triangles.shape != (68,) or weights.shape != (68, 3):
        raise ValueError(f"there are {len(triangles)} triangles and weights of the shape {weights.shape}")
    if triangles.min() < 0 or triangles.max() >= len(faces):
        raise ValueError(f"a landmark lies on triangle {triangles.max()} of {len(faces)}")
    return triangles, weights


def _metres(points: Float[np.ndarray, "68 3"], name: str) -> float:
    """What brings the landmarks of a head to metres.

    Raises:
        UserError: if they are not those of a head that looks along +z, y up, its right side at -x.
    """
    right, left, nose, chin = points[36], points[45], points[30], points[8]
    apart = float(np.linalg.norm(right - left))
    upright = right[0] < left[0] and chin[1] < min(right[1], left[1]) and nose[2] > max(right[2], left[2])
    if apart < SAME_PLACE or not upright:
        raise UserError(
            f"{name}: its landmarks are not those of a head that looks along +z with y up; turn the meshes, or correct "
            "the landmarks."
        )
    return float(10.0 ** round(np.log10(EYES_APART / apart)))
