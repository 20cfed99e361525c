"""RAVDESS: emotional sentences of 24 actors, whose file names say everything.

A name such as 01-01-06-01-02-01-12.mp4 holds: modality (01 film with sound, 02 film alone, 03 sound alone), channel (01
speech, 02 song), emotion, intensity (01 normal, 02 strong), sentence, repetition, actor.

References:
    Livingstone and Russo 2018, The Ryerson Audio-Visual Database of Emotional Speech and Song.
    Pham et al. 2017, section 4 (films with sound; the split by actors is that of the authors' later code).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from talkinghead.errors import UserError
from talkinghead.media.audio import read_sound
from talkinghead.media.files import is_hidden
from talkinghead.speech.corpora.recordings import Recording, Source, Take, key_of

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
SENTENCES = ("Kids are talking by the door", "Dogs are sitting by the door")
FILM, SOUND = 1, 3
SPEECH = 1
LAST_TRAINING_ACTOR = 20
"""Actors 1-20 are for training, 21-24 for the test."""

SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".wav", ".flac")
_NAME = re.compile(r"\d\d(-\d\d){6}")

Tracker = Callable[[Path, str], list[Take]]
"""Turns a film of a speaker (a name) into takes."""


@dataclass(frozen=True)
class RavdessName:
    """What a file name says."""

    modality: int
    channel: int
    emotion: str
    strong: bool
    sentence: str
    repetition: int
    actor: int

    @classmethod
    def parse(cls, stem: str) -> "RavdessName":
        """Read a name without its suffix.

        Raises:
            ValueError: if it is not a name of RAVDESS.
        """
        if not _NAME.fullmatch(stem):
            raise ValueError(f"{stem!r} is not seven numbers of two digits")
        modality, channel, emotion, intensity, sentence, repetition, actor = map(int, stem.split("-"))
        in_range = modality in (1, 2, 3) and channel in (1, 2) and intensity in (1, 2) and 1 <= actor <= 24
        if not in_range or not 1 <= emotion <= len(EMOTIONS) or not 1 <= sentence <= len(SENTENCES):
            raise ValueError(f"{stem!r} holds a number that RAVDESS does not use")
        text = SENTENCES[sentence - 1]
        return cls(modality, channel, EMOTIONS[emotion - 1], intensity == 2, text, repetition, actor)

    @property
    def split(self) -> str:
        """ "train" or "test"."""
        return "train" if self.actor <= LAST_TRAINING_ACTOR else "test"


def find_ravdess(folder: Path, track: Tracker) -> Source:
    """The spoken sentences of a folder (songs are left out). A sound of which there is a film too is left out.

    Files of sound alone become sequences without a motion, to be listened to and spoken to.

    Args:
        folder: searched through and through.
        track: what turns a film into takes.

    Raises:
        UserError: if there is no such file.
    """
    found: dict[str, tuple[Path, RavdessName]] = {}
    for path in sorted(path for path in Path(folder).rglob("*-*") if path.suffix.lower() in SUFFIXES):
        if is_hidden(path, Path(folder)):
            continue
        try:
            name = RavdessName.parse(path.stem)
        except ValueError:
            continue
        if name.channel == SPEECH and name.modality in (FILM, SOUND):
            found.setdefault(path.stem[3:], (path, name))  # films sort before sounds
    if not found:
        raise UserError(f"{folder}: no speech of RAVDESS (such as 01-01-06-01-02-01-12.mp4); give its folder.")
    recordings = [
        Recording(
            name=path.stem,
            speaker=f"actor{name.actor:02d}",
            split=name.split,
            sentence=name.sentence,
            emotion=name.emotion,
            key=key_of("ravdess 1", path),
            read=partial(_read, path, name, track),
        )
        for path, name in found.values()
    ]
    return Source("ravdess", sorted(recordings, key=lambda one: (one.speaker, one.name)))


def _read(path: Path, name: RavdessName, track: Tracker) -> list[Take]:
    if name.modality == FILM:
        return track(path, f"actor{name.actor:02d}")
    waveform, rate = read_sound(path)
    return [Take(waveform, rate, None, about={"strong": name.strong})]
