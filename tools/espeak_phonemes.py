"""When espeak-ng says which phoneme: the events of its library beside the sound."""

import ctypes

from talkinghead.speech.evaluation.checks import Phoneme
from talkinghead.speech.speech_synthesis import VOICE, WORDS_A_MINUTE, Spoken, by_library

_PHONEME_EVENT = 7


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


def speak_with_phonemes(text: str, *, voice: str = VOICE) -> tuple[Spoken, tuple[Phoneme, ...]]:
    """A text as sound, and the phonemes in it with their times."""
    heard: list[tuple[str, float]] = []

    def note(events: int) -> None:
        listed = ctypes.cast(events, ctypes.POINTER(_Event))
        index = 0
        while listed[index].type:
            if listed[index].type == _PHONEME_EVENT:
                symbol = listed[index].id.string.decode("utf-8", "replace")
                heard.append((symbol, listed[index].audio_position / 1000))
            index += 1

    said = by_library(text, voice, WORDS_A_MINUTE, on_events=note)
    ends = [start for _, start in heard[1:]] + [len(said.waveform) / said.sample_rate]
    return said, tuple(Phoneme(*one, end) for one, end in zip(heard, ends, strict=True))
