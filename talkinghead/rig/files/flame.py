"""FLAME as a rig: its expression space in both directions, a jaw, and its identity space.

FLAME's own coefficients take both signs and have no names. Each of the first ones becomes two expressions, "flame00+"
and "flame00-", of two standard deviations at weight 1. The jaw's joint becomes jawOpen, jawLeft and jawRight, turned by
as much as at weight 1 and then taken as straight offsets.

The model's licence is FLAME's own (non-commercial); nothing of it is here.

References:
    Li et al. 2017, Learning a model of facial shape and expression from 4D scans (template, bases, joints).
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy.spatial.transform import Rotation

from talkinghead.errors import UserError
from talkinghead.face.alignment import similarity
from talkinghead.media.safe_pickle import load_pickle
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.rig import Rig

SHAPES = 300
"""Columns of `shapedirs` that are identity; expressions follow."""

IDENTITIES, EXPRESSIONS = 50, 20
"""How many of each are taken."""

STRENGTH = 2.0
"""Standard deviations of an expression's coefficient at weight 1."""

JAW = 2
"""Index of the jaw's joint."""

JAW_TURNS = {"jawOpen": (0.4, 0.0), "jawLeft": (0.0, 0.15), "jawRight": (0.0, -0.15)}
"""Radians about x and y at weight 1."""

EMBEDDINGS = ("flame_static_embedding.npz", "flame_static_embedding.pkl", "landmark_embedding.npz")
FACE_KEYS = ("lmk_face_idx", "full_lmk_faces_idx", "static_lmk_faces_idx")
WEIGHT_KEYS = ("lmk_b_coords", "full_lmk_bary_coords", "static_lmk_bary_coords")


def load_flame(path: Path, *, embedding: Path | None = None) -> Rig:
    """FLAME from an .npz with its arrays (v_template, shapedirs, f, and for the jaw J_regressor and weights), or a .pkl
    that holds arrays alone.

    Args:
        path: the model.
        embedding: the static landmark embedding, of 68 points or of the 51 without the jaw's outline, which is then
            taken where the default rig has it; None looks beside the model.

    Raises:
        UserError: if a file is missing, holds objects, or lacks an array.
    """
    model = read_arrays(path)
    where = embedding or next((path.parent / name for name in EMBEDDINGS if (path.parent / name).is_file()), None)
    if where is None:
        raise UserError(f"{path}: there is no {EMBEDDINGS[0]} beside it, which says where the landmarks are.")
    marks = read_arrays(where)
    try:
        neutral = np.asarray(model["v_template"], np.float64)
        faces = np.asarray(model["f"], np.int64)
        directions = np.asarray(model["shapedirs"], np.float64).transpose(2, 0, 1)
        triangles = np.asarray(next(marks[key] for key in FACE_KEYS if key in marks), np.int64).reshape(-1)
        weights = np.asarray(next(marks[key] for key in WEIGHT_KEYS if key in marks), np.float32).reshape(-1, 3)
    except (KeyError, StopIteration, ValueError) as error:
        raise UserError(f"{path}: an array of FLAME or of its landmarks is missing ({error}).") from error
    if len(triangles) == 51:
        triangles, weights = _with_jaw(neutral, faces, triangles, weights)
    split = SHAPES if len(directions) > SHAPES else len(directions) // 2
    expressions = dict(_jaw(model, neutral))
    for index, offsets in enumerate(directions[split : split + EXPRESSIONS]):
        expressions[f"flame{index:02d}+"], expressions[f"flame{index:02d}-"] = STRENGTH * offsets, -STRENGTH * offsets
    return Rig(
        neutral.astype(np.float32),
        faces,
        np.stack(list(expressions.values())).astype(np.float32),
        tuple(expressions),
        directions[: min(IDENTITIES, split)].astype(np.float32),
        triangles,
        weights,
        name="FLAME",
    )


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of an .npz or .pkl file; nothing in it is executed.

    Raises:
        UserError: if it cannot be read or holds objects.
    """
    if path.suffix.lower() == ".pkl":
        content = load_pickle(path)
        if not isinstance(content, dict):
            raise UserError(f"{path}: it holds no names; save FLAME's arrays as .npz.")
        return content
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not arrays alone ({error}); save FLAME's arrays as .npz.") from error


def _jaw(model: dict[str, Any], neutral: Float[np.ndarray, "v 3"]) -> dict[str, Float[np.ndarray, "v 3"]]:
    """Offsets of the jaw's turns, if the model has joints."""
    if "J_regressor" not in model or "weights" not in model:
        return {}
    joint = np.asarray(model["J_regressor"], np.float64)[JAW] @ neutral
    share = np.asarray(model["weights"], np.float64)[:, JAW, None]
    offsets = {}
    for name, (down, aside) in JAW_TURNS.items():
        turn = Rotation.from_euler("xy", [down, aside])
        offsets[name] = share * (turn.apply(neutral - joint) + joint - neutral)
    return offsets


def _with_jaw(
    neutral: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    triangles: Int[np.ndarray, " 51"],
    weights: Float32[np.ndarray, "51 3"],
) -> tuple[Int[np.ndarray, " 68"], Float32[np.ndarray, "68 3"]]:
    """The 51 points with the jaw's outline before them: the default rig's, brought over by the points that both have,
    at the middles of the nearest triangles."""
    inner = (neutral[faces[triangles]] * weights[..., None]).sum(1)
    rig = default_rig()
    ours = rig.landmarks_3d(rig.neutral[None])[0].astype(np.float64)
    wanted = similarity(ours[17:], inner)(ours[:17])
    middles = neutral[faces].mean(1)
    nearest = np.array([int(((middles - point) ** 2).sum(1).argmin()) for point in wanted])
    return np.concatenate([nearest, triangles]), np.concatenate([np.full((17, 3), 1 / 3, np.float32), weights])
