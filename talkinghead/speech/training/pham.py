"""How Pham's network learns any speaker: stretches of frames from all of them."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.sequences import Track
from talkinghead.speech.model import PhamModel
from talkinghead.speech.pham2017 import (
    PhamConfig,
    PhamNetwork,
    expression_loss,
    rotation_loss,
    sparsity_loss,
    to_quaternion,
    velocity_loss,
)
from talkinghead.speech.training.base import Batch, Batches, SpeechTraining
from talkinghead.speech.training.recipe import Recipe

_LEAST_DEVIATION = 0.02
_LEAST_ROTATION = 0.01
_LEAST_OPENING = 5e-4
_STILL = 1e-6
_MFCC_LEVEL = 3 * 128
"""Column of the first MFCC of the first window: the only features that know the level."""


@dataclass(frozen=True)
class PhamRecipe(Recipe):
    """Pham et al. 2017, section 4; depth, width and rates are those of the authors' next paper."""

    kind = "pham"

    lr: float = 1e-3
    ema: float = 0.99
    hidden: int = 256
    layers: int = 3
    dropout: float = 0.2
    stretches: int = 16
    """Stretches in a batch."""
    frames: int = 100
    """Frames of a stretch."""
    speeds: tuple[float, ...] = (1.0,)
    """Each sound is heard at these speeds (and pitches), the face with it."""
    loudness: float = 6.0
    """Standard deviation, decibels, of the level that a stretch is played at."""
    channel: float = 0.0
    """Size of a constant added to each feature of a stretch, in the feature's deviations: another microphone."""
    noise: float = 0.0
    """Size of what is added to each feature of each frame, in the feature's deviations."""
    balance: float = 1.0
    """Tracks are drawn by their length to this power: 1 by length, 0 all alike."""
    taught: float = 0.5
    """Share of stretches that come from sounds whose faces a model said, where there are both these and others."""
    rotation: float = 1.0
    """Weight of the head's rotation."""
    velocity: float = 0.0
    """Weight of the change from frame to frame; not in the paper."""
    mouth: float = 0.0
    """Weight of how far the mouth is open, and with `velocity` of how that changes; not in the paper."""
    sparsity: float = 0.0
    """Weight of the mean expression; 0.1 in the authors' next code."""

    def training(self, tracks: list[Track], steps: int, seed: int) -> "PhamTraining":
        return PhamTraining(self, tracks, steps, seed)

    def batches(self, tracks: list[Track], seed: int) -> "PhamBatches":
        return PhamBatches(tracks, seed, self)


class PhamBatches(Batches):
    """Stretches of features with the faces that belong to them."""

    def __init__(self, tracks: list[Track], seed: int, recipe: PhamRecipe):
        super().__init__(tracks, seed)
        self.recipe = recipe
        self.share = shares(self.share**recipe.balance, np.array([track.taught for track in tracks]), recipe.taught)
        self.features = {speed: [track.pham(speed) for track in tracks] for speed in recipe.speeds}

    def draw(self, random: np.random.Generator) -> Batch:
        chosen = random.choice(len(self.tracks), self.recipe.stretches, p=self.share)
        parts = [self.stretch(random, int(number)) for number in chosen]
        return {name: torch.from_numpy(np.stack([part[name] for part in parts])) for name in parts[0]}

    def stretch(self, random: np.random.Generator, number: int) -> dict[str, np.ndarray]:
        """Features, expressions, rotation, and which frames count, of one stretch; short tracks are padded."""
        track, count = self.tracks[number], self.recipe.frames
        speed = self.recipe.speeds[int(random.integers(len(self.recipe.speeds)))]
        features = self.features[speed][number]
        first = int(random.integers(0, max(len(features) - count, 0) + 1))
        frames = np.minimum(np.arange(first, first + count), len(features) - 1)
        times = frames * speed / float(track.fps)
        part = features[frames].copy()
        # a level of x dB moves the first cepstral coefficient by x times the root of the number of bands
        part[:, _MFCC_LEVEL : _MFCC_LEVEL + 39 : 13] += np.sqrt(128) * self.recipe.loudness * random.standard_normal()
        pose, sure = turned(track)
        closest = track.closest(times)
        inside = (np.arange(first, first + count) < len(features)).astype(np.float32)
        return {
            "features": part,
            "expressions": track.weights_at(times),
            "rotation": pose[closest],
            "counts": inside * track.confidence[closest],
            "turns": inside * sure,
        }


def shares(size: Float[np.ndarray, " n"], taught: Bool[np.ndarray, " n"], part: float) -> Float[np.ndarray, " n"]:
    """How often each track is drawn, in proportion to its size; those that are taught make up `part` if there are
    others too."""
    if not taught.any() or taught.all():
        return size / size.sum()
    return np.where(taught, part * size / size[taught].sum(), (1 - part) * size / size[~taught].sum())


def turned(track: Track) -> tuple[np.ndarray, float]:
    """Rotation (t, 3) as quaternions' vector parts, less their mean over the track, and 1; 0 if the head's pose is not
    known, or was held still."""
    if track.pose is None or float(track.pose.std(0).max()) < _STILL:
        return np.zeros((len(track), 3), np.float32), 0.0
    vector = to_quaternion(track.pose)
    return vector - vector.mean(0), 1.0


class PhamTraining(SpeechTraining):
    """The LSTM stack on stretches that start from silence."""

    network: PhamNetwork
    deviation: Tensor
    turning: Tensor
    shut: Tensor
    opened: Tensor
    opening: Tensor

    def __init__(self, recipe: PhamRecipe, tracks: list[Track], steps: int, seed: int):
        network = PhamNetwork(PhamConfig(hidden=recipe.hidden, layers=recipe.layers, dropout=recipe.dropout))
        weights = torch.from_numpy(np.concatenate([track.weights_at(_times(track)) for track in tracks]))
        pairs = [turned(track) for track in tracks]
        rotation = torch.from_numpy(np.concatenate([pose for pose, sure in pairs if sure] or [pairs[0][0]]))
        features = torch.from_numpy(np.concatenate([track.pham()[:: 1 + len(weights) // 20000] for track in tracks]))
        network.start_from(features, weights, rotation)
        super().__init__(network, recipe, steps)
        self.settings, self.tracks = recipe, tracks
        self.register_buffer("deviation", weights.std(0).clamp_min(_LEAST_DEVIATION))
        self.register_buffer("turning", rotation.std(0).clamp_min(_LEAST_ROTATION))
        shut, opened = default_rig().lip_gap()
        self.register_buffer("shut", torch.from_numpy(shut))
        self.register_buffer("opened", torch.from_numpy(opened))
        self.register_buffer("opening", self.mouth(weights).std(0).clamp_min(_LEAST_OPENING))

    def mouth(self, expressions: Float[Tensor, "*b n"]) -> Float[Tensor, "*b 1"]:
        """How far the mouth is open, metres."""
        return (self.shut + expressions @ self.opened).norm(dim=-1, keepdim=True)

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        rotation, expressions, _ = self.network(self.disturbed(batch["features"]))
        counts, turns = batch["counts"][..., None].sqrt(), batch["turns"][..., None]
        truth = batch["expressions"]
        weights = self.settings
        terms = {"expression": expression_loss(expressions * counts, truth * counts, self.deviation)}
        if weights.rotation:
            loss = rotation_loss(rotation * turns, batch["rotation"] * turns, self.turning)
            terms["rotation"] = weights.rotation * loss
        if weights.velocity:
            loss = velocity_loss(expressions * counts, truth * counts, self.deviation)
            terms["velocity"] = weights.velocity * loss
        if weights.mouth:
            said, seen = self.mouth(expressions) * counts, self.mouth(truth) * counts
            loss = expression_loss(said, seen, self.opening) + weights.velocity * velocity_loss(
                said, seen, self.opening
            )
            terms["mouth"] = weights.mouth * loss
        if weights.sparsity:
            terms["sparsity"] = weights.sparsity * sparsity_loss(expressions)
        return terms

    def disturbed(self, features: Float[Tensor, "b t f"]) -> Float[Tensor, "b t f"]:
        """Features as another microphone in another room might have heard them."""
        if not self.training:
            return features
        channel = self.settings.channel * torch.randn_like(features[:, :1])
        noise = self.settings.noise * torch.randn_like(features)
        return features + self.network.deviation * (channel + noise)

    def shipped(self, provenance: dict[str, Any]) -> PhamModel:
        network = copy.deepcopy(self.best_network()).cpu().float().eval()
        assert network.config.expressions == len(RIG_NAMES)  # type: ignore[union-attr]
        return PhamModel(network, self.tracks[0].fps, rig=self.tracks[0].face.rig, provenance=provenance)


def _times(track: Track) -> np.ndarray:
    return np.arange(len(track)) / float(track.fps)
