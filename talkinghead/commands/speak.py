"""speak: a voice or a text -> a talking avatar, or a shaded head."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkinghead.commands import best_device, run_command
from talkinghead.commands.driver import read_driver
from talkinghead.commands.progress import bar
from talkinghead.commands.speak_options import choice, numbers, turn
from talkinghead.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from talkinghead.motion.motion import Motion
    from talkinghead.rig.rig import Rig
    from talkinghead.speech.model import SpeechMotion
    from talkinghead.speech.speaking.head_motion import HeadMotion

log = logging.getLogger(__name__)

SOUNDS = {".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".aiff", ".mp4", ".mov", ".mkv", ".webm", ".avi"}
"""What is never taken for a text."""

_EPILOG = """Examples:

talkinghead speak voice.wav --avatar anna.avatar.safetensors -o anna_speaks.mp4

talkinghead speak "Good morning, and welcome." --avatar anna.avatar.safetensors -o welcome.mp4      (needs espeak-ng)

talkinghead speak voice.wav -o head.mp4 --model pham      (no avatar: a shaded head)

talkinghead speak voice.wav -o head.mp4 --model voca --mesh somebody.ply --style 2=0.5,7=0.5

talkinghead speak voice.wav -o head.mp4 --model voca --identity 1.5,-1 --pose 20,0,0 --blinks 0.4,2.1

talkinghead speak voice.wav --avatar a.avatar.safetensors -o a.mp4 --reference interview.mp4

ffmpeg -i voice.wav -f s16le -ac 1 -ar 16000 - | talkinghead speak - --live --avatar a.avatar.safetensors -o live.mp4

talkinghead speak mic --live -o window --identity 1.5,-1 --pose 20,0,0
"""


@dataclass(frozen=True)
class Voice:
    """What is said."""

    waveform: "np.ndarray"
    sample_rate: int
    path: Path
    """A media file with it."""
    passing: bool = False
    """The file goes when the command ends."""


def speak(
    voice: Annotated[str, typer.Argument(help="A sound file, a text, or with --live: - (PCM on stdin) or mic.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .mp4; with --live also - (raw RGB) or window.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="How speech becomes movement: karras (default; live, pham), pham, voca, or a .speech.safetensors."
        ),
    ] = None,
    avatar: Annotated[Path | None, typer.Option(help="The person: a file made by talkinghead fine-tune.")] = None,
    mesh: Annotated[
        Path | None,
        typer.Option(help="Without an avatar: a head to show, .ply or .obj of the model's topology or a rig."),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option(help="Without an avatar: the head's first shape modes, standard deviations with commas."),
    ] = None,
    emotion: Annotated[
        str | None, typer.Option(help="Karras: name, number, several: 0=0.5,1=0.5, or a vector.")
    ] = None,
    style: Annotated[str | None, typer.Option(help="VOCA: a style's name or number, or several: 2=0.5,7=0.5.")] = None,
    strength: Annotated[float, typer.Option(min=0, help="Expressions are made this many times larger.")] = 1.0,
    reference: Annotated[Path | None, typer.Option(help="Head pose and blinks of this video or motion.")] = None,
    still: Annotated[bool, typer.Option("--still", help="No head movement, no blinks.")] = False,
    pose: Annotated[str | None, typer.Option(help="Yaw,pitch,roll added to the head's, degrees.")] = None,
    blinks: Annotated[
        str | None,
        typer.Option(help="Seconds at which the eyes close, with commas, or none; else as the head has them."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the head movement that is made up.")] = 0,
    fps: Annotated[float, typer.Option(min=1, max=240, help="Frames a second.")] = 30.0,
    size: Annotated[int, typer.Option(min=16, help="Side of a shaded picture, pixels.")] = 384,
    save_motion: Annotated[Path | None, typer.Option(help="Keep the movement in this file.")] = None,
    save_voice: Annotated[Path | None, typer.Option(help="Keep what was made of a text, a .wav.")] = None,
    tts_command: Annotated[
        str | None, typer.Option(help="Speaks a text: a command with {output}, and {text} or the text on stdin.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="espeak-ng's voice for a text; en-us by default.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Stream: sound in, frames out, with Pham's model.")] = False,
    rate: Annotated[int, typer.Option(min=8000, help="Live: Hz of the 16-bit mono PCM that comes in.")] = 16000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
) -> None:
    """Let a person speak: a voice, or a text, moves an avatar or a shaded head, and is heard in sync."""
    from talkinghead.media.files import refuse_existing

    if reference is not None and still:
        raise UserError("--reference and --still exclude each other; leave one out.")
    if avatar is not None and mesh is not None:
        raise UserError("--avatar and --mesh exclude each other; leave one out.")
    if avatar is not None and identity is not None:
        raise UserError("--avatar and --identity exclude each other: an avatar has its own shape; leave one out.")
    modes, held, shut = numbers("--identity", identity), turn(pose), numbers("--blinks", blinks)
    if live:
        unheard = {
            "--emotion": emotion,
            "--style": style,
            "--reference": reference,
            "--save-motion": save_motion,
            "--save-voice": save_voice,
            "--tts-command": tts_command,
            "--language": language,
        }
        if given := [name for name, value in unheard.items() if value is not None]:
            raise UserError(f"--live does not take {', '.join(given)}; leave that out.")
        from talkinghead.commands.speak_live import speak_live

        speak_live(
            voice,
            output,
            model=model or "pham",
            avatar=avatar,
            mesh=mesh,
            identity=modes,
            still=still,
            pose=held,
            blinks=shut,
            seed=seed,
            strength=strength,
            rate=rate,
            fps=Fraction(fps).limit_denominator(1001),
            size=size,
            device=best_device(device),
            overwrite=overwrite,
        )
        return
    if output.suffix.lower() != ".mp4":
        raise UserError(f"--output is {output}; give a name that ends in .mp4.")
    written = [path for path in (output, save_motion, save_voice) if path is not None]
    read = [path for path in (avatar, mesh, reference, Path(model or "karras"), Path(voice)) if path is not None]
    for path in written:
        refuse_existing(path, overwrite=overwrite)
        if any(path.absolute() == other.absolute() for other in read):
            raise UserError(f"{path} would be written over what it is made from; give another name.")
    from talkinghead.speech.model import load_model
    from talkinghead.speech.speaking.head_motion import edited
    from talkinghead.speech.speaking.speaking_head import join, with_blendshapes

    speaker = load_model(model or "karras")
    where = best_device(device)
    with heard(voice, command=tts_command, language=language or "en-us", keep=save_voice, overwrite=overwrite) as said:
        spoken = speaker.predict(
            said.waveform,
            said.sample_rate,
            fps=Fraction(fps).limit_denominator(1001),
            speaker=choice(style),
            emotion=choice(emotion),
        )
        if not len(spoken):
            raise UserError(f"{said.path}: the sound is shorter than a frame.")
        head = head_for(spoken, said, reference=reference, still=still, seed=seed, device=where)
        head = edited(head, spoken.fps, pose=held, blinks=None if shut is None else shut.tolist())
        moves, rig = join(spoken, head, speaker, mesh=mesh, identity=modes, strength=strength)
        moves = replace(moves, sound=said.path)
        if rig is None and shut is not None:
            raise UserError("nobody knows where the eyes of the model's mesh are; leave --blinks out.")
        if save_motion is not None:
            kept = moves if rig is None else with_blendshapes(moves, rig)
            (replace(kept, sound=None) if said.passing else kept).save(save_motion, overwrite=overwrite)
        render(moves, rig, output, avatar=avatar, size=size, device=where, overwrite=overwrite)
    log.info("%d frames, %.1f s: %s", len(moves), moves.seconds, output)


def main(argv: list[str]) -> None:
    """Run the command with the arguments that follow its name."""
    run_command(speak, argv, epilog=_EPILOG)


@contextmanager
def heard(
    voice: str,
    *,
    command: str | None = None,
    language: str = "en-us",
    keep: Path | None = None,
    overwrite: bool = False,
) -> Iterator[Voice]:
    """The voice in a file, or a text spoken into one, which is kept under a name or removed after the block.

    Raises:
        UserError: if the file does not exist or has no sound, or the text cannot be spoken.
    """
    import soundfile

    from talkinghead.media.audio import read_sound
    from talkinghead.media.files import atomic_path
    from talkinghead.speech.speech_synthesis import speak_text

    path = Path(voice)
    if len(voice) < 256 and path.is_file():
        yield Voice(*read_sound(path), path)
        return
    if path.suffix.lower() in SOUNDS:
        raise UserError(f"{voice}: there is no such file; give a sound file, or a text to be spoken.")
    said = speak_text(voice, command=command, voice=language)
    with tempfile.TemporaryDirectory() as folder:
        target = keep or Path(folder) / "voice.wav"
        with atomic_path(target, overwrite=overwrite) as temporary:
            soundfile.write(temporary, said.waveform, said.sample_rate)
        yield Voice(said.waveform, said.sample_rate, target, passing=keep is None)


def head_for(
    spoken: "SpeechMotion", said: Voice, *, reference: Path | None, still: bool, seed: int, device: str
) -> "HeadMotion":
    """How the head is held: as in the reference, not moved, or made up to go with the voice."""
    from talkinghead.speech.speaking import head_motion

    if still:
        return head_motion.still(len(spoken))
    if reference is not None:
        followed = read_driver(reference, detector="auto", device=device)
        if not followed.confidence.any():
            raise UserError(f"{reference}: no frame shows a face; give a reference in which one is seen.")
        return head_motion.follow(followed, len(spoken), spoken.fps)
    loud = head_motion.loudness_of(said.waveform, said.sample_rate, spoken.fps, frames=len(spoken))
    return head_motion.generate(len(spoken), spoken.fps, loudness=loud, seed=seed)


def render(
    moves: "Motion", rig: "Rig | None", output: Path, *, avatar: Path | None, size: int, device: str, overwrite: bool
) -> None:
    """Write the clip: of the avatar, or of the shaded head.

    Raises:
        UserError: if an avatar is to be moved by a mesh that has no landmarks.
    """
    from talkinghead.rig.shade import rig_colours
    from talkinghead.speech.speaking.mesh_clip import write_mesh_clip
    from talkinghead.speech.speaking.to_motion import Likeness

    with bar("rendering") as report:
        if avatar is None:
            colours = None if rig is None else rig_colours(rig)
            write_mesh_clip(moves, output, size=size, colours=colours, overwrite=overwrite, progress=report)
            return
        if rig is None:
            raise UserError("the model's mesh has no landmarks, so it cannot move an avatar; leave --avatar out.")

        from talkinghead.media.video import VideoWriter
        from talkinghead.portrait.avatar.avatar import Avatar

        person = Avatar.load(avatar)
        animation = person.animate(Likeness.of(rig, person.source_landmarks).landmarks(moves), device=device)
        with VideoWriter(output, fps=moves.fps, sound=moves.sound, overwrite=overwrite) as writer:
            for done, frame in enumerate(animation, 1):
                writer.write(frame)
                report(done, len(animation))
