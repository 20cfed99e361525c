"""reenact: an avatar and a driving video -> a clip."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from talkinghead.commands.driver import MOTION_SUFFIX, read_driver
from talkinghead.commands.options import Tracking, Verb, config_from, ranged
from talkinghead.commands.progress import bar
from talkinghead.errors import UserError
from talkinghead.portrait.deployment.choice import Runtime

if TYPE_CHECKING:
    from talkinghead.motion.motion import Motion

log = logging.getLogger(__name__)

EXAMPLES = """
talkinghead reenact anna.avatar.safetensors --driver speech.mp4 -o anna_speaks.mp4
talkinghead reenact anna.avatar.safetensors --driver speech.mp4 -o side_by_side.mp4 --compare --motion relative
talkinghead reenact anna.avatar.safetensors --driver speech.mp4 -o a.mp4 --save-motion speech.motion.safetensors
talkinghead reenact ben.avatar.safetensors --driver speech.motion.safetensors -o b.mp4   (tracked once, used twice)
talkinghead reenact anna.avatar.safetensors --driver speech.mp4 -o calm.mp4 --strength head=0.5,mouth=1.2
talkinghead reenact anna.avatar.safetensors --driver speech.mp4 -o lips.mp4 --only mouth
talkinghead reenact anna.avatar.safetensors --driver two.mp4 -o a.mp4 --face left   (see talkinghead faces two.mp4)
talkinghead reenact ben.avatar.safetensors --driver recording.csv -o c.mp4   (ARKit's 52 curves)
"""


@dataclass(frozen=True, kw_only=True)
class Options(Tracking):
    """Move a person: a video drives an avatar, and its sound and frame rate are kept."""

    avatar: Path
    """The person: a file made by talkinghead fine-tune."""
    driver: Path
    """What moves: a video, a .motion.safetensors, or an ARKit .csv."""
    output: Path
    """The clip to write, an .mp4."""
    face: str = "largest"
    """Whose, of several in the driver: largest, left, right, a number from the left, or a picture."""
    motion: Literal["absolute", "relative"] = "absolute"
    """Hold the head as the driver does, or start at a photo and add the driver's movement."""
    adapt_scale: bool = True
    """Keep the face as large as in the photos."""
    keep_proportions: bool = True
    """Keep the person's own face, not the driver's."""
    reference: int | None = ranged(None, least=0)
    """Driver's frame that relative motion starts from; else the best one."""
    smooth: float = ranged(1.0, least=0)
    """Strength of the smoothing of landmarks; 0 is off."""
    turn_limit: float = ranged(30.0, least=1, most=180)
    """Degrees that the head turns away from the nearest photo at most; 180: all."""
    most_turn: float | None = ranged(None, least=1, most=180, former=True)
    """The former name of turn_limit."""
    missing: Literal["hold", "fade", "fail"] = "hold"
    """Where the driver's face is not seen: hold the last, fade over, or fail."""
    strength: str | None = None
    """How far parts move: head=0.8,mouth=1.2,eyes=1,brows=1, or a number for the face."""
    only: str | None = None
    """Parts that move, the others stay still: head, mouth, eyes, brows, with commas."""
    view: Literal["whole", "head"] = "whole"
    """Show the whole picture where the avatar holds one, or the square around the head."""
    compare: bool = False
    """Put driver and landmarks beside the person."""
    save_motion: Path | None = None
    """Keep the tracked motion in this file."""
    sound: bool = True
    """Keep the driver's sound."""
    provenance: bool = True
    """Write into the clip that it was made by AI, of whom, with whose consent; see talkinghead verify."""
    runtime: Runtime = "torch"
    """What computes the network: PyTorch, or OpenVINO or ONNX Runtime with the [export] extra."""
    batch_size: int = ranged(8, least=1)
    """Frames rendered at once."""
    overwrite: bool = False
    """Replace files that exist."""

    def __post_init__(self) -> None:
        if self.most_turn is not None:
            object.__setattr__(self, "turn_limit", self.most_turn)


VERB = Verb("reenact", Options, positional=("avatar",), examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    (options,) = VERB.parse(argv)
    refuse_outputs(options)
    reenact(options)


def refuse_outputs(options: Options) -> None:
    """Raise UserError if an output has another suffix, exists, or is an input."""
    from talkinghead.media.files import refuse_existing, resolved

    kept = options.save_motion
    if options.output.suffix.lower() != ".mp4":
        raise UserError(f"--output is {options.output}; give a name that ends in .mp4.")
    if kept is not None and kept.suffix != MOTION_SUFFIX:
        raise UserError(f"--save-motion is {kept}; give a name that ends in .motion{MOTION_SUFFIX}.")
    for path in filter(None, (options.output, kept)):
        refuse_existing(path, overwrite=options.overwrite, file=True)
        if resolved(path) in (resolved(options.driver), resolved(options.avatar)):
            raise UserError(f"{path} would be written over what it is made from; give another name.")


def reenact(options: Options) -> None:
    """Track, carry over, render.

    Raises:
        UserError: if an input cannot be used.
    """
    from talkinghead.media.files import outputs
    from talkinghead.motion.strength import Strength
    from talkinghead.portrait.avatar.avatar import Avatar
    from talkinghead.portrait.avatar.reenactment import Clip
    from talkinghead.portrait.avatar.reenactment import reenact as write_clip
    from talkinghead.portrait.avatar.retargeting import ReenactmentConfig
    from talkinghead.portrait.deployment.runtimes import network_by

    strength = Strength.parse(options.strength, options.only)
    config, place = config_from(options, ReenactmentConfig, strength=strength), options.place
    if options.compare:  # beside a square of the driver
        config = replace(config, view="head")
    person = Avatar.load(options.avatar)
    person.network = network_by(options.runtime, person)
    with outputs(options.output, options.save_motion, overwrite=options.overwrite):
        moves = read_moves(options, place)
        with bar("rendering") as report:
            clip = config_from(options, Clip, path=options.output)
            write_clip(person, moves, clip, config=config, device=place, progress=report)
    lost = int((moves.confidence == 0).sum())
    if lost:
        log.info("the driver's face was not seen in %d of %d frames (--missing %s)", lost, len(moves), options.missing)
    log.info("%d frames, %.1f s: %s", len(moves), moves.seconds, options.output)


def read_moves(options: Options, place: str) -> "Motion":
    """The driver's motion, kept in a file where that is asked for."""
    moves = read_driver(options.driver, detector=options.detector, device=place, face=options.face)
    if not moves.seen.any():
        raise UserError(
            f"{options.driver}: none of its {len(moves)} frames shows a face; give a driver in which one is seen."
        )
    if options.save_motion is not None and options.driver.suffix != MOTION_SUFFIX:
        moves.save(options.save_motion, overwrite=options.overwrite)
    return moves
