"""reenact: an avatar and a driving video -> a clip."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from talkinghead.commands import best_device, run_command
from talkinghead.commands.driver import MOTION_SUFFIX, read_driver
from talkinghead.commands.progress import bar
from talkinghead.errors import UserError

log = logging.getLogger(__name__)


_EPILOG = """Examples:

talkinghead reenact anna.avatar.safetensors --driver speech.mp4 -o anna_speaks.mp4

talkinghead reenact anna.avatar.safetensors --driver speech.mp4 -o side_by_side.mp4 --compare --motion relative

talkinghead reenact anna.avatar.safetensors --driver speech.mp4 -o a.mp4 --save-motion speech.motion.safetensors

talkinghead reenact ben.avatar.safetensors --driver speech.motion.safetensors -o b.mp4      (tracked once, used twice)

talkinghead reenact ben.avatar.safetensors --driver recording.csv -o c.mp4      (ARKit's 52 curves)
"""


class MotionMode(StrEnum):
    """How the driver's movement is taken."""

    absolute = "absolute"
    relative = "relative"


class MissingMode(StrEnum):
    """What happens where the driver's face is not seen."""

    hold = "hold"
    fade = "fade"
    fail = "fail"


def reenact(
    avatar: Annotated[Path, typer.Argument(help="The person: a file made by talkinghead fine-tune.")],
    driver: Annotated[Path, typer.Option(help="What moves: a video, a .motion.safetensors, or an ARKit .csv.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The clip to write, an .mp4.")],
    motion: Annotated[
        MotionMode,
        typer.Option(help="Hold the head as the driver does, or start at a photo and add the driver's movement."),
    ] = MotionMode.absolute,
    adapt_scale: Annotated[bool, typer.Option(help="Keep the face as large as in the photos.")] = True,
    keep_proportions: Annotated[bool, typer.Option(help="Keep the person's own face, not the driver's.")] = True,
    reference: Annotated[
        int | None, typer.Option(min=0, help="Driver's frame that relative motion starts from; else the best one.")
    ] = None,
    smooth: Annotated[float, typer.Option(min=0, help="Strength of the smoothing of landmarks; 0 is off.")] = 1.0,
    turn_limit: Annotated[
        float,
        typer.Option(
            "--turn-limit",
            "--most-turn",
            min=1,
            max=180,
            help="Degrees that the head turns away from the nearest photo at most; 180: all.",
        ),
    ] = 30.0,
    missing: Annotated[
        MissingMode, typer.Option(help="Where the driver's face is not seen: hold the last, fade over, or fail.")
    ] = MissingMode.hold,
    compare: Annotated[bool, typer.Option("--compare", help="Put driver and landmarks beside the person.")] = False,
    save_motion: Annotated[Path | None, typer.Option(help="Keep the tracked motion in this file.")] = None,
    sound: Annotated[bool, typer.Option(help="Keep the driver's sound.")] = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Frames rendered at once.")] = 8,
    detector: Annotated[str, typer.Option(help="auto, dlib, face-alignment or mtcnn.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Move a person: a video drives an avatar, and its sound and frame rate are kept."""
    from talkinghead.media.files import refuse_existing

    if output.suffix.lower() != ".mp4":
        raise UserError(f"--output is {output}; give a name that ends in .mp4.")
    if save_motion is not None and save_motion.suffix != MOTION_SUFFIX:
        raise UserError(f"--save-motion is {save_motion}; give a name that ends in .motion{MOTION_SUFFIX}.")
    for path in filter(None, (output, save_motion)):
        refuse_existing(path, overwrite=overwrite, file=True)
        if driver.resolve() == path.resolve() or avatar.resolve() == path.resolve():
            raise UserError(f"{path} would be written over what it is made from; give another name.")

    from talkinghead.portrait.avatar.avatar import Avatar
    from talkinghead.portrait.avatar.reenactment import Clip
    from talkinghead.portrait.avatar.reenactment import reenact as write_clip
    from talkinghead.portrait.avatar.retargeting import ReenactmentConfig

    config = ReenactmentConfig(
        motion=motion.value,
        adapt_scale=adapt_scale,
        keep_proportions=keep_proportions,
        reference=reference,
        smooth=smooth,
        turn_limit=turn_limit,
        missing=missing.value,
        batch_size=batch_size,
    )
    where = best_device(device)
    person = Avatar.load(avatar)
    moves = read_driver(driver, detector=detector, device=where)
    if not moves.seen.any():
        raise UserError(f"{driver}: none of its {len(moves)} frames shows a face; give a driver in which one is seen.")
    if save_motion is not None and driver.suffix != MOTION_SUFFIX:
        moves.save(save_motion, overwrite=overwrite)
    with bar("rendering") as report:
        clip = Clip(output, compare=compare, sound=sound, overwrite=overwrite)
        write_clip(person, moves, clip, config=config, device=where, progress=report)
    lost = int((moves.confidence == 0).sum())
    if lost:
        log.info("the driver's face was not seen in %d of %d frames (--missing %s)", lost, len(moves), missing.value)
    log.info("%d frames, %.1f s: %s", len(moves), moves.seconds, output)


def main(argv: list[str]) -> None:
    """Run the command with the arguments that follow its name."""
    run_command(reenact, argv, epilog=_EPILOG)
