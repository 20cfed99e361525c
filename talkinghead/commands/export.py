"""export: a motion -> files that other programs read."""

import logging
from contextlib import nullcontext
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkinghead.commands import best_device, run_command
from talkinghead.commands.driver import MOTION_SUFFIX, read_driver
from talkinghead.commands.progress import bar
from talkinghead.errors import UserError
from talkinghead.rig.files.load import load_rig

if TYPE_CHECKING:
    from talkinghead.motion.motion import Motion
    from talkinghead.rig.rig import Rig

log = logging.getLogger(__name__)

_EPILOG = """Examples:

talkinghead export speech.motion.safetensors -o speech.csv            (ARKit's 52 blendshapes)

talkinghead export speech.motion.safetensors -o speech.glb            (morph targets, for Blender or three.js)

talkinghead export speech.motion.safetensors -o frames --meshes obj   (a folder with a mesh a frame)

talkinghead export interview.mp4 -o interview.csv                     (the face is tracked first)

talkinghead export recording.csv -o recording.motion.safetensors      (from ARKit, to drive an avatar with)
"""


class MeshFormat(StrEnum):
    """Format of a sequence of meshes."""

    ply = "ply"
    obj = "obj"


def export(
    source: Annotated[Path, typer.Argument(help="A .motion.safetensors, a video, or an ARKit .csv.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="A .csv, .gltf, .glb or .motion.safetensors; without a suffix, a folder."),
    ],
    meshes: Annotated[MeshFormat, typer.Option(help="Format of the meshes in a folder.")] = MeshFormat.ply,
    rig: Annotated[
        Path | None, typer.Option(help="The head to move: a rig's file or folder; else the one that ships.")
    ] = None,
    pose: Annotated[bool, typer.Option(help="Turn the head as it is held.")] = True,
    sound: Annotated[bool, typer.Option(help="Write the sound, too.")] = True,
    fps: Annotated[str | None, typer.Option(help="Frames a second of a .csv, if its timecodes do not tell.")] = None,
    vertices: Annotated[bool, typer.Option("--vertices", help="Store meshes in a .motion.safetensors, too.")] = False,
    detector: Annotated[str, typer.Option(help="For videos: auto, dlib, face-alignment or mtcnn.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Write a motion for other programs: ARKit CSV, glTF with morph targets, or a mesh a frame."""
    from dataclasses import replace

    from talkinghead.media.files import refuse_existing
    from talkinghead.motion.formats.export import ExportConfig, export_motion

    refuse_existing(output, overwrite=overwrite)
    if output.resolve() == source.resolve():
        raise UserError(f"{output} would be written over what it is made from; give another name.")
    head = read_rig(rig)
    motion = read_source(source, fps=fps, detector=detector, device=device)
    if motion.blendshapes is None and motion.vertices is None:
        motion = fitted(motion, head)
    if output.suffix == MOTION_SUFFIX:
        if vertices and motion.vertices is None and motion.blendshapes is not None:
            motion = replace(motion, vertices=head.vertices(motion.blendshapes), topology=head.faces)
        motion.save(output, overwrite=overwrite)
    else:
        config = ExportConfig(meshes=meshes.value, pose=pose, sound=sound)
        with nullcontext() if output.suffix else bar("writing") as report:
            export_motion(motion, output, head, config=config, overwrite=overwrite, progress=report)
    log.info("%d frames, %.1f s: %s", len(motion), motion.seconds, output)


def main(argv: list[str]) -> None:
    """Run the command with the arguments that follow its name."""
    run_command(export, argv, epilog=_EPILOG)


def read_rig(path: Path | None) -> "Rig":
    """The rig at a path; the one that ships if there is none."""
    from talkinghead.rig.files.own import default_rig

    return default_rig() if path is None else load_rig(path)


def read_source(path: Path, *, fps: str | None, detector: str, device: str) -> "Motion":
    """The motion in a file, in an ARKit CSV, or tracked in a video.

    Raises:
        UserError: if `fps` is not a number above 0, or the file cannot be read.
    """
    try:
        rate = Fraction(fps) if fps else None
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"--fps is {fps!r}; give a number, like 25 or 30000/1001.") from error
    if rate is not None and rate <= 0:
        raise UserError(f"--fps is {fps}; it must be above 0.")
    return read_driver(path, detector=detector, device=best_device(device), fps=rate)


def fitted(motion: "Motion", rig: "Rig") -> "Motion":
    """The motion with the rig's pose and blendshapes, and a line on how well they fit."""
    from talkinghead.motion.rig_tracking import inspect_fit, track_rig

    if not (motion.confidence > 0).any():
        raise UserError("no frame of the motion shows a face; there is nothing to fit a head to.")
    tracked, fit = track_rig(motion, rig)
    for line in inspect_fit(motion, fit, rig).lines():
        log.info(line)
    return tracked
