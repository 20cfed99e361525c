"""A corpus of speech: sound and Motion of each sequence, who speaks, what, how, and which split it belongs to.

A corpus is a folder: corpus.json, motions/*.motion.safetensors, sounds/*.flac, and meshes.safetensors where the corpus
is one of meshes. Sound and motion start together: frame `i` is shown at `i / fps` seconds of the sound.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32
from safetensors import SafetensorError
from safetensors.numpy import load_file

from talkinghead.errors import UserError
from talkinghead.media.audio import read_sound
from talkinghead.media.files import read_text
from talkinghead.media.tensors import frame_rate, parse_words
from talkinghead.motion.motion import Motion

FORMAT = "talkinghead.speech_corpus"
VERSION = 1

INDEX = "corpus.json"
MESHES = "meshes.safetensors"
"""Each speaker's neutral mesh, and the triangles under `TOPOLOGY`."""

TOPOLOGY = "topology"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Sequence:
    """One utterance or recording."""

    name: str
    sound: Path
    """FLAC."""
    motion_path: Path | None
    """None where only the sound is known."""
    speaker: str
    sentence: str = ""
    """What is said: a text or its number in the corpus; empty if unknown."""
    emotion: str = ""
    """Empty if unknown."""
    split: str = "train"
    """"train", "val" or "test"."""
    frames: int = 0
    """Of the motion."""
    fps: Fraction = Fraction(30)
    """Of the motion."""
    seconds: float = 0.0
    """Of the sound."""
    checks: dict[str, Any] = field(default_factory=dict)
    """What was measured when the corpus was made (see `speech_checks`)."""

    @property
    def motion(self) -> Motion:
        """The motion, read anew each time; its `sound` is this sequence's.

        Raises:
            UserError: if there is none or the file cannot be read.
        """
        if self.motion_path is None:
            raise UserError(f"{self.name}: this sequence has sound but no motion; use SpeechCorpus.of(split).")
        return replace(Motion.load(self.motion_path), sound=self.sound)

    def audio(self, rate: int) -> Float32[np.ndarray, " s"]:
        """The sound as one channel, -1..1, at `rate` Hz.

        Raises:
            UserError: if the file cannot be read.
        """
        return read_sound(self.sound, sample_rate=rate)[0].astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class SpeechCorpus:
    """Sequences on disk; sound and motion are read when they are asked for."""

    folder: Path
    kind: str
    """Where it comes from: "videos", "facegood", "vocaset", "biwi" or "ravdess"."""
    sequences: tuple[Sequence, ...]
    rig: str | None = None
    """Name of the rig whose expressions the blendshapes are; None where there are none."""
    templates: dict[str, Float32[np.ndarray, "v 3"]] = field(default_factory=dict)
    """Neutral mesh of each speaker, metres; empty where the corpus has no meshes of its own."""
    topology: Int32[np.ndarray, "f 3"] | None = None
    """Triangles of the meshes."""
    identities: dict[str, list[float]] = field(default_factory=dict)
    """The rig's identity weights of each speaker who was tracked, standard deviations."""

    def __len__(self) -> int:
        return len(self.sequences)

    def __iter__(self) -> Iterator[Sequence]:
        return iter(self.sequences)

    def of(self, split: str) -> list[Sequence]:
        """The sequences of a split that have a motion."""
        return [one for one in self.sequences if one.split == split and one.motion_path is not None]

    @property
    def speakers(self) -> tuple[str, ...]:
        """Names of the speakers of the training split, in the order of their one-hot codes; all speakers if none."""
        return _distinct(one.speaker for one in self.of("train") or self.sequences)

    @property
    def emotions(self) -> tuple[str, ...]:
        """Names of the emotions, sorted; empty if unknown."""
        return tuple(sorted({one.emotion for one in self.sequences if one.emotion}))

    @classmethod
    def load(cls, folder: Path) -> "SpeechCorpus":
        """Open what `prepare --speech` made.

        Raises:
            UserError: if the folder holds no corpus, or the corpus is damaged.
        """
        folder = Path(folder)
        index = folder / INDEX
        if not index.is_file():
            raise UserError(
                f"{folder}: no speech corpus here ({INDEX} is missing); run `talkinghead prepare --speech`."
            )
        try:
            about = parse_words(read_text(index))
            if about.get("format") != FORMAT:
                raise ValueError(f"its format is {about.get('format')!r}, not {FORMAT!r}")
            if about["version"] != VERSION:
                raise ValueError(f"its version is {about['version']}, this program reads {VERSION}")
            meshes = load_file(folder / MESHES) if (folder / MESHES).is_file() else {}
            return cls(
                folder=folder,
                kind=about["kind"],
                sequences=tuple(_sequence(folder, line) for line in about["sequences"]),
                rig=about["rig"],
                topology=meshes.pop(TOPOLOGY, None),
                templates=meshes,
                identities=about["identities"],
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError, SafetensorError) as error:
            raise UserError(
                f"{index}: the corpus is damaged ({error}); run `talkinghead prepare --speech` again."
            ) from error


def to_line(sequence: Sequence, folder: Path) -> dict[str, Any]:
    """What corpus.json says of a sequence; paths are relative to the folder."""
    motion = sequence.motion_path
    return {
        "name": sequence.name,
        "sound": sequence.sound.relative_to(folder).as_posix(),
        "motion": None if motion is None else motion.relative_to(folder).as_posix(),
        "speaker": sequence.speaker,
        "sentence": sequence.sentence,
        "emotion": sequence.emotion,
        "split": sequence.split,
        "frames": sequence.frames,
        "fps": str(sequence.fps),
        "seconds": sequence.seconds,
        "checks": sequence.checks,
    }


def _sequence(folder: Path, line: dict[str, Any]) -> Sequence:
    if line["split"] not in SPLITS:
        raise ValueError(f"{line['name']} is in the split {line['split']!r}")
    return Sequence(
        name=line["name"],
        sound=_inside(folder, line["sound"]),
        motion_path=None if line["motion"] is None else _inside(folder, line["motion"]),
        speaker=line["speaker"],
        sentence=line["sentence"],
        emotion=line["emotion"],
        split=line["split"],
        frames=line["frames"],
        fps=frame_rate(line["fps"]),
        seconds=line["seconds"],
        checks=line["checks"],
    )


def _inside(folder: Path, name: str) -> Path:
    """The path of a file of the corpus."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"{name!r} lies outside the corpus")
    return folder / name


def _distinct(names: Iterator[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
