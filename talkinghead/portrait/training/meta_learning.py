"""Meta-learning: the few-shot head trained on episodes, each a K-shot task of its own.

References:
    Zakharov et al. 2019, section 3.2.
"""

import logging
import shutil
import weakref
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

from talkinghead.portrait.data.episodes import Episode
from talkinghead.portrait.networks.compositing import generate
from talkinghead.portrait.networks.discriminator import VideoColumns
from talkinghead.portrait.networks.head import FewShotHead, folded, respectral, widened
from talkinghead.portrait.networks.layers import SpectralWeight
from talkinghead.portrait.training.adam import AdamWithoutMomentum
from talkinghead.portrait.training.adversarial_losses import adversarial_terms, matching, tell_apart
from talkinghead.portrait.training.config import MetaLearningConfig
from talkinghead.training.ema import follow, warmed_up

log = logging.getLogger(__name__)

_ADAM_EPS = 1e-5
_SNAPSHOT_EVERY = 200
_MOST_ROLLBACKS = 10


class MetaLearning(LightningModule):
    """Embedder, generator and discriminator in adversarial training.

    Lightning counts an optimiser step as a step; ``self.step`` counts batches.

    Args:
        config: sizes, rates and weights.
        content: the content loss, with its weights.
        num_videos: columns of W.

    References:
        Zakharov et al. 2019, section 3.2.
    """

    steps_done: Tensor
    rate_scale: Tensor

    def __init__(self, config: MetaLearningConfig, content: nn.Module, *, num_videos: int):
        super().__init__()
        self.automatic_optimization = False
        self.config, self.columns_lr = config, config.columns_lr or config.discriminator_lr
        self.head = FewShotHead(config.portrait)
        self.columns = VideoColumns(num_videos, config.portrait.embedding_dim)
        self.averaged = nn.ModuleDict(
            {name: folded(getattr(self.head, name)) for name in ("embedder", "generator")}
        ).requires_grad_(False)
        self.content = content
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.int64))
        self.register_buffer("rate_scale", torch.ones(()))
        self.rollbacks = 0
        self._snapshot: Path | None = None

    def start_from(self, head: FewShotHead) -> None:
        """Take the weights of a folded head instead of random ones; W, the optimisers and the step start anew.

        Raises:
            UserError: if its sizes do not fit.
        """
        self.head = respectral(widened(head, self.config.portrait)).train()
        for name, network in self.averaged.items():
            network.load_state_dict(folded(getattr(self.head, name)).state_dict())

    @property
    def step(self) -> int:
        """Batches learnt from so far."""
        return int(self.steps_done)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        generator = [*self.head.embedder.parameters(), *self.head.generator.parameters()]
        return [
            AdamWithoutMomentum(generator, lr=self.config.generator_lr, eps=_ADAM_EPS),
            AdamWithoutMomentum(self.head.discriminator.parameters(), lr=self.config.discriminator_lr, eps=_ADAM_EPS),
        ]

    def training_step(self, batch: Episode) -> None:
        if self.step % _SNAPSHOT_EVERY == 0:
            self._keep_snapshot()
        rate = float(self.rate_scale) * self._decay()
        adversarial = self.step >= self.config.warm_up
        fake, terms = self._generator_step(batch, rate, adversarial=adversarial)
        if adversarial:
            for _ in range(self.config.discriminator_steps):
                terms |= self._discriminator_step(batch, fake, rate)
        if not all(torch.isfinite(value) for value in terms.values()):
            self._roll_back(terms)
            return
        self._average()
        self.steps_done += 1
        self.log_dict({f"train/{name}": value for name, value in terms.items()})
        self.log("train/rate", self.config.generator_lr * rate)

    def _generator_step(self, batch: Episode, rate: float, *, adversarial: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Update embedder and generator; gives the fake frames, detached, and the loss terms."""
        optimiser = self._optimiser(0, self.config.generator_lr * rate)
        self.head.discriminator.requires_grad_(False)
        embedding, each = self.head.embedder.average(batch["source_frames"], batch["source_landmark_images"])
        params = self.head.generator.project(embedding)
        fake = generate(self.head.generator, batch["target_landmark_image"], params, batch.get("warped_source"))
        column = self.columns.table[batch["video_index"]]
        terms = {"content": self.content(fake, batch["target_frame"], batch["target_landmarks"])}
        if adversarial:
            terms["match"] = matching(each, column)
            terms |= adversarial_terms(
                self.head.discriminator, fake, batch["target_frame"], batch["target_landmark_image"], column
            )
        optimiser.zero_grad()
        self.manual_backward(self.config.loss_weights.total(terms))
        self.head.discriminator.requires_grad_(True)
        norm = self._clipped_step(optimiser)
        return fake.detach(), {name: value.detach() for name, value in terms.items()} | {"generator_norm": norm}

    def _discriminator_step(self, batch: Episode, fake: Tensor, rate: float) -> dict[str, Tensor]:
        """Update discriminator and W on real and fake frames together."""
        optimiser = self._optimiser(1, self.config.discriminator_lr * rate)
        column = self.columns.rows(batch["video_index"])
        loss, terms = tell_apart(
            self.head.discriminator, fake, batch["target_frame"], batch["target_landmark_image"], column
        )
        optimiser.zero_grad()
        self.manual_backward(loss)
        norm = self._clipped_step(optimiser)
        self._update_columns(batch["video_index"], column, self.columns_lr * rate)
        return terms | {"discriminator_norm": norm}

    def _update_columns(self, index: Tensor, column: Tensor, rate: float) -> None:
        gradient = column.grad
        assert gradient is not None
        if self.trainer.world_size > 1:
            index, gradients = self._gathered(index).flatten(), self._gathered(gradient)
            gradient = gradients.flatten(0, 1) / self.trainer.world_size
        if torch.isfinite(gradient).all():
            self.columns.update(index, gradient, lr=rate)

    def _gathered(self, tensor: Tensor) -> Tensor:
        """The tensor of every process, along a new first axis."""
        everywhere = self.all_gather(tensor)
        assert isinstance(everywhere, Tensor)
        return everywhere

    def _optimisers(self) -> list[Any]:
        """Lightning's wrappers of the generator's and the discriminator's optimiser."""
        both = self.optimizers()
        assert isinstance(both, list)
        return both

    def _optimiser(self, which: int, rate: float) -> torch.optim.Optimizer:
        optimiser = self._optimisers()[which]
        for group in optimiser.param_groups:
            group["lr"] = rate
        return optimiser  # type: ignore[no-any-return]

    def _clipped_step(self, optimiser: torch.optim.Optimizer) -> Tensor:
        """Clip here, because Lightning ignores its own setting under manual optimisation; no step on a bad gradient."""
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(parameters, self.config.clip)
        if torch.isfinite(norm):
            optimiser.step()
        optimiser.zero_grad()  # no gradient is kept while the other optimiser's turn takes its memory
        return norm.detach()

    def _decay(self) -> float:
        if not self.config.decay_to or self.step <= self.config.decay_from:
            return 1.0
        return max(0.01, 1 - (self.step - self.config.decay_from) / (self.config.decay_to - self.config.decay_from))

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged networks towards the weights in use, after spectral normalisation."""
        decay = warmed_up(self.config.ema, self.step)
        for name, mean in self.averaged.items():
            current = getattr(self.head, name)
            for ours, theirs in zip(mean.modules(), current.modules(), strict=True):
                for key, value in ours.named_parameters(recurse=False):
                    is_weight = key == "weight" and isinstance(theirs, SpectralWeight)
                    follow([value], [theirs.current() if is_weight else getattr(theirs, key)], decay)

    def _keep_snapshot(self) -> None:
        """Remember all that learns, on disk: in memory it would take as much room again as the training itself."""
        learnt = {name: value for name, value in self.state_dict().items() if not name.startswith("content.")}
        if self._snapshot is None:
            folder = Path(mkdtemp(prefix="talkinghead-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._snapshot = folder / "snapshot.pt"
        torch.save({"model": learnt, "optimisers": [one.state_dict() for one in self._optimisers()]}, self._snapshot)

    def _roll_back(self, terms: dict[str, Tensor]) -> None:
        """Return to the last snapshot at half the learning rates.

        Raises:
            RuntimeError: if that has happened too often to hope.
        """
        bad = ", ".join(name for name, value in terms.items() if not torch.isfinite(value))
        self.rollbacks += 1
        if self.rollbacks > _MOST_ROLLBACKS or self._snapshot is None:
            raise RuntimeError(f"training diverged at step {self.step} ({bad}) {self.rollbacks} times; lower the rates")
        rate = float(self.rate_scale) / 2
        here = self.step
        snapshot = torch.load(self._snapshot, map_location=self.device, weights_only=True)
        self.load_state_dict(snapshot["model"], strict=False)  # the frozen networks stay as they are
        for optimiser, state in zip(self._optimisers(), snapshot["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.rate_scale.fill_(rate)
        self.steps_done.fill_(here + 1)  # past the batch that did it
        log.warning("step %d: %s not finite; back to the last snapshot, learning rates x %.3g", here, bad, rate)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen content networks and Lightning's loop counters out: the step is ours to count."""
        checkpoint.pop("loops", None)
        state = checkpoint["state_dict"]
        for name in [name for name in state if name.startswith("content.")]:
            del state[name]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the content networks back where the checkpoint left them out; W starts anew on other videos."""
        own = self.state_dict()
        kept: tuple[str, ...] = ("content.",)
        if checkpoint["state_dict"]["columns.table"].shape != own["columns.table"].shape:
            log.warning("the checkpoint knows other videos: their columns start anew")
            kept += ("columns.",)
        checkpoint["state_dict"].update({name: value for name, value in own.items() if name.startswith(kept)})

    def shipped_head(self) -> FewShotHead:
        """The averaged embedder and generator with the discriminator, folded."""
        head = FewShotHead(self.config.portrait, spectral=False)
        head.embedder.load_state_dict(self.averaged["embedder"].state_dict())
        head.generator.load_state_dict(self.averaged["generator"].state_dict())
        head.discriminator.load_state_dict(folded(self.head.discriminator).state_dict())
        return head.eval()
