"""What readers of speech corpora find: recordings, each of which can be read into takes of sound and motion."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int32

from talkinghead.motion.motion import Motion

FORMAT = 2
"""Counted up when the same recordings give other sequences than before."""


@dataclass(frozen=True, eq=False)
class Take:
    """Sound and motion that start together."""

    waveform: Float[np.ndarray, " s"]
    """-1..1."""
    sample_rate: int
    motion: Motion | None
    """None where only the sound is known."""
    identity: list[float] | None = None
    """Weights of the rig's identity modes, if the speaker was tracked."""
    about: dict[str, Any] = field(default_factory=dict)
    """What the reader measured, for the report."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Something that a reader can turn into takes."""

    name: str
    speaker: str
    split: str
    key: str
    """Changes when the recording or the way it is read changes (see `key_of`)."""
    read: Callable[[], list[Take]]
    """Gives its takes; raises UserError if it cannot be read."""
    sentence: str = ""
    emotion: str = ""


@dataclass(frozen=True, eq=False)
class Source:
    """What a reader found."""

    kind: str
    recordings: list[Recording]
    rig: str | None = None
    """Name of the rig whose expressions the blendshapes are."""
    templates: dict[str, Float32[np.ndarray, "v 3"]] = field(default_factory=dict)
    topology: Int32[np.ndarray, "f 3"] | None = None
    about: dict[str, Any] = field(default_factory=dict)
    """Notes for the report."""


@dataclass
class SpeechRecord:
    """What became of a recording: a line of the report."""

    name: str
    speaker: str
    split: str
    fate: str = "rejected"
    """"kept" or "rejected"."""
    why: str = ""
    """The reason for a rejection."""
    takes: list[dict[str, Any]] = field(default_factory=list)
    """What was measured of each take, and its fate."""
    sequences: list[dict[str, Any]] = field(default_factory=list)
    """Lines of corpus.json."""
    identity: list[float] | None = None


def key_of(*facts: object) -> str:
    """A name for what something is made from: files (their size and date count) and settings."""
    described: list[object] = [FORMAT]
    for fact in facts:
        if isinstance(fact, Path):
            state = fact.stat()
            described.append([fact.name, state.st_size, state.st_mtime_ns])
        else:
            described.append(fact)
    return hashlib.sha256(json.dumps(described, default=str).encode()).hexdigest()[:24]
