"""A motion of vertices as a shaded clip with its sound."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int, UInt8

from talkinghead.errors import UserError
from talkinghead.face.rig import rotation_matrix
from talkinghead.face.shade import SKIN, View, shade
from talkinghead.media.video import VideoWriter
from talkinghead.motion import Motion, Progress
from talkinghead.speech.joint import NECK

SIZE = 384


def mesh_frames(
    motion: Motion, *, size: int = SIZE, colours: UInt8[np.ndarray, "v 3"] | None = None, smooth_edges: int = 2
) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
    """The motion's vertices, turned as its pose says, one shaded frame at a time.

    Args:
        motion: with vertices and their triangles.
        size: side of the picture, pixels.
        colours: RGB of each vertex (`face.shade.rig_colours`); skin if None.
        smooth_edges: see `face.shade.shade`.

    Raises:
        UserError: if the motion has no vertices or no triangles.
    """
    if motion.vertices is None or motion.topology is None:
        raise UserError("this motion has no vertices with triangles, so there is no mesh to show.")
    return _frames(motion.vertices, motion.topology, motion.pose, size, colours, smooth_edges)


def _frames(
    vertices: Float32[np.ndarray, "t v 3"],
    faces: Int[np.ndarray, "f 3"],
    pose: Float32[np.ndarray, "t 3"] | None,
    size: int,
    colours: UInt8[np.ndarray, "v 3"] | None,
    smooth_edges: int,
) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
    turns = rotation_matrix(pose if pose is not None else np.zeros((len(vertices), 3), np.float32))
    view = View.of((vertices[:1] - NECK) @ np.median(turns, 0).T + NECK)
    for points, turn in zip(vertices, turns, strict=True):
        posed = (points - NECK) @ turn.T + NECK
        yield shade(
            posed, faces, size, view=view, colour=SKIN if colours is None else colours, smooth_edges=smooth_edges
        )


def write_mesh_clip(
    motion: Motion,
    output: Path,
    *,
    size: int = SIZE,
    colours: UInt8[np.ndarray, "v 3"] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the shaded motion as an mp4 with the motion's sound.

    Raises:
        UserError: if the motion has no mesh, or `output` exists.
    """
    frames = mesh_frames(motion, size=size, colours=colours)
    with VideoWriter(output, fps=motion.fps, sound=motion.sound, overwrite=overwrite) as writer:
        for done, frame in enumerate(frames, 1):
            writer.write(frame)
            if progress:
                progress(done, len(motion))
