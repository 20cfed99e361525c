"""live: sound in from stdin or a microphone, frames out while it comes."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from talkinghead.commands.options import Machine, Verb, ranged
from talkinghead.commands.speak import Moved, Shown
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from talkinghead.motion.motion import Motion
    from talkinghead.provenance.origin import Origin
    from talkinghead.rig.rig import Rig
    from talkinghead.speech.speaking.live import LiveFace, LiveSound

log = logging.getLogger(__name__)

BLOCK_SECONDS = 0.01
"""Sound is read in portions of this; a frame waits for the end of one."""

Sink = Callable[[np.ndarray], None]
"""Takes a frame."""


EXAMPLES = """
talkinghead live mic -o window --avatar anna.avatar.safetensors
talkinghead live mic -o window --identity 1.5,-1 --pose 20,0,0   (no avatar: a shaded head)
ffmpeg -i voice.wav -f s16le -ac 1 -ar 16000 - | talkinghead live - --avatar anna.avatar.safetensors -o live.mp4
"""


@dataclass(frozen=True, kw_only=True)
class Options(Shown, Moved, Machine):
    """Let a person speak while you do: sound goes in, frames come out, until the sound ends or you press Ctrl-C."""

    voice: str
    """mic, or - for PCM on stdin."""
    output: Path
    """window, an .mp4, or - for raw RGB on stdout."""
    model: str = "pham"
    """How speech becomes movement: pham, or a .speech.safetensors of its kind, which does not hear the future."""
    rate: int = ranged(16000, least=8000)
    """Hz of the 16-bit mono PCM that comes in."""
    overwrite: bool = False
    """Replace a file that exists."""


VERB = Verb("live", Options, positional=("voice",), examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    live(*VERB.parse(argv))


def live(options: Options) -> None:
    """Stream until the sound ends or the user interrupts, then say how late the frames were.

    Raises:
        UserError: if the sound is neither - nor mic, the output is none of -, window and an .mp4, or a part is missing,
            or the mesh has another topology than the model's or fewer identity modes than numbers.
    """
    from talkinghead.speech.speaking.live import LiveSound

    face = make_face(options)
    blocks = sound_blocks(options.voice, options.rate, round(options.rate * BLOCK_SECONDS))
    paint, origin = painter(options, face.rig)
    sound, late = LiveSound(options.rate), list[float]()
    with ExitStack() as stack:
        show = open_sink(options, stack, sound, origin)
        try:
            for waveform, last in with_end(blocks):
                began = time.perf_counter()
                sound.add(waveform)
                moves = face.feed(waveform, last=last)
                if moves is not None:
                    for frame in paint(moves):
                        show(frame)
                    late.append(time.perf_counter() - began)
        except (KeyboardInterrupt, BrokenPipeError):
            log.info("stopped")
        if not late:
            raise UserError("no frame was made: the sound was shorter than a frame.")
    say_how_late(late, options.rate_of_frames, face.frames)


def make_face(options: Options) -> "LiveFace":
    """What hears the sound and moves.

    Raises:
        UserError: if the model hears the future, or does not fit the mesh.
    """
    from talkinghead.speech.model import PhamModel, load_model
    from talkinghead.speech.speaking.live import LiveFace, LiveStyle
    from talkinghead.speech.speaking.speaking_head import speaking_rig

    modes, turn, shut = options.modes, options.turn, options.shut
    hearing = load_model(options.model)
    if not isinstance(hearing, PhamModel):
        raise UserError(f"live needs a pham model, and {options.model} is {hearing.kind}, which hears the future.")
    style = LiveStyle(options.still, options.seed, options.whole_face, turn, shut)
    rig = speaking_rig(mesh=options.mesh, identity=modes)
    return LiveFace(hearing, rig, rate=options.rate, fps=options.rate_of_frames, style=style)


def say_how_late(late: list[float], fps: Fraction, frames: int) -> None:
    """A line on how long after its sound a frame was shown, of seconds that each took."""
    usual, most = (1000 * float(np.quantile(late[1:] or late, share)) for share in (0.5, 0.95))
    own, wait = 1000 / float(fps), 1000 * BLOCK_SECONDS
    log.info(
        "%d frames, each shown %.0f ms after its sound began: %.0f ms of sound, up to %.0f until it is read, %.0f to "
        "compute (95 %% of frames: below %.0f)",
        *(frames, own + wait + usual, own, wait, usual, most),
    )


def with_end(blocks: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, bool]]:
    """The blocks, each with whether it is the last, which is an empty one."""
    for waveform in blocks:
        yield waveform, False
    yield np.zeros(0, np.float32), True


def sound_blocks(voice: str, rate: int, samples: int) -> Iterator[np.ndarray]:
    """The sound as it comes, -1..1, a block at a time.

    Raises:
        UserError: if it is neither - nor mic, or the microphone cannot be opened.
    """
    if voice == "-":
        return _from_stdin(samples)
    if voice == "mic":
        return _from_microphone(rate, samples)
    raise UserError(f"live hears - (16-bit mono PCM on stdin) or mic, not {voice!r}.")


def _from_stdin(samples: int) -> Iterator[np.ndarray]:
    while block := sys.stdin.buffer.read(2 * samples):
        yield np.frombuffer(block[: len(block) // 2 * 2], "<i2").astype(np.float32) / 32768


def _from_microphone(rate: int, samples: int) -> Iterator[np.ndarray]:
    try:
        sounddevice = import_module("sounddevice")
    except (ImportError, OSError) as error:
        raise UserError(f"the microphone needs sounddevice (pip install sounddevice): {error}.") from error
    try:
        stream = sounddevice.InputStream(rate, samples, channels=1, dtype="float32")
    except sounddevice.PortAudioError as error:
        raise UserError(f"the microphone cannot be opened: {error}.") from error

    def heard() -> Iterator[np.ndarray]:
        with stream:
            while True:
                yield stream.read(samples)[0][:, 0]

    return heard()


def painter(options: Options, rig: "Rig") -> "tuple[Callable[[Motion], Iterator[np.ndarray]], Origin | None]":
    """What makes frames of the rig's motion, the avatar or the shaded head, and what a clip says."""
    if options.avatar is None:
        from talkinghead.rig.shade import rig_colours
        from talkinghead.speech.speaking.mesh_clip import mesh_frames, mesh_view

        colours, view = rig_colours(rig), mesh_view(rig.neutral)
        return lambda moves: mesh_frames(moves, size=options.size, colours=colours, view=view), None

    from talkinghead.portrait.avatar.avatar import Avatar
    from talkinghead.portrait.avatar.retargeting import ReenactmentConfig
    from talkinghead.portrait.deployment.runtimes import network_by
    from talkinghead.speech.speaking.to_motion import Likeness

    person = Avatar.load(options.avatar)
    person.network = network_by(options.runtime, person)
    likeness = Likeness.of(rig, person.source_landmarks)
    animator = person.animator(config=ReenactmentConfig(view="head"), device=options.place)
    return lambda moves: iter(animator.animate(likeness.landmarks(moves))), person.origin()


def open_sink(options: Options, stack: ExitStack, sound: "LiveSound", origin: "Origin | None") -> Sink:
    """Where frames go: an .mp4 with its sound, raw RGB on stdout, or a window.

    Raises:
        UserError: if it is something else, or the file exists.
    """
    output, fps, overwrite = options.output, options.rate_of_frames, options.overwrite
    if str(output) == "-":
        return _to_stdout
    if str(output) == "window":
        return _window()
    if output.suffix.lower() != ".mp4":
        raise UserError(f"--output is {output}; give an .mp4, - for raw RGB on stdout, or window.")
    from talkinghead.media.video import VideoWriter

    return stack.enter_context(VideoWriter(output, fps=fps, sound=sound, origin=origin, overwrite=overwrite)).write


def _to_stdout(frame: np.ndarray) -> None:
    sys.stdout.buffer.write(frame.tobytes())
    sys.stdout.buffer.flush()


def _window() -> Sink:
    import cv2

    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("there is no display for a window; give an .mp4 or -.")  # OpenCV would abort the program

    def show(frame: np.ndarray) -> None:
        cv2.imshow("talkinghead", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        if cv2.waitKey(1) & 0xFF in (27, ord("q")):
            raise KeyboardInterrupt

    return show
