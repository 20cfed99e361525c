"""Whose head speaks: the model's own, another shape of it, or another rig."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from talkinghead.errors import UserError
from talkinghead.motion.motion import Motion
from talkinghead.rig.files.load import load_rig
from talkinghead.rig.files.meshes import MESH_SUFFIXES, read_mesh
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.fitting.inverse import weights_of_vertices
from talkinghead.rig.rig import Rig
from talkinghead.speech.model import SpeechModel, SpeechMotion
from talkinghead.speech.speaking.head_motion import HeadMotion
from talkinghead.speech.speaking.to_motion import mesh_motion, speak_motion


def join(
    spoken: SpeechMotion,
    head: HeadMotion,
    model: SpeechModel,
    *,
    mesh: Path | None = None,
    identity: Float[np.ndarray, " n"] | None = None,
    strength: float = 1.0,
) -> tuple[Motion, Rig | None]:
    """The motion of the head that speaks, and its rig; None for a mesh that is no rig.

    Args:
        spoken: what the model predicted.
        head: pose and blinks.
        model: what predicted it.
        mesh: an .obj or .ply of the model's topology, which is then moved as the model's template is; or a rig, which
            is moved by blendshapes, or as the template is if it has the model's topology. None for the model's own.
        identity: standard deviations of the rig's first identity modes, which are added to the resting face: FLAME's
            betas where the rig is FLAME.
        strength: expressions are made this many times larger.

    Raises:
        UserError: if the mesh has another topology than the model, or is a rig of another topology and the model gives
            no blendshapes, or has no expressions of their names, or there are fewer identity modes than numbers.
    """
    rig = default_rig()
    rest = rig.neutral if model.template is None else model.template
    faces = rig.faces if model.topology is None else model.topology
    if mesh is None:
        shape = rest
    elif mesh.suffix.lower() in MESH_SUFFIXES:
        shape = read_shape(mesh, len(rest))
    else:
        rig = load_rig(mesh) if spoken.blendshapes is None else load_moved_by(mesh, spoken.names)
        shape = rig.neutral
        if spoken.blendshapes is None and len(shape) != len(rest):
            raise UserError(f"{mesh} is moved by blendshapes, which --model {model.kind} does not give; try pham.")
    if len(shape) != len(rig.neutral):
        if identity is not None:
            raise UserError("nobody knows the model's mesh but FLAME or another rig of it; give that as --mesh.")
        assert spoken.vertices is not None
        return mesh_motion(shape + strength * (spoken.vertices - rest), faces, head, spoken.fps), None
    if identity is not None:
        shape = shape + identity_offsets(rig, identity)
    if not np.array_equal(shape, rig.neutral):
        rig = replace(rig, neutral=shape)
    if spoken.vertices is not None:
        spoken = replace(spoken, vertices=spoken.vertices - rest + shape)
    return speak_motion(spoken, head, rig, strength=strength), rig


def speaking_rig(*, mesh: Path | None = None, identity: Float[np.ndarray, " n"] | None = None) -> Rig:
    """The rig that blendshapes move, before any are known: as `join` would choose it.

    Args:
        mesh: an .obj or .ply of the default rig's topology, or a rig; None for the default rig.
        identity: standard deviations of its first identity modes, which are added to the resting face.

    Raises:
        UserError: if the mesh has another topology, or the rig none of the expressions or fewer identity modes than
            numbers.
    """
    rig = default_rig()
    if mesh is not None and mesh.suffix.lower() in MESH_SUFFIXES:
        rig = replace(rig, neutral=read_shape(mesh, len(rig.neutral)))
    elif mesh is not None:
        rig = load_moved_by(mesh, rig.expression_names)
    return rig if identity is None else replace(rig, neutral=rig.neutral + identity_offsets(rig, identity))


def load_moved_by(path: Path, names: Sequence[str]) -> Rig:
    """A rig that has expressions of these names.

    Raises:
        UserError: if the file cannot be read, or it has none of them.
    """
    rig = load_rig(path)
    if not set(names) & set(rig.expression_names):
        raise UserError(
            f"{path} has no expression named like those of the model, {names[0]} for one; try karras or voca."
        )
    return rig


def identity_offsets(rig: Rig, identity: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "v 3"]:
    """How far another person's vertices lie from the rig's, metres; modes that are not given are 0.

    Raises:
        UserError: if the rig has fewer modes.
    """
    if len(identity) > len(rig.identity):
        raise UserError(
            f"{len(identity)} numbers of identity were given; rig {rig.name} has {len(rig.identity)} modes."
        )
    offsets = np.einsum("n,nvi->vi", np.asarray(identity, np.float32), rig.identity[: len(identity)])
    return offsets.astype(np.float32)


def read_shape(path: Path, vertices: int) -> Float32[np.ndarray, "v 3"]:
    """Another resting face: vertices in metres from a mesh of so many.

    Raises:
        UserError: if the file cannot be read or has another number of vertices.
    """
    points, _ = read_mesh(path)
    if len(points) != vertices:
        raise UserError(f"{path} has {len(points)} vertices and the model {vertices}; give a mesh of its topology.")
    return points.astype(np.float32)


def with_blendshapes(motion: Motion, rig: Rig) -> Motion:
    """The motion with the blendshapes that make its vertices, where it has vertices alone."""
    if motion.blendshapes is not None or motion.vertices is None:
        return motion
    weights = weights_of_vertices(motion.vertices, rig)
    return replace(motion, blendshapes=weights, blendshape_names=rig.expression_names)
