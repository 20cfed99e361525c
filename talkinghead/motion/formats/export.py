"""A motion as files that other programs read: ARKit CSV, glTF with morph targets, a sequence of meshes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int

from talkinghead.errors import UserError
from talkinghead.face.frames import evenly_spread
from talkinghead.media.audio import read_sound, write_sound
from talkinghead.media.files import atomic_path, refuse_existing
from talkinghead.motion.formats.arkit_csv import write_arkit_csv
from talkinghead.motion.formats.gltf import MorphAnimation, principal_targets, write_gltf
from talkinghead.motion.motion import Motion, Progress
from talkinghead.rig.files.meshes import write_obj, write_ply
from talkinghead.rig.rig import Rig, rotate
from talkinghead.rig.shade import rig_colours

TABLE, SCENES, MESHES = (".csv",), (".gltf", ".glb"), ("obj", "ply")

FULL_SCALE = 32767
"""A sample of 1 in 16 bits."""


@dataclass(frozen=True)
class ExportConfig:
    """How a motion is written."""

    meshes: str = "ply"
    """Format of a sequence of meshes: ply (binary) or obj (text)."""
    pose: bool = True
    """Turn the head as it is held; else it looks ahead. A CSV has the angles in columns of their own either way."""
    sound: bool = True
    """Write the sound beside a glTF and into a folder of meshes."""


def export_motion(
    motion: Motion,
    path: Path,
    rig: Rig,
    *,
    config: ExportConfig | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write a motion in the format that the name asks for: .csv, .gltf, .glb, or a folder of meshes.

    Args:
        motion: with blendshapes, or vertices and their triangles.
        path: a name without a suffix is a folder, with a mesh a frame in it.
        rig: the head that the blendshapes move.
        config: None for the defaults.
        overwrite: replace what exists.
        progress: called for each mesh written.

    Raises:
        UserError: if the suffix is unknown, the motion has not what the format needs, or the output exists.
    """
    config = config or ExportConfig()
    if config.meshes not in MESHES:
        raise UserError(f"the format of meshes is {config.meshes!r}; it is one of {', '.join(MESHES)}.")
    suffix = path.suffix.lower()
    if suffix in TABLE:
        write_arkit_csv(motion, path, overwrite=overwrite)
    elif suffix in SCENES:
        refuse_existing(path, overwrite=overwrite)
        sound = _sound_beside(motion, path, overwrite=overwrite) if config.sound else None
        write_gltf(morph_animation(motion, rig, pose=config.pose), path, sound=sound, overwrite=overwrite)
    elif not suffix:
        _write_meshes(motion, rig, path, config=config, overwrite=overwrite, progress=progress)
    else:
        raise UserError(f"{path}: {suffix} is not known; give .csv, .gltf, .glb, or a folder's name without a suffix.")


def morph_animation(motion: Motion, rig: Rig, *, pose: bool = True) -> MorphAnimation:
    """A motion as targets and weights: the rig's expressions where it has blendshapes, else principal directions.

    Raises:
        UserError: if it has neither blendshapes of the rig nor vertices.
    """
    held = motion.pose if pose else None
    if motion.blendshapes is not None:
        weights = weights_of(motion, rig)
        colours = rig_colours(rig)
        neutral = _at_rest(motion, rig, weights)
        return MorphAnimation(
            neutral, rig.faces, rig.expressions, rig.expression_names, weights, motion.fps, held, colours
        )
    if motion.vertices is None or motion.topology is None:
        raise UserError("the motion has neither blendshapes nor vertices; there is nothing to make a mesh of.")
    neutral, targets, weights = principal_targets(motion.vertices)
    names = tuple(f"principal{index:02d}" for index in range(len(targets)))
    return MorphAnimation(neutral, motion.topology, targets, names, weights, motion.fps, held)


def weights_of(motion: Motion, rig: Rig) -> Float32[np.ndarray, "t k"]:
    """The motion's blendshapes in the rig's order; what it does not have is 0.

    Raises:
        UserError: if it has none of the rig's expressions.
    """
    assert motion.blendshapes is not None
    columns = {name: column for column, name in enumerate(motion.blendshape_names)}
    if not any(name in columns for name in rig.expression_names):
        raise UserError(f"none of the motion's blendshapes ({', '.join(columns)}) is an expression of rig {rig.name}.")
    weights = np.zeros((len(motion), len(rig.expression_names)), np.float32)
    for index, name in enumerate(rig.expression_names):
        if name in columns:
            weights[:, index] = motion.blendshapes[:, columns[name]]
    return weights


def _at_rest(
    motion: Motion, rig: Rig, weights: Float32[np.ndarray, "t k"], *, most: int = 64
) -> Float32[np.ndarray, "v 3"]:
    """The rig's resting face, or that of the person whose vertices the motion holds: what the weights do not explain
    in `most` of its frames (mean)."""
    if motion.vertices is None or motion.vertices.shape[1:] != rig.neutral.shape:
        return rig.neutral
    some = evenly_spread(len(motion), most)
    return np.asarray(rig.neutral + (motion.vertices[some] - rig.vertices(weights[some])).mean(0), np.float32)


def meshes(
    motion: Motion, rig: Rig, *, pose: bool = True
) -> tuple[Callable[[], Iterator[Float32[np.ndarray, "v 3"]]], Int[np.ndarray, "f 3"]]:
    """What gives the vertices of each frame in turn, metres, and their triangles.

    Raises:
        UserError: if the motion has neither vertices nor blendshapes of the rig.
    """
    stored, faces, weights = motion.vertices, motion.topology, None
    if stored is None or faces is None:
        if motion.blendshapes is None:
            raise UserError("the motion has neither blendshapes nor vertices; there is nothing to make a mesh of.")
        stored, faces, weights = None, rig.faces, weights_of(motion, rig)

    def shape(frame: int) -> Float32[np.ndarray, "v 3"]:
        if stored is not None:
            return stored[frame]
        assert weights is not None
        return rig.vertices(weights[frame : frame + 1])[0]

    def frames() -> Iterator[Float32[np.ndarray, "v 3"]]:
        for frame in range(len(motion)):
            points = shape(frame)
            if pose and motion.pose is not None:
                points = rotate(points, motion.pose[frame : frame + 1])[0]
            yield np.asarray(points, np.float32)

    return frames, faces


def _write_meshes(
    motion: Motion, rig: Rig, folder: Path, *, config: ExportConfig, overwrite: bool, progress: Progress | None
) -> None:
    """A folder with 000000.ply, 000001.ply and so on, and sound.wav."""
    frames, faces = meshes(motion, rig, pose=config.pose)
    write = write_obj if config.meshes == "obj" else write_ply
    with atomic_path(folder, overwrite=overwrite) as temporary:
        temporary.mkdir()
        for index, vertices in enumerate(frames()):
            write(temporary / f"{index:06d}.{config.meshes}", vertices, faces)
            if progress:
                progress(index + 1, len(motion))
        if config.sound and motion.sound is not None and motion.sound.is_file():
            write_wav(motion.sound, temporary / "sound.wav")


def _sound_beside(motion: Motion, path: Path, *, overwrite: bool) -> str | None:
    """The sound as a WAV of the same name; None where there is none."""
    if motion.sound is None or not motion.sound.is_file():
        return None
    beside = path.with_suffix(".wav")
    if beside.resolve() == motion.sound.resolve():
        return beside.name
    with atomic_path(beside, overwrite=overwrite) as temporary:
        write_wav(motion.sound, temporary)
    return beside.name


def write_wav(sound: Path, path: Path) -> None:
    """The sound of a media file as 16-bit WAV with one channel, counted from its first video frame."""
    waveform, rate = read_sound(sound)
    samples = np.rint(np.clip(waveform, -1, 1) * FULL_SCALE).astype(np.int16)
    write_sound(path, samples, rate)
