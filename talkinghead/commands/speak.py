"""speak: a voice or a text -> a talking avatar, or a shaded head."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from talkinghead.commands.driver import read_driver
from talkinghead.commands.options import Machine, Verb, ranged
from talkinghead.commands.progress import bar
from talkinghead.errors import UserError
from talkinghead.portrait.deployment.choice import Runtime

if TYPE_CHECKING:
    from talkinghead.motion.motion import Motion
    from talkinghead.motion.strength import Strength
    from talkinghead.rig.rig import Rig
    from talkinghead.speech.model import SpeechMotion
    from talkinghead.speech.speaking.head_motion import HeadMotion

log = logging.getLogger(__name__)

SOUNDS = {".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".aiff", ".mp4", ".mov", ".mkv", ".webm", ".avi"}
"""What is never taken for a text."""

EXAMPLES = """
talkinghead speak voice.wav --avatar anna.avatar.safetensors -o anna_speaks.mp4
talkinghead speak "Good morning, and welcome." --avatar anna.avatar.safetensors -o welcome.mp4   (needs espeak-ng)
talkinghead speak voice.wav -o head.mp4 --model pham   (no avatar: a shaded head)
talkinghead speak voice.wav -o head.mp4 --model voca --mesh somebody.ply --style 2=0.5,7=0.5
talkinghead speak voice.wav -o head.mp4 --model voca --identity 1.5,-1 --pose 20,0,0 --blinks 0.4,2.1
talkinghead speak voice.wav --avatar a.avatar.safetensors -o a.mp4 --reference interview.mp4
talkinghead live mic -o window   (while it is spoken)
"""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Who is shown."""

    avatar: Path | None = None
    """The person: a file made by talkinghead fine-tune; a shaded head if not given."""
    mesh: Path | None = None
    """Without an avatar: a head to show, .ply or .obj of the model's topology or a rig."""
    identity: str | None = None
    """Without an avatar: the head's first shape modes, standard deviations with commas."""
    size: int = ranged(384, least=16)
    """Side of a shaded picture, pixels."""
    view: Literal["whole", "head"] = "whole"
    """With an avatar: show the whole picture where it holds one, or the square around the head."""
    runtime: Runtime = "torch"
    """What computes an avatar's network: PyTorch, or OpenVINO or ONNX Runtime ([export] extra)."""

    def __post_init__(self) -> None:
        for name in ("mesh", "identity"):
            if self.avatar is not None and getattr(self, name) is not None:
                raise UserError(
                    f"--avatar and --{name} exclude each other: an avatar has its own shape; leave one out."
                )

    @property
    def modes(self) -> np.ndarray | None:
        """--identity as numbers."""
        return numbers("--identity", self.identity)


@dataclass(frozen=True, kw_only=True)
class Moved:
    """How the head moves."""

    strength: str | None = None
    """How far parts move: a number for the face, or head=0.8,mouth=1.2,eyes=1,brows=1."""
    only: str | None = None
    """Parts that move, the others stay still: head, mouth, eyes, brows, with commas."""
    still: bool = False
    """No head movement, no blinks."""
    pose: str | None = None
    """Yaw,pitch,roll added to the head's, degrees."""
    blinks: str | None = None
    """Seconds at which the eyes close, with commas, or none; else as the head has them."""
    seed: int = ranged(0, least=0)
    """Of the head movement that is made up."""
    fps: float = ranged(30.0, least=1, most=240)
    """Frames a second."""

    @property
    def strengths(self) -> "Strength":
        """--strength and --only.

        Raises:
            UserError: if they name what does not exist.
        """
        from talkinghead.motion.strength import Strength

        return Strength.parse(self.strength, self.only)

    @property
    def whole_face(self) -> float:
        """How much larger all expressions are made; 1 where the face's parts differ.

        Raises:
            UserError: if they differ and a shaded head speaks, which moves as a whole.
        """
        factors = {self.strengths.mouth, self.strengths.eyes, self.strengths.brows}
        if len(factors) > 1 and getattr(self, "avatar", None) is None:
            given = f"--strength is {self.strength}" if self.only is None else f"--only is {self.only}"
            raise UserError(f"{given}, but a shaded head's face moves as a whole; give a number, or --avatar.")
        return factors.pop() if len(factors) == 1 else 1.0

    @property
    def parts(self) -> "Strength":
        """What is left of the strengths after `whole_face` and the head's."""
        return replace(self.strengths, head=1.0) if self.whole_face == 1 else type(self.strengths)()

    @property
    def rate_of_frames(self) -> Fraction:
        """--fps as the fraction that it is near."""
        return Fraction(self.fps).limit_denominator(1001)

    @property
    def shut(self) -> list[float] | None:
        """--blinks as seconds."""
        found = numbers("--blinks", self.blinks)
        return None if found is None else found.tolist()

    @property
    def turn(self) -> np.ndarray | None:
        """--pose in radians.

        Raises:
            UserError: if it is not three angles within 90 degrees.
        """
        degrees = numbers("--pose", self.pose)
        if degrees is not None and (degrees.shape != (3,) or np.abs(degrees).max() > 90):
            raise UserError(f"--pose is {self.pose}; give yaw, pitch and roll in degrees, within 90, like 20,0,0.")
        return None if degrees is None else np.radians(degrees)


@dataclass(frozen=True, kw_only=True)
class Options(Shown, Moved, Machine):
    """Let a person speak: a voice, or a text, moves an avatar or a shaded head, and is heard in sync."""

    voice: str
    """A sound file, or a text."""
    output: Path
    """The clip to write, an .mp4."""
    model: str = "karras"
    """How speech becomes movement: karras, pham, voca, or a .speech.safetensors."""
    emotion: str | None = None
    """Karras: name, number, several: 0=0.5,1=0.5, or a vector."""
    style: str | None = None
    """VOCA: a style's name or number, or several: 2=0.5,7=0.5."""
    reference: Path | None = None
    """Head pose and blinks of this video or motion."""
    save_motion: Path | None = None
    """Keep the movement in this file."""
    save_voice: Path | None = None
    """Keep what was made of a text, a .wav."""
    tts_command: str | None = None
    """Speaks a text: a command with {output}, and {text} or the text on stdin."""
    language: str = "en-us"
    """espeak-ng's voice for a text."""
    provenance: bool = True
    """Write into the clip of an avatar that it was made by AI, of whom, with whose consent."""
    overwrite: bool = False
    """Replace files that exist."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference is not None and self.still:
            raise UserError("--reference and --still exclude each other; leave one out.")


VERB = Verb("speak", Options, positional=("voice",), examples=EXAMPLES)


@dataclass(frozen=True)
class Voice:
    """What is said."""

    waveform: np.ndarray
    sample_rate: int
    path: Path
    """A media file with it."""
    kept_as: Path | None
    """Where it lies when the command has ended; None if it goes."""


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    (options,) = VERB.parse(argv)
    refuse_outputs(options)
    speak(options)


def refuse_outputs(options: Options) -> None:
    """Raise UserError if an output has another suffix, exists, or is an input."""
    from talkinghead.media.files import refuse_existing

    if options.output.suffix.lower() != ".mp4":
        raise UserError(f"--output is {options.output}; give a name that ends in .mp4.")
    read = (options.avatar, options.mesh, options.reference, Path(options.model), Path(options.voice))
    inputs = [path.absolute() for path in read if path is not None]
    for path in filter(None, (options.output, options.save_motion, options.save_voice)):
        refuse_existing(path, overwrite=options.overwrite)
        if path.absolute() in inputs:
            raise UserError(f"{path} would be written over what it is made from; give another name.")


def speak(options: Options) -> None:
    """Hear, move the face and the head, render.

    Raises:
        UserError: if an option has no meaning, or an input cannot be used.
    """
    from talkinghead.media.files import outputs
    from talkinghead.speech.model import load_model
    from talkinghead.speech.speaking.head_motion import edited
    from talkinghead.speech.speaking.speaking_head import join, with_blendshapes

    modes, turn, shut, fps = options.modes, options.turn, options.shut, options.rate_of_frames
    speaker, place = load_model(options.model), options.place
    kept = (options.output, options.save_motion, options.save_voice)
    with outputs(*kept, overwrite=options.overwrite), heard(options) as said:
        style, emotion = choice(options.style), choice(options.emotion)
        spoken = speaker.predict(said.waveform, said.sample_rate, fps=fps, speaker=style, emotion=emotion)
        if not len(spoken):
            raise UserError(f"{said.path}: the sound is shorter than a frame.")
        moved = head_for(spoken, said, options, place)
        moved = replace(moved, pose=(options.strengths.head * moved.pose).astype(np.float32))
        head = edited(moved, spoken.fps, pose=turn, blinks=shut)
        moves, rig = join(spoken, head, speaker, mesh=options.mesh, identity=modes, strength=options.whole_face)
        moves = replace(moves, sound=said.path)
        if rig is None and shut is not None:
            raise UserError("nobody knows where the eyes of the model's mesh are; leave --blinks out.")
        if options.save_motion is not None:
            movement = moves if rig is None else with_blendshapes(moves, rig)
            replace(movement, sound=said.kept_as).save(options.save_motion, overwrite=options.overwrite)
        render(moves, rig, options, place)
    log.info("%d frames, %.1f s: %s", len(moves), moves.seconds, options.output)


@contextmanager
def heard(options: Options) -> Iterator[Voice]:
    """The voice in a file, or a text spoken into one, which is kept under a name or removed after the block.

    Raises:
        UserError: if the file does not exist or has no sound, or the text cannot be spoken.
    """
    from talkinghead.media.audio import read_sound, write_sound
    from talkinghead.media.files import atomic_path
    from talkinghead.speech.speech_synthesis import speak_text

    voice, path = options.voice, Path(options.voice)
    if len(voice) < 256 and path.is_file():
        yield Voice(*read_sound(path), path, kept_as=path)
        return
    if path.suffix.lower() in SOUNDS:
        raise UserError(f"{voice}: there is no such file; give a sound file, or a text to be spoken.")
    said = speak_text(voice, command=options.tts_command, voice=options.language)
    with ExitStack() as stack:
        if options.save_voice is None:
            target = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "voice.wav"
        else:
            target = stack.enter_context(atomic_path(options.save_voice, overwrite=options.overwrite))
        write_sound(target, said.waveform, said.sample_rate)
        yield Voice(said.waveform, said.sample_rate, target, kept_as=options.save_voice)


def head_for(spoken: "SpeechMotion", said: Voice, options: Options, place: str) -> "HeadMotion":
    """How the head is held: as in the reference, not moved, or made up to go with the voice."""
    from talkinghead.speech.speaking import head_motion

    if options.still:
        return head_motion.still(len(spoken))
    if options.reference is not None:
        followed = read_driver(options.reference, detector="auto", device=place)
        if not followed.confidence.any():
            raise UserError(f"{options.reference}: no frame shows a face; give a reference in which one is seen.")
        return head_motion.follow(followed, len(spoken), spoken.fps)
    loud = head_motion.loudness_of(said.waveform, said.sample_rate, spoken.fps, frames=len(spoken))
    return head_motion.generate(len(spoken), spoken.fps, loudness=loud, seed=options.seed)


def render(moves: "Motion", rig: "Rig | None", options: Options, place: str) -> None:
    """Write the clip: of the avatar, or of the shaded head.

    Raises:
        UserError: if an avatar is to be moved by a mesh that has no landmarks.
    """
    from talkinghead.rig.shade import rig_colours
    from talkinghead.speech.speaking.mesh_clip import write_mesh_clip
    from talkinghead.speech.speaking.to_motion import Likeness

    output, overwrite = options.output, options.overwrite
    with bar("rendering") as report:
        if options.avatar is None:
            colours = None if rig is None else rig_colours(rig)
            write_mesh_clip(moves, output, size=options.size, colours=colours, overwrite=overwrite, progress=report)
            return
        if rig is None:
            raise UserError("the model's mesh has no landmarks, so it cannot move an avatar; leave --avatar out.")

        from talkinghead.media.video import VideoWriter
        from talkinghead.portrait.avatar.avatar import Avatar
        from talkinghead.portrait.avatar.retargeting import ReenactmentConfig
        from talkinghead.portrait.deployment.runtimes import network_by

        person = Avatar.load(options.avatar)
        person.network = network_by(options.runtime, person)
        config = ReenactmentConfig(view=options.view)
        landmarks = Likeness.of(rig, person.source_landmarks).landmarks(moves, options.parts)
        animation = person.animate(landmarks, config, device=place)
        origin = person.origin(Path(options.voice)) if options.provenance else None
        with VideoWriter(output, fps=moves.fps, sound=moves.sound, origin=origin, overwrite=overwrite) as writer:
            for done, frame in enumerate(animation, 1):
                writer.write(frame)
                report(done, len(animation))


def choice(text: str | None) -> int | str | np.ndarray | dict[int | str, float] | None:
    """What --emotion and --style name: a number, a name, numbers with commas between, or names and numbers with their
    weights, like 2=0.5,7=0.5."""
    if text is None:
        return None
    if text.isdigit():
        return int(text)
    parts = text.split(",")
    try:
        if "=" in text:
            pairs = [part.rsplit("=", 1) for part in parts]
            return {int(name) if name.strip().isdigit() else name.strip(): float(weight) for name, weight in pairs}
        return np.array([float(part) for part in parts], np.float32)
    except ValueError:
        return text


def numbers(option: str, text: str | None) -> np.ndarray | None:
    """An option's numbers with commas between; "none" is an empty list of them.

    Raises:
        UserError: if they are no numbers.
    """
    if text is None:
        return None
    try:
        found = np.array([float(part) for part in text.split(",") if text != "none"])
    except ValueError:
        found = np.array([np.nan])
    if not np.isfinite(found).all():
        raise UserError(f"{option} is {text!r}; give numbers with commas between, like 1.5,-1.")
    return found
