"""Text -> speech: espeak-ng, as a library or a program, or any command that writes a sound file."""

import ctypes
import ctypes.util
import importlib.util
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from talkinghead.errors import UserError
from talkinghead.media.audio import read_sound

VOICE = "en-us"
WORDS_A_MINUTE = 150
MOST_SECONDS = 600.0
"""A command that takes longer to speak is stopped."""

_PHONEMES_AS_IPA = 0x0001 | 0x0002
_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: sound goes to the callback, not to a device
_UTF8 = 1
_DO_NOT_EXIT = 0x8000
_RATE = 1
_CALLBACK: Callable[..., Any] = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
"""Gets samples, how many, and events."""
_MISSING = (
    "there is nothing here that speaks: install espeak-ng (apt install espeak-ng, brew install espeak-ng, or "
    "pip install espeakng-loader), or give --tts-command."
)


@dataclass(frozen=True)
class Spoken:
    """A text that was spoken."""

    waveform: Float[np.ndarray, " s"]
    """-1..1."""
    sample_rate: int
    """Hz."""


def speak_text(
    text: str, *, command: str | None = None, voice: str = VOICE, words_a_minute: int = WORDS_A_MINUTE
) -> Spoken:
    """A text as sound.

    Args:
        text: what to say.
        command: a program that writes a sound file: `{output}` stands for the file, `{text}` for the text, which comes
            on the standard input where it is not named. None for espeak-ng, as a library if there is one.
        voice: espeak-ng's name of it, such as en-us, de, cmn.
        words_a_minute: how fast.

    Raises:
        UserError: if there is no text or nothing that speaks, the voice is unknown, or the command fails.
    """
    if not text.strip():
        raise UserError("there is no text to speak; give a sentence or a sound file.")
    if command is not None:
        return _by_command(text, command)
    if _library() is not None:
        return by_library(text, voice, words_a_minute)
    program = shutil.which("espeak-ng") or shutil.which("espeak")
    if program is None:
        raise UserError(_MISSING)
    return _by_command(
        text, f"{shlex.quote(program)} -v {shlex.quote(voice)} -s {words_a_minute} -w {{output}} --stdin"
    )


def can_speak() -> str | None:
    """What speaks a text when no command is given: a path, or None."""
    found = _library_paths()
    return str(found[0]) if found else shutil.which("espeak-ng") or shutil.which("espeak")


def _by_command(text: str, command: str) -> Spoken:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "speech.wav"
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise UserError(f"--tts-command {command!r} cannot be read ({error}).") from error
        if not words or not any("{output}" in word for word in words):
            raise UserError(f"--tts-command is {command!r}; it must name the file to write as {{output}}.")
        filled = [word.replace("{output}", str(output)).replace("{text}", text) for word in words]
        said = None if any("{text}" in word for word in words) else text
        try:
            done = subprocess.run(filled, input=said, capture_output=True, text=True, timeout=MOST_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UserError(f"--tts-command {words[0]!r} did not run ({error}).") from error
        if done.returncode or not output.is_file():
            why = (done.stderr.strip().splitlines() or ["it wrote no file"])[-1]
            raise UserError(f"--tts-command {words[0]!r} failed ({why}).")
        waveform, rate = read_sound(output)
    return Spoken(waveform, rate)


def by_library(text: str, voice: str, words_a_minute: int, *, on_events: Callable[[int], None] | None = None) -> Spoken:
    """A text as espeak-ng's library says it.

    Args:
        text: what to say.
        voice: espeak-ng's name of it.
        words_a_minute: how fast.
        on_events: told where in memory the next of espeak-ng's events lie (phonemes as IPA among them).

    Raises:
        UserError: if there is no library, the voice is unknown, or there is nothing to say.
    """
    opened = _library()
    if opened is None:
        raise UserError(_MISSING)
    library, rate = opened
    if library.espeak_SetVoiceByName(voice.encode()):
        raise UserError(f"--voice is {voice!r}, which espeak-ng does not know; try en-us, de or cmn.")
    library.espeak_SetParameter(_RATE, words_a_minute, 0)
    parts: list[bytes] = []

    def collect(samples: int | None, count: int, events: int) -> int:
        if samples and count > 0:
            parts.append(ctypes.string_at(samples, 2 * count))
        if on_events is not None:
            on_events(events)
        return 0

    callback = _CALLBACK(collect)
    library.espeak_SetSynthCallback(callback)
    spelled = text.encode()
    library.espeak_Synth(spelled, len(spelled) + 1, 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    waveform = np.frombuffer(b"".join(parts), np.int16).astype(np.float32) / 32768
    if not len(waveform):
        raise UserError(f"espeak-ng finds nothing to say in {text!r}; give words.")
    return Spoken(waveform, rate)


@cache
def _library() -> tuple[ctypes.CDLL, int] | None:
    """espeak-ng's library, ready, and its sample rate."""
    for path, data in _library_paths():
        try:
            library = ctypes.CDLL(path)
            rate = library.espeak_Initialize(
                _SYNCHRONOUS, 0, data.encode() if data else None, _PHONEMES_AS_IPA | _DO_NOT_EXIT
            )
        except (OSError, AttributeError):
            continue
        if rate > 0:
            return library, rate
    return None


def _library_paths() -> list[tuple[str, str | None]]:
    """Where the library and its voices may be."""
    found: list[tuple[str, str | None]] = []
    system = ctypes.util.find_library("espeak-ng")
    if system:
        found.append((system, None))
    package = importlib.util.find_spec("espeakng_loader")
    if package is not None and package.origin:
        folder = Path(package.origin).parent
        names = ("libespeak-ng.so", "libespeak-ng.dylib", "espeak-ng.dll")
        found += [(str(folder / name), str(folder)) for name in names if (folder / name).is_file()]
    return found
