"""Meta-learning: the few-shot head trained on episodes, each a K-shot task of its own.

References:
    Zakharov et al. 2019, section 3.2.
"""

import logging
import shutil
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from torch import Tensor, distributed, nn

from talkinghead.media.files import atomic_path
from talkinghead.portrait.data.episodes import Episode
from talkinghead.portrait.networks.compositing import generate
from talkinghead.portrait.networks.discriminator import VideoColumns
from talkinghead.portrait.networks.head import FewShotHead, filled, folded, respectral, widened
from talkinghead.portrait.networks.layers import SpectralWeight
from talkinghead.portrait.training.adam import AdamWithoutMomentum
from talkinghead.portrait.training.adversarial_losses import adversarial_terms, matching, tell_apart
from talkinghead.portrait.training.config import MetaLearningConfig
from talkinghead.training.ema import follow, warmed_up
from talkinghead.training.host_numbers import HostNumbers

log = logging.getLogger(__name__)

_ADAM_EPS = 1e-5
SNAPSHOT = ".snapshot.pt"
_SNAPSHOT_EVERY = 200
_SNAPSHOT_SHARE = 0.01
"""Of the time: where a snapshot takes long, they are rarer."""
_MOST_ROLLBACKS = 10


class MetaLearning(HostNumbers):
    """Embedder, generator and discriminator in adversarial training.

    Lightning counts an optimiser step as a step; ``self.step`` counts batches. A step waits for the GPU once, to hear
    whether its numbers are finite.

    Args:
        config: sizes, rates and weights.
        content: the content loss, with its weights.
        videos: the names of the training videos, one for each column of W.

    References:
        Zakharov et al. 2019, section 3.2.
    """

    steps_done: int
    rate_scale: float

    def __init__(self, config: MetaLearningConfig, content: nn.Module, *, videos: Sequence[str]):
        super().__init__(steps_done=0, rate_scale=1.0)
        self.automatic_optimization = False
        self.config, self.columns_lr = config, config.columns_lr or config.discriminator_lr
        self.head = FewShotHead(config.portrait)
        self.columns = VideoColumns(videos, config.portrait.embedding_dim)
        self.averaged = nn.ModuleDict(
            {name: folded(getattr(self.head, name)) for name in ("embedder", "generator")}
        ).requires_grad_(False)
        self.content = content
        self.rollbacks = 0
        self.scratch: Path | None = None
        """Where snapshots lie: the run's folder, where the next run finds what a killed one left; else the system's."""
        self._snapshot: Path | None = None
        self._next_snapshot = (0, 0.0)

    def start_from(self, head: FewShotHead) -> None:
        """Take the weights of a folded head instead of random ones; W, the optimisers and the step start anew.

        Raises:
            UserError: if its sizes do not fit.
        """
        self.head = respectral(widened(head, self.config.portrait)).train()
        for name, network in self.averaged.items():
            network.load_state_dict(folded(getattr(self.head, name)).state_dict())

    def compile_networks(self, backend: str | Callable[..., Any] = "inductor") -> None:
        """Let `torch.compile` fuse what the networks do; each is one graph, and gives the numbers that it gave.

        The compiler decides for itself which maps of the embedder to make twice.
        """
        self.head.embedder.remade = 0
        networks = (self.head.embedder, self.head.generator, self.head.discriminator, *self.content.children())
        for network in networks:
            network.compile(backend=backend, dynamic=False)

    @property
    def step(self) -> int:
        """Batches learnt from so far."""
        return self.steps_done

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        generator = [*self.head.embedder.parameters(), *self.head.generator.parameters()]
        return [
            AdamWithoutMomentum(generator, lr=self.config.generator_lr, eps=_ADAM_EPS),
            AdamWithoutMomentum(self.head.discriminator.parameters(), lr=self.config.discriminator_lr, eps=_ADAM_EPS),
        ]

    def training_step(self, batch: Episode) -> None:
        if self.step >= self._next_snapshot[0] and time.monotonic() >= self._next_snapshot[1]:
            self._keep_snapshot()
        rate = self.rate_scale * self._decay()
        adversarial = self.step >= self.config.warm_up
        fake, terms = self._generator_step(batch, rate, adversarial=adversarial)
        if adversarial:
            for _ in range(self.config.discriminator_steps):
                terms |= self._discriminator_step(batch, fake, rate)
        if not self._finite_everywhere(terms):
            self._roll_back(terms)
            return
        self._average()
        self.steps_done += 1
        self.log_dict({f"train/{name}": value for name, value in terms.items()})
        self.log("train/rate", torch.full((), self.config.generator_lr * rate, device=self.device))

    def _finite_everywhere(self, terms: dict[str, Tensor]) -> bool:
        """Whether the terms are finite in all processes, which must go back together or not at all."""
        fine = torch.isfinite(torch.stack([value.float() for value in terms.values()])).all().float()
        if self.trainer.world_size > 1:
            distributed.all_reduce(fine, distributed.ReduceOp.MIN)
        return bool(fine)

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
        self._backward(self.config.loss_weights.total(terms))
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
        self._backward(loss)
        norm = self._clipped_step(optimiser)
        self._update_columns(batch["video_index"], column, self.columns_lr * rate)
        return terms | {"discriminator_norm": norm}

    def _update_columns(self, index: Tensor, column: Tensor, rate: float) -> None:
        gradient = column.grad
        assert gradient is not None
        if self.trainer.world_size > 1:
            index, gradients = self._gathered(index).flatten(), self._gathered(gradient)
            gradient = gradients.flatten(0, 1) / self.trainer.world_size
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

    def _backward(self, loss: Tensor) -> None:
        """Gradients of this process alone: DDP would bring together those of all networks, of which half have none."""
        trainer: Any = self.trainer
        with trainer.strategy.block_backward_sync() if trainer.world_size > 1 else nullcontext():
            self.manual_backward(loss)

    def _averaged_over_processes(self, gradients: list[Tensor]) -> None:
        """The mean of all processes' gradients, in their place, by one message."""
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat.div_(self.trainer.world_size)
        parts = flat.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(old) for part, old in zip(parts, gradients, strict=True)])

    def _clipped_step(self, optimiser: torch.optim.Optimizer) -> Tensor:
        """Clip here, because Lightning ignores its own setting under manual optimisation.

        What a gradient that is not finite does to the weights is undone at the end of the step.
        """
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        if self.trainer.world_size > 1:
            self._averaged_over_processes([p.grad for p in parameters if p.grad is not None])
        norm = nn.utils.clip_grad_norm_(parameters, self.config.clip)
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
        means, values = [], []
        for name, mean in self.averaged.items():
            current = getattr(self.head, name)
            for ours, theirs in zip(mean.modules(), current.modules(), strict=True):
                for key, value in ours.named_parameters(recurse=False):
                    is_weight = key == "weight" and isinstance(theirs, SpectralWeight)
                    means.append(value)
                    values.append(theirs.current() if is_weight else getattr(theirs, key))
        follow(means, values, warmed_up(self.config.ema, self.step))

    def _keep_snapshot(self) -> None:
        """Remember all that learns, on disk: in memory it would take as much room again as the training itself.

        The first process does it for all. W is left out: its update takes no gradient that is not finite.
        """
        began = time.monotonic()
        if self._snapshot is None:
            folder = self.scratch
            if folder is None:
                folder = Path(mkdtemp(prefix="talkinghead-"))
                weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._snapshot = folder / SNAPSHOT
            weakref.finalize(self, self._snapshot.unlink, missing_ok=True)
        if self.global_rank == 0:
            state = self.state_dict()
            learnt = {name: state[name] for name in state if not name.startswith(("content.", "columns."))}
            optimisers = [one.state_dict() for one in self._optimisers()]
            with atomic_path(self._snapshot, overwrite=True) as temporary:
                torch.save({"model": learnt, "optimisers": optimisers}, temporary)
        now = time.monotonic()
        self._next_snapshot = (self.step + _SNAPSHOT_EVERY, now + (now - began) / _SNAPSHOT_SHARE)

    def _remembered(self) -> dict[str, Any]:
        """The snapshot, which the first process reads and hands to the others."""
        kept = [None]
        if self.global_rank == 0:
            assert self._snapshot is not None
            kept = [torch.load(self._snapshot, map_location="cpu", weights_only=True)]
        if self.trainer.world_size > 1:
            distributed.broadcast_object_list(kept, src=0)
        snapshot: Any = kept[0]
        return snapshot  # type: ignore[no-any-return]

    def _roll_back(self, terms: dict[str, Tensor]) -> None:
        """Return to the last snapshot at half the learning rates.

        Raises:
            RuntimeError: if that has happened too often to hope.
        """
        bad = ", ".join(name for name, value in terms.items() if not torch.isfinite(value))
        self.rollbacks += 1
        if self.rollbacks > _MOST_ROLLBACKS or self._snapshot is None:
            raise RuntimeError(f"training diverged at step {self.step} ({bad}) {self.rollbacks} times; lower the rates")
        rate, here, snapshot = self.rate_scale / 2, self.step, self._remembered()
        self.load_state_dict(snapshot["model"], strict=False)  # the frozen networks stay as they are
        for optimiser, state in zip(self._optimisers(), snapshot["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.rate_scale, self.steps_done = rate, here + 1  # past the batch that did it
        log.warning("step %d: %s not finite; back to the last snapshot, learning rates x %.3g", here, bad, rate)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave the frozen content networks and Lightning's loop counters out: the step is ours to count.

        The names of the videos say whose each column of W is.
        """
        checkpoint.pop("loops", None)
        checkpoint["videos"] = list(self.columns.videos)
        state = checkpoint["state_dict"]
        for name in [name for name in state if name.startswith("content.")]:
            del state[name]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the content networks back where the checkpoint left them out, and the columns of W in their order."""
        own, state = self.state_dict(), checkpoint["state_dict"]
        state.update({name: value for name, value in own.items() if name.startswith("content.")})
        theirs = checkpoint.get("videos")
        if theirs is None:
            log.warning("the checkpoint does not say whose its columns of W are: all of them start anew")
        elif list(theirs) != list(self.columns.videos):
            known = set(theirs)
            fresh = sum(video not in known for video in self.columns.videos)
            log.warning("the checkpoint knows other videos: %d columns of W start anew", fresh)
        columns = {name: state[f"columns.{name}"] for name in ("table", "second_moment", "steps")}
        state.update({f"columns.{name}": value for name, value in self.columns.matched(columns, theirs or ()).items()})

    def shipped_head(self) -> FewShotHead:
        """The averaged embedder and generator with the discriminator, folded."""
        networks = {**self.averaged, "discriminator": folded(self.head.discriminator)}
        tensors = {
            f"{n}.{key}": value.clone() for n, one in networks.items() for key, value in one.state_dict().items()
        }
        return filled(partial(FewShotHead, self.config.portrait, spectral=False), tensors).eval()
