"""A corpus as the trainings read it: each sequence's face at any time, and what it sounds like."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from talkinghead.errors import UserError
from talkinghead.face.frames import between
from talkinghead.media.files import atomic_path
from talkinghead.rig.arkit import RIG_NAMES, to_rig
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.corpus import Sequence, SpeechCorpus
from talkinghead.speech.features import (
    KARRAS_FRAME,
    KARRAS_RATE,
    KARRAS_WINDOW,
    PHAM_RATE,
    frames_autocorrelation,
    full_range,
    pham_features,
    resample,
)
from talkinghead.speech.mouth_range import shut_at_rest
from talkinghead.speech.phonetics import phonetic_scores

DENSE_RATE = 500
"""Rows of autocorrelation a second that training draws its windows from: one every 2 ms."""
_DENSE_HOP = KARRAS_RATE // DENSE_RATE


@dataclass(frozen=True, eq=False)
class Face:
    """What a mesh is made of: rest, and offsets for weights where the corpus has weights instead of meshes."""

    template: Float32[np.ndarray, "v 3"]
    """Metres."""
    topology: Int[np.ndarray, "f 3"]
    basis: Float32[np.ndarray, "k c"] | None = None
    """Offset of each expression at weight 1, flattened, metres; None where the corpus has meshes."""
    rig: str | None = None


@cache
def rig_face() -> Face:
    """The default rig's face."""
    rig = default_rig()
    return Face(rig.neutral, rig.faces, rig.expressions.reshape(len(rig.expressions), -1), rig.name)


@dataclass(frozen=True, eq=False)
class Track:
    """One sequence: sound, and the face over time."""

    sequence: Sequence
    face: Face
    weights: Float32[np.ndarray, "t 46"] | None
    """The rig's expressions; None for meshes."""
    vertices: Float32[np.ndarray, "t v 3"] | None
    """Offsets from the speaker's own template, metres; None for weights."""
    pose: Float32[np.ndarray, "t 3"] | None
    fps: Fraction
    confidence: Float32[np.ndarray, " t"]
    """How sure the face's tracker was, 0..1."""
    cache: Path | None = None
    """Folder for features that take long to compute."""
    taught: bool = False
    """Whether a model said what the face does, so that it is nobody's truth."""

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def seconds(self) -> float:
        """How long the face lasts."""
        return float(len(self) / self.fps)

    def offsets(self, times: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "n v 3"]:
        """Vertices less the template, metres, between frames by linear interpolation."""
        if self.vertices is not None:
            return between(self.vertices, np.asarray(times) * float(self.fps))
        assert self.face.basis is not None
        return (self.weights_at(times) @ self.face.basis).reshape(len(times), -1, 3)

    def weights_at(self, times: Float[np.ndarray, " n"]) -> Float32[np.ndarray, "n 46"]:
        """The rig's weights.

        Raises:
            UserError: if the sequence has meshes instead.
        """
        if self.weights is None:
            raise UserError(f"{self.sequence.name} has meshes but no blendshapes, which Pham's model learns.")
        return between(self.weights, np.asarray(times) * float(self.fps))

    @cached_property
    def autocorrelation(self) -> Float32[np.ndarray, "m 32"]:
        """Karras's rows every 2 ms; row 0 is the first of the window around time 0."""
        waveform = full_range(self.sequence.audio(KARRAS_RATE))
        count = round(self.seconds * DENSE_RATE) + KARRAS_WINDOW // _DENSE_HOP
        starts = _DENSE_HOP * np.arange(count) - KARRAS_WINDOW // 2
        assert KARRAS_FRAME % _DENSE_HOP == 0
        return frames_autocorrelation(waveform, starts)

    def scores(self, backend: str, speed: float = 1.0) -> Float32[np.ndarray, "n d"]:
        """Phonetic scores, 50 a second; kept on disk, because a network computes them."""
        name = sha256(f"{self.sequence.name}|{backend}|{speed:g}".encode()).hexdigest()[:16]
        path = self.cache / f"{name}.npy" if self.cache else None
        if path is not None and path.is_file() and path.stat().st_mtime >= self.sequence.sound.stat().st_mtime:
            return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]
        scores = phonetic_scores(_faster(self.sequence.audio(KARRAS_RATE), KARRAS_RATE, speed), backend)
        if path is not None:
            with atomic_path(path, overwrite=True) as temporary:
                np.save(temporary, scores)
        return scores

    def pham(self, speed: float = 1.0) -> Float32[np.ndarray, "n 537"]:
        """Pham's feature of each frame of the sound played `speed` times as fast."""
        waveform = _faster(self.sequence.audio(PHAM_RATE), PHAM_RATE, speed)
        features = pham_features(np.pad(waveform, (0, PHAM_RATE)), self.fps)
        return features[: int(len(self) / speed)]

    def closest(self, times: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The frame nearest to each time."""
        return np.clip(np.rint(times * float(self.fps)).astype(np.int64), 0, len(self) - 1)


def read_tracks(folders: list[Path], split: str) -> list[Track]:
    """The sequences of a split of corpora, as tracks.

    All must have the same kind of face: the default rig's expressions, or meshes of one topology.

    Raises:
        UserError: if a folder is no corpus, or the corpora do not fit together.
    """
    tracks: list[Track] = []
    for folder in folders:
        corpus = SpeechCorpus.load(folder)
        tracks += [read_track(one, corpus) for one in corpus.of(split)]
    shapes = {track.face.template.shape for track in tracks}
    if len(shapes) > 1:
        raise UserError(f"the corpora have meshes of {' and '.join(str(s[0]) for s in sorted(shapes))} vertices.")
    return tracks


def read_track(sequence: Sequence, corpus: SpeechCorpus) -> Track:
    """One sequence of a corpus.

    Raises:
        UserError: if it has neither blendshapes nor vertices with a template.
    """
    motion = sequence.motion
    weights, vertices = None, None
    if motion.blendshapes is not None:
        weights, face = to_rig(motion.blendshapes, motion.blendshape_names), rig_face()
        assert weights.shape[1] == len(RIG_NAMES)
        if corpus.kind == "videos":
            weights = shut_at_rest(weights)
    elif motion.vertices is not None and sequence.speaker in corpus.templates and corpus.topology is not None:
        template = corpus.templates[sequence.speaker]
        vertices, face = motion.vertices - template, Face(template, corpus.topology)
    else:
        raise UserError(f"{sequence.name}: it has neither blendshapes nor vertices with a template of its speaker.")
    cache = corpus.folder / "features"
    # Meshes that were captured have no landmarks, so that nothing was unsure about them.
    confidence = motion.confidence if motion.confidence.any() else np.ones_like(motion.confidence)
    taught = corpus.kind == "sounds"
    return Track(sequence, face, weights, vertices, motion.pose, motion.fps, confidence, cache, taught)


def sample_offsets(tracks: list[Track], count: int, seed: int = 0) -> torch.Tensor:
    """Offsets (count, v, 3) of frames drawn evenly from all tracks, for principal components."""
    random = np.random.default_rng(seed)
    lengths = np.array([len(track) for track in tracks])
    which = random.choice(len(tracks), count, p=lengths / lengths.sum())
    parts = [
        tracks[i].offsets(random.uniform(0, tracks[i].seconds, n))
        for i, n in zip(*np.unique(which, return_counts=True), strict=True)
    ]
    return torch.from_numpy(np.concatenate(parts))


def _faster(waveform: Float32[np.ndarray, " s"], rate: int, speed: float) -> Float32[np.ndarray, " r"]:
    """The sound played `speed` times as fast, and as much higher."""
    return waveform if speed == 1 else resample(waveform, round(rate * speed), rate)
