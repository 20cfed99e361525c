"""How Karras's network learns one speaker: segments of adjacent frames, an emotion database, three balanced losses."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from talkinghead.speech.corpora.sequences import DENSE_RATE, Track, sample_offsets
from talkinghead.speech.karras2017 import (
    NOISE,
    WINDOW,
    KarrasConfig,
    KarrasNetwork,
    RunningBalance,
    emotion_loss,
    learning_rate,
    motion_loss,
    position_loss,
    smooth_emotions,
)
from talkinghead.speech.model import KarrasModel
from talkinghead.speech.training.base import Batch, Batches, SpeechTraining
from talkinghead.speech.training.recipe import Recipe

STEP = 4
"""Rows of autocorrelation between adjacent frames of a segment: 32 ms."""
_ROW = 8 * DENSE_RATE // 1000
"""Dense rows between two rows of a window."""
_PCA_FRAMES = 800
_CANDIDATES = 12
_JUDGED = 100


@dataclass(frozen=True)
class KarrasRecipe(Recipe):
    """Karras et al. 2017, section 4, but for what the fields say.

    Raises:
        ValueError: if a segment has fewer than two frames.
    """

    kind = "karras"

    lr: float = 5e-4
    emotion: int = 16
    """Length of the emotion vector."""
    emotion_sigma: float = 0.01
    """Of the emotion database at the start."""
    basis: int = 150
    segments: int = 50
    """Segments in a batch."""
    frames: int = 2
    """Adjacent frames in a segment. 2 are the paper's pairs; more share the analysis of their sound, so that a frame
    costs a third."""
    balanced: bool = True
    """Divide the losses by their running size, as the paper does."""
    loudness: bool = True
    """Multiply each segment's sound by 1.4^N(0, 1), as feature maps are."""

    def __post_init__(self) -> None:
        if self.frames < 2:
            raise ValueError(f"a segment has {self.frames} frames; motion needs at least 2")

    def training(self, tracks: list[Track], steps: int, seed: int) -> "KarrasTraining":
        return KarrasTraining(self, tracks, steps, seed)

    def batches(self, tracks: list[Track], seed: int) -> "KarrasBatches":
        return KarrasBatches(tracks, seed, self)


class KarrasBatches(Batches):
    """Segments at random times, so that sound and face are shifted together by any part of a frame."""

    def __init__(self, tracks: list[Track], seed: int, recipe: KarrasRecipe):
        super().__init__(tracks, seed)
        self.recipe = recipe
        self.first_frame = np.concatenate([[0], np.cumsum([len(track) for track in tracks])])

    def draw(self, random: np.random.Generator) -> Batch:
        chosen = random.choice(len(self.tracks), self.recipe.segments, p=self.share)
        parts = [self.segment(random, int(number)) for number in chosen]
        return {name: torch.from_numpy(np.stack([part[name] for part in parts])) for name in parts[0]}

    def segment(self, random: np.random.Generator, number: int) -> dict[str, np.ndarray]:
        """Sound, offsets and numbers in the emotion database of one segment of a track."""
        track, frames = self.tracks[number], self.recipe.frames
        length = (frames - 1) * STEP * _ROW
        last = len(track.autocorrelation) - (WINDOW - 1) * _ROW - length - 1
        row = int(random.integers(0, max(last, 1)))
        times = (row + STEP * _ROW * np.arange(frames)) / DENSE_RATE
        rows = row + _ROW * np.arange(WINDOW + (frames - 1) * STEP)
        return {
            "features": track.autocorrelation[np.minimum(rows, len(track.autocorrelation) - 1)],
            "offsets": track.offsets(times),
            "emotion": self.first_frame[number] + track.closest(times),
        }


class KarrasTraining(SpeechTraining):
    """The network, and one emotion vector for each training frame, learnt together."""

    network: KarrasNetwork

    def __init__(self, recipe: KarrasRecipe, tracks: list[Track], steps: int, seed: int):
        face = tracks[0].face
        config = KarrasConfig(vertices=len(face.template), emotion=recipe.emotion, basis=recipe.basis)
        network = KarrasNetwork(config)
        network.start_from(sample_offsets(tracks, _PCA_FRAMES, seed))
        super().__init__(network, recipe, steps)
        self.settings, self.tracks = recipe, tracks
        frames = sum(len(track) for track in tracks)
        self.emotions = nn.Parameter(recipe.emotion_sigma * torch.randn(frames, recipe.emotion))
        self.balances = nn.ModuleDict({name: RunningBalance() for name in ("position", "motion", "emotion")})
        self.epoch = max(frames // (recipe.segments * recipe.frames), 1)

    def rate(self, step: int) -> float:
        return learning_rate(step, steps=self.steps, epoch=self.epoch)

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": [*self.network.parameters(), self.emotions]}]

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        features, truth, emotion = batch["features"], batch["offsets"], self.emotions[batch["emotion"]]
        if self.settings.loudness:
            features = features * torch.exp(2 * NOISE * torch.randn(len(features), 1, 1, device=features.device))
        predicted = self.network.forward_segments(features, emotion, STEP).float()
        predicted, truth, emotion = _pairs(predicted), _pairs(truth), _pairs(emotion)
        millimetre = 1e3
        terms = {
            "position": position_loss(predicted * millimetre, truth * millimetre),
            "motion": motion_loss(predicted * millimetre, truth * millimetre),
            "emotion": emotion_loss(emotion),
        }
        if not self.settings.balanced:
            return {name: value.mean() for name, value in terms.items()}
        return {name: self.balances[name](value) for name, value in terms.items()}

    def shipped(self, provenance: dict[str, Any]) -> KarrasModel:
        face, network = self.tracks[0].face, copy.deepcopy(self.best_network()).float().eval()
        assert isinstance(network, KarrasNetwork)
        with torch.no_grad():
            vectors, names = mine_emotions(network, self.tracks, self.emotions.detach().cpu())
            network.cpu().vertices.bias.add_(torch.from_numpy(face.template).flatten())
        return KarrasModel(
            network,
            self.tracks[0].fps,
            rig=face.rig,
            template=face.template,
            topology=None if face.rig else face.topology,
            emotions=vectors,
            emotion_names=names,
            provenance=provenance,
        )


def _pairs(segments: Float[Tensor, "b n *c"]) -> Float[Tensor, "p 2 *c"]:
    """Neighbours in a segment."""
    return torch.stack([segments[:, :-1], segments[:, 1:]], 2).flatten(0, 1)


@torch.no_grad()
def mine_emotions(
    network: KarrasNetwork, tracks: list[Track], database: Float[Tensor, "t e"], *, keep: int = 8, sigma: float = 2.0
) -> tuple[Float32[np.ndarray, "m e"], tuple[str, ...]]:
    """Vectors of the emotion database that serve any sound, the best first.

    The database is smoothed over time; candidates are taken evenly from it; each is held constant over a sample of
    training sound and judged by the squared error of the face. (The authors chose by eye: closed lips in silence and
    at bilabials.)

    Args:
        network: that gives offsets from the template.
        tracks: training data in the database's order.
        database: one vector for each frame.
        keep: vectors at most.
        sigma: of the smoothing, seconds.

    References:
        Karras et al. 2017, section 5.
    """
    smooth = torch.cat(
        [
            smooth_emotions(part, sigma * float(track.fps))
            for part, track in zip(database.split([len(track) for track in tracks]), tracks, strict=True)
        ]
    )
    candidates = torch.cat([smooth.mean(0, keepdim=True), smooth[:: max(len(smooth) // _CANDIDATES, 1)]])
    random = np.random.default_rng(0)
    features, truth = [], []
    for track in tracks:
        times = random.uniform(0, track.seconds, max(4, _JUDGED // len(tracks)))
        rows = np.rint(times * DENSE_RATE).astype(np.int64)[:, None] + _ROW * np.arange(WINDOW)
        features.append(track.autocorrelation[np.minimum(rows, len(track.autocorrelation) - 1)])
        truth.append(track.offsets(times))
    device = next(network.parameters()).device
    maps = network.formant(torch.from_numpy(np.concatenate(features)).to(device)[:, None])
    offsets = torch.from_numpy(np.concatenate(truth)).to(device)
    errors = torch.stack(
        [
            (network.articulate(maps, one.expand(len(maps), -1)) - offsets).square().mean()
            for one in candidates.to(device)
        ]
    )
    order = errors.argsort()[:keep].cpu()
    return candidates[order].numpy(), tuple(f"mined {i}" for i in range(len(order)))
