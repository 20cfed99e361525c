"""A motion of vertices as a shaded clip with its sound."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from talkinghead.errors import UserError
from talkinghead.media.video import VideoWriter
from talkinghead.motion.motion import Motion, Progress
from talkinghead.rig.rig import rotation_matrix
from talkinghead.rig.shade import SKIN, View, shade
from talkinghead.speech.speaking.to_motion import NECK

SIZE = 384

ROOM = 1.12
"""Side of the picture over what a still head needs."""

FACE = 1.35
"""Height of a head without its neck over its width: what a picture of a taller mesh shows, from the top."""


def mesh_frames(
    motion: Motion,
    *,
    size: int = SIZE,
    colours: UInt8[np.ndarray, "v 3"] | None = None,
    view: View | None = None,
    smooth_edges: int = 1,
) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
    """The motion's vertices, turned as its pose says, one shaded frame at a time.

    Args:
        motion: with vertices and their triangles.
        size: side of the picture, pixels.
        colours: RGB of each vertex (`face.shade.rig_colours`); skin if None.
        view: what is in the picture; `mesh_view` of the first frame if None.
        smooth_edges: see `face.shade.shade`.

    Raises:
        UserError: if the motion has no vertices or no triangles.
    """
    if motion.vertices is None or motion.topology is None:
        raise UserError("this motion has no vertices with triangles, so there is no mesh to show.")
    view = view or mesh_view(motion.vertices[0])
    pose = motion.pose if motion.pose is not None else np.zeros((len(motion), 3), np.float32)
    return (
        shade(
            (points - NECK) @ turn.T + NECK,
            motion.topology,
            size,
            view=view,
            colour=SKIN if colours is None else colours,
            smooth_edges=smooth_edges,
        )
        for points, turn in zip(motion.vertices, rotation_matrix(pose), strict=True)
    )


def mesh_view(vertices: Float32[np.ndarray, "v 3"]) -> View:
    """The view of a head that faces forward, with room to move."""
    low, high = vertices.min(0), vertices.max(0)
    wide, tall = (high - low)[:2].tolist()
    half = ROOM / 2 * min(tall, FACE * wide) if tall > wide else ROOM / 2 * wide
    return View(((low[0] + high[0]).item() / 2, high[1].item() + (ROOM - 1) * half - half), half)


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
