"""export: a motion -> files that other programs read."""

import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from talkinghead.commands.driver import MOTION_SUFFIX, read_driver
from talkinghead.commands.options import Tracking, Verb, config_from, rate_from
from talkinghead.commands.progress import bar
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from talkinghead.motion.motion import Motion
    from talkinghead.rig.rig import Rig

log = logging.getLogger(__name__)

EXAMPLES = """
talkinghead export speech.motion.safetensors -o speech.csv            (ARKit's 52 blendshapes)
talkinghead export speech.motion.safetensors -o speech.glb            (morph targets, for Blender or three.js)
talkinghead export speech.motion.safetensors -o frames --meshes obj   (a folder with a mesh a frame)
talkinghead export interview.mp4 -o interview.csv                     (the face is tracked first)
talkinghead export recording.csv -o recording.motion.safetensors      (from ARKit, to drive an avatar with)
talkinghead export anna.avatar.safetensors -o anna.onnx               (an avatar's network, for ONNX Runtime)
talkinghead export anna.avatar.safetensors -o anna.xml --int8         (for OpenVINO, in 8-bit numbers)
"""


@dataclass(frozen=True, kw_only=True)
class Options(Tracking):
    """Write a motion for other programs: ARKit CSV, glTF with morph targets, or a mesh a frame. Or an avatar's network:
    ONNX, or OpenVINO's .xml and .bin."""

    source: Path
    """A .motion.safetensors, a video, an ARKit .csv, or an .avatar.safetensors."""
    face: str = "largest"
    """Whose, of several: largest, left, right, a number from the left, or a picture of the person."""
    output: Path
    """A .csv, .gltf, .glb or .motion.safetensors; without a suffix, a folder; of an avatar, an .onnx or .xml."""
    int8: bool = False
    """Of an avatar to OpenVINO: 8-bit numbers, whose ranges the shipped motion gives."""
    meshes: Literal["ply", "obj"] = "ply"
    """Format of the meshes in a folder."""
    rig: Path | None = None
    """The head to move: a rig's file or folder; else the one that ships."""
    pose: bool = True
    """Turn the head as it is held."""
    sound: bool = True
    """Write the sound, too."""
    fps: str | None = None
    """Frames a second of a .csv, if its timecodes do not tell."""
    vertices: bool = False
    """Store meshes in a .motion.safetensors, too."""
    overwrite: bool = False
    """Replace files that exist."""


VERB = Verb("export", Options, positional=("source",), examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    export(*VERB.parse(argv))


def export(options: Options) -> None:
    """Read, fit a head where there are landmarks alone, write.

    Raises:
        UserError: if the output exists or is the source, or the source cannot be used.
    """
    from talkinghead.media.files import outputs, refuse_existing, resolved
    from talkinghead.rig.files.load import load_rig
    from talkinghead.rig.files.own import default_rig

    output = options.output
    refuse_existing(output, overwrite=options.overwrite)
    if resolved(output) == resolved(options.source):
        raise UserError(f"{output} would be written over what it is made from; give another name.")
    if options.source.name.endswith(".avatar.safetensors"):
        export_network(options)
        return
    head = default_rig() if options.rig is None else load_rig(options.rig)
    with outputs(output, overwrite=options.overwrite):
        motion = written(options, head)
    log.info("%d frames, %.1f s: %s", len(motion), motion.seconds, output)


def export_network(options: Options) -> None:
    """Write an avatar's network.

    Raises:
        UserError: if the format is unknown or takes no 8-bit numbers, or as the writers do.
    """
    from talkinghead.portrait.avatar.avatar import Avatar
    from talkinghead.portrait.deployment.person_network import write_onnx, write_openvino

    output = options.output
    if output.suffix not in (".onnx", ".xml"):
        raise UserError(f"--output is {output}; of an avatar's network, give a name that ends in .onnx or .xml.")
    if options.int8 and output.suffix != ".xml":
        raise UserError(f"--int8 is for OpenVINO; give an --output that ends in .xml, not {output.name}.")
    person = Avatar.load(options.source)
    if output.suffix == ".onnx":
        write_onnx(person, output, overwrite=options.overwrite)
    else:
        write_openvino(person, output, int8=options.int8, overwrite=options.overwrite)
    log.info("the network of %s: %s (inputs and outputs: docs/formats.md)", options.source, output)


def written(options: Options, head: "Rig") -> "Motion":
    """Read, fit and write; gives the motion."""
    from talkinghead.motion.formats.export import ExportConfig, export_motion

    output = options.output
    fps = None if options.fps is None else rate_from(options.fps)
    motion = read_driver(options.source, detector=options.detector, device=options.place, fps=fps, face=options.face)
    if motion.blendshapes is None and motion.vertices is None:
        motion = fitted(motion, head)
    if output.suffix == MOTION_SUFFIX:
        if options.vertices and motion.vertices is None and motion.blendshapes is not None:
            motion = replace(motion, vertices=head.vertices(motion.blendshapes), topology=head.faces)
        motion.save(output, overwrite=options.overwrite)
        return motion
    config = config_from(options, ExportConfig)
    with nullcontext() if output.suffix else bar("writing") as report:
        export_motion(motion, output, head, config=config, overwrite=options.overwrite, progress=report)
    return motion


def fitted(motion: "Motion", rig: "Rig") -> "Motion":
    """The motion with the rig's pose and blendshapes, and a line on how well they fit."""
    from talkinghead.motion.rig_tracking import inspect_fit, track_rig

    if not (motion.confidence > 0).any():
        raise UserError("no frame of the motion shows a face; there is nothing to fit a head to.")
    tracked, fit = track_rig(motion, rig)
    for line in inspect_fit(motion, fit, rig).lines():
        log.info(line)
    return tracked
