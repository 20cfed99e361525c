"""How VOCA's network learns several speakers: pairs of consecutive windows, one-hot styles."""

import copy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from talkinghead.speech.corpora.sequences import Track, sample_offsets
from talkinghead.speech.features import windows_at
from talkinghead.speech.model import VocaModel
from talkinghead.speech.training.base import Batch, Batches, SpeechTraining
from talkinghead.speech.training.recipe import Recipe
from talkinghead.speech.voca2019 import POSITION, VELOCITY, VocaConfig, VocaNetwork, position_loss, velocity_loss

_PCA_FRAMES = 800
_SQUARE_MILLIMETRES = 1e6


@dataclass(frozen=True)
class VocaRecipe(Recipe):
    """Cudeiro et al. 2019, section 4."""

    kind = "voca"

    lr: float = 1e-4
    fps: float = 60.0
    """Frames a second inside a window of 16: 60 are 0.27 s of sound, 30 are 0.53 s."""
    backend: str = "hama"
    """Who hears phonemes: hama or wav2vec2."""
    basis: int = 50
    pairs: int = 64
    """Pairs in a batch."""
    speeds: tuple[float, ...] = (1.0,)
    """Each sound is heard at these speeds (and pitches), the face with it."""
    balance: float = 1.0
    """Tracks are drawn by their length to this power: 1 by length, 0 all alike."""
    position: float = POSITION
    velocity: float = VELOCITY
    style_dropout: float = 0.0
    """Share of pairs told an even mixture of all styles, so that it serves when nobody's style is asked for."""

    def training(self, tracks: list[Track], steps: int, seed: int) -> "VocaTraining":
        return VocaTraining(self, tracks, steps, seed)

    def batches(self, tracks: list[Track], seed: int) -> "VocaBatches":
        return VocaBatches(tracks, seed, self)


class VocaBatches(Batches):
    """Pairs of consecutive frames at random times."""

    def __init__(self, tracks: list[Track], seed: int, recipe: VocaRecipe):
        super().__init__(tracks, seed)
        self.recipe = recipe
        self.share = self.share**recipe.balance / (self.share**recipe.balance).sum()
        self.scores = {speed: [track.scores(recipe.backend, speed) for track in tracks] for speed in recipe.speeds}
        self.style = {name: i for i, name in enumerate(speaker_names(tracks))}

    def draw(self, random: np.random.Generator) -> Batch:
        numbers, counts = np.unique(
            random.choice(len(self.tracks), self.recipe.pairs, p=self.share), return_counts=True
        )
        parts = [self.pairs(random, int(number), int(count)) for number, count in zip(numbers, counts, strict=True)]
        batch = {name: torch.from_numpy(np.concatenate([part[name] for part in parts])) for name in parts[0]}
        style = F.one_hot(batch["style"], len(self.style)).float()
        even = torch.from_numpy(random.random(len(style)) < self.recipe.style_dropout)
        batch["style"] = torch.where(even[:, None], 1 / len(self.style), style)
        return batch

    def pairs(self, random: np.random.Generator, number: int, count: int) -> dict[str, np.ndarray]:
        """Windows, offsets and the style's number of pairs of one track."""
        track, fps = self.tracks[number], self.recipe.fps
        speed = self.recipe.speeds[int(random.integers(len(self.recipe.speeds)))]
        now = random.uniform(1 / fps, max(track.seconds / speed, 2 / fps), count)
        times = np.stack([now - 1 / fps, now], 1)
        windows = windows_at(self.scores[speed][number], times.ravel(), fps=Fraction(fps))
        offsets = track.offsets(times.ravel() * speed)
        return {
            "windows": windows.reshape(count, 2, *windows.shape[1:]),
            "offsets": offsets.reshape(count, 2, *offsets.shape[1:]),
            "style": np.full(count, self.style[track.sequence.speaker], np.int64),
            "sure": track.confidence[track.closest(now * speed)],
        }


def speaker_names(tracks: list[Track]) -> tuple[str, ...]:
    """The speakers in the order of their one-hot codes."""
    return tuple(dict.fromkeys(track.sequence.speaker for track in tracks))


class VocaTraining(SpeechTraining):
    """The network on pairs: position, and ten times velocity."""

    network: VocaNetwork

    def __init__(self, recipe: VocaRecipe, tracks: list[Track], steps: int, seed: int):
        self.speakers = speaker_names(tracks)
        config = VocaConfig(vertices=len(tracks[0].face.template), speakers=len(self.speakers), basis=recipe.basis)
        network = VocaNetwork(config)
        network.start_from(sample_offsets(tracks, _PCA_FRAMES, seed))
        super().__init__(network, recipe, steps)
        self.settings, self.tracks = recipe, tracks

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        style = batch["style"].repeat_interleave(2, 0)
        predicted = self.network(batch["windows"].flatten(0, 1), style).float()
        sure = batch["sure"].sqrt()[:, None, None, None]
        predicted = predicted.view(batch["offsets"].shape) * sure
        truth = batch["offsets"] * sure
        return {
            "position": _SQUARE_MILLIMETRES * self.settings.position * position_loss(predicted, truth),
            "velocity": _SQUARE_MILLIMETRES * self.settings.velocity * velocity_loss(predicted, truth),
        }

    def shipped(self, provenance: dict[str, Any]) -> VocaModel:
        face = self.tracks[0].face
        return VocaModel(
            copy.deepcopy(self.best_network()).cpu().float().eval(),
            Fraction(self.settings.fps),
            rig=face.rig,
            template=face.template,
            topology=None if face.rig else face.topology,
            speakers=self.speakers,
            settings={"backend": self.settings.backend},
            provenance=provenance,
        )
