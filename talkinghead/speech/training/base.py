"""What the three trainings share: batches that can be drawn again, one LightningModule."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from talkinghead.speech.corpora.sequences import Track
from talkinghead.speech.model import SpeechModel
from talkinghead.speech.training.recipe import Recipe
from talkinghead.training.ema import follow
from talkinghead.training.host_numbers import HostNumbers

Batch = dict[str, Tensor]


class Batches:
    """Batches that depend on nothing but the seed and the step, so that a resumed run goes on as if never stopped."""

    def __init__(self, tracks: list[Track], seed: int):
        self.tracks, self.seed = tracks, seed
        lengths = np.array([len(track) for track in tracks], np.float64)
        self.share = lengths / lengths.sum()

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0."""
        return self.draw(np.random.default_rng((self.seed, step)))

    def draw(self, random: np.random.Generator) -> Batch:
        """One batch. For subclasses."""
        raise NotImplementedError


class _Steps(IterableDataset[Batch]):
    def __init__(self, batches: Batches, first: int, last: int):
        self.batches, self.first, self.last = batches, first, last

    def __iter__(self) -> Iterator[Batch]:
        for step in range(self.first, self.last):
            yield self.batches.batch(step)


class SpeechData(LightningDataModule):
    """The batches of the steps that are still to go."""

    def __init__(self, batches: Batches, *, steps: int, first_step: int = 0):
        super().__init__()
        self.batches, self.steps, self.first_step = batches, steps, first_step

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(_Steps(self.batches, self.first_step, self.steps), batch_size=None)


class SpeechTraining(HostNumbers):
    """One network, its losses, one optimiser. Subclasses say which terms, and what is shipped.

    Args:
        network: to be trained.
        recipe: how.
        steps: batches in all, for the course of the learning rate.
    """

    steps_done: int
    tracks: list[Track]

    def __init__(self, network: nn.Module, recipe: Recipe, steps: int):
        super().__init__(steps_done=0)
        self.network, self.recipe, self.steps = network, recipe, steps
        self.averaged = nn.ModuleDict({"module": copy.deepcopy(network)}).requires_grad_(False)
        self.averaged.register_buffer("n_averaged", torch.zeros((), dtype=torch.long))
        self._has_average = False

    @property
    def step(self) -> int:
        """Batches learnt from."""
        return self.steps_done

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of a batch by name, weighted: their sum is what is minimised."""
        raise NotImplementedError

    def rate(self, step: int) -> float:
        """What the learning rate is multiplied by at a step: a short ramp, then a cosine to nothing."""
        ramp = min(1.0, (step + 1) / min(100, max(self.steps // 10, 1)))
        return ramp * (0.5 + 0.5 * float(np.cos(np.pi * min(step / self.steps, 1.0))))

    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups of the optimiser."""
        return [{"params": list(self.network.parameters())}]

    def shipped(self, provenance: dict[str, Any]) -> SpeechModel:
        """The model as it is used."""
        raise NotImplementedError

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = self.recipe.lr * self.rate(self.step)
        terms = self.terms(batch)
        total = torch.stack(list(terms.values())).sum()
        self.log_dict({f"train/{name}": value.detach() for name, value in terms.items()} | {"train/total": total})
        return total

    def configure_gradient_clipping(self, optimizer: Any, *arguments: Any, **settings: Any) -> None:
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.parameters(), self.recipe.clip)

    def optimizer_step(self, *arguments: Any, **settings: Any) -> None:
        """One step; it counts at once, before callbacks look."""
        super().optimizer_step(*arguments, **settings)
        self.steps_done += 1
        if self.recipe.ema:
            kept, network = self.averaged["module"], self.network
            self._has_average = self._has_average or bool(self.averaged.n_averaged)  # on a GPU asked once
            decay = self.recipe.ema if self._has_average else 0.0
            for values in (nn.Module.parameters, nn.Module.buffers):
                follow(values(kept), values(network), decay)
            self.averaged.n_averaged.add_(1)  # type: ignore[operator]
            self._has_average = True

    def best_network(self) -> nn.Module:
        """The averaged network where weights are averaged, otherwise the network."""
        return self.averaged["module"] if self.recipe.ema else self.network

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.groups(), lr=self.recipe.lr)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave Lightning's loop counters out: the step is ours to count."""
        checkpoint.pop("loops", None)
