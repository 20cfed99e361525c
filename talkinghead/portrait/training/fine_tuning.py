"""Fine-tuning: a meta-learned head made one person's own on a few photos.

References:
    Zakharov et al. 2019, section 3.3.
"""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn

from talkinghead.errors import UserError
from talkinghead.portrait.avatar.avatar import Avatar, mean_embedding, origin, person_generator
from talkinghead.portrait.data.photo_batches import Batch, LayeredBatches, PhotoBatches, held_out_batch
from talkinghead.portrait.data.photos import Allow, Photos, read_photos
from talkinghead.portrait.networks.compositing import generate
from talkinghead.portrait.networks.config import PortraitConfig
from talkinghead.portrait.networks.generator import Generator
from talkinghead.portrait.networks.head import FewShotHead, default_head_path, folded, respectral
from talkinghead.portrait.training.adversarial_losses import adversarial_terms, tell_apart
from talkinghead.portrait.training.config import FineTuningConfig, Hardware
from talkinghead.portrait.training.content_loss import make_content_loss
from talkinghead.portrait.training.early_stopping import StopByHeldOut
from talkinghead.stopping import Stopped, step_by_step
from talkinghead.training.ema import follow, warmed_up
from talkinghead.training.precision import chosen_precision
from talkinghead.training.trainer import StopWhenAsked, quiet

__all__ = ["FineTuning", "FineTuningConfig", "Hardware", "Tuned", "fine_tune", "fit", "make_avatar"]

AUTO = Hardware()
_ADAM = {"betas": (0.0, 0.999), "eps": 1e-5}


class FineTuning(LightningModule):
    """The generator, psi' and the discriminator of one person in adversarial training.

    psi' = P e becomes a parameter and P is dropped; w' = w0 + e becomes the discriminator's last weight.

    Args:
        head: the meta-learned head; it is not changed.
        embedding: e, the mean embedding of the photos.
        config: rates and weights.
        steps: over which the rates fall; 0 keeps them.
        photos: that it learns from.

    References:
        Zakharov et al. 2019, section 3.3.
    """

    def __init__(
        self,
        head: FewShotHead,
        embedding: Float[Tensor, "1 e"],
        config: FineTuningConfig,
        *,
        steps: int = 0,
        photos: int = 1,
    ):
        super().__init__()
        self.automatic_optimization = False
        self.config, self.steps, self.photos = config, steps, photos
        self.generator = person_generator(head.generator).requires_grad_(True)
        with torch.no_grad():
            self.adain_params = nn.Parameter(head.generator.project(embedding).clone())
        self.discriminator = folded(head.discriminator).requires_grad_(True)
        with torch.no_grad():
            self.discriminator.bias_and_w0.weight.add_(embedding)
        self.discriminator.blocks = respectral(self.discriminator.blocks)
        self.start = self._frozen_copy() if config.pull else None
        self.averaged = self._frozen_copy()
        self.content = make_content_loss(config.perceptual)
        self.step = 0
        self.history: list[dict[str, float]] = []

    def _frozen_copy(self) -> nn.ModuleDict:
        person = nn.ParameterDict({"adain_params": self.adain_params.detach().clone()})
        return nn.ModuleDict({"generator": copy.deepcopy(self.generator), "person": person}).requires_grad_(False)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        person = [
            {"params": [*self.generator.parameters()], "lr": self.config.generator_lr},
            {"params": [self.adain_params], "lr": self.config.adain_lr},
        ]
        return [
            torch.optim.Adam(person, **_ADAM),  # type: ignore[arg-type]
            torch.optim.Adam(self.discriminator.parameters(), lr=self.config.discriminator_lr, **_ADAM),  # type: ignore[arg-type]
        ]

    def training_step(self, batch: Batch) -> None:
        self._set_rates()
        fake, terms = self._generator_step(batch)
        for _ in range(self.config.discriminator_steps if self._is_judged else 0):
            terms |= self._discriminator_step(batch, fake)
        self._pull_and_average()
        self.step += 1
        values = torch.stack([value.float() for value in terms.values()]).tolist()  # the one wait for the GPU
        self.history.append(dict(zip(terms, values, strict=True)))
        bad = [name for name, value in self.history[-1].items() if not math.isfinite(value)]
        if bad:
            raise UserError(
                f"fine-tuning diverged at step {self.step} ({', '.join(bad)}); lower generator_lr and discriminator_lr"
            )
        self.log("content", torch.tensor(self.history[-1]["content"]), prog_bar=True)

    @property
    def _is_judged(self) -> bool:
        """Whether the discriminator has a say; without weight it would only cost time."""
        return bool(self.config.loss_weights.adversarial or self.config.loss_weights.feature_matching)

    def _rate(self) -> float:
        """What the rates, and the pull with them, are multiplied by at this step."""
        progress = min(1.0, self.step / self.steps) if self.steps else 0.0
        return self.config.decay + (1 - self.config.decay) * (1 + math.cos(math.pi * progress)) / 2

    def _set_rates(self) -> None:
        factor = self._rate()
        for optimiser in self.optimizers():  # type: ignore[union-attr]
            for group in optimiser.param_groups:
                group["lr"] = group.setdefault("first_lr", group["lr"]) * factor

    def _generator_step(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Update the generator and psi'; gives the fake frames, detached, and the loss terms."""
        optimiser = self.optimizers()[0]  # type: ignore[index]
        self.discriminator.requires_grad_(False)
        drawn = batch["landmark_image"]
        before, after = (int(self.config.mask_dropout * len(drawn) * step) for step in (self.step, self.step + 1))
        fake = generate(
            self.generator,
            drawn,
            self.adain_params.expand(len(drawn), -1),
            batch.get("warped_source"),
            mask_dropout=after - before,  # of one photo, every so many steps
        )
        terms = {"content": self.content(fake, batch["frame"], batch["landmarks"])}
        if self._is_judged:
            terms |= adversarial_terms(self.discriminator, fake, batch["frame"], drawn)
        optimiser.zero_grad()
        self.manual_backward(self.config.loss_weights.total(terms))
        self.discriminator.requires_grad_(True)
        self._clipped_step(optimiser)
        return fake.detach(), {name: value.detach() for name, value in terms.items()}

    def _discriminator_step(self, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """Update the discriminator on real and fake frames together."""
        optimiser = self.optimizers()[1]  # type: ignore[index]
        loss, terms = tell_apart(self.discriminator, fake, batch["frame"], batch["landmark_image"])
        optimiser.zero_grad()
        self.manual_backward(loss)
        self._clipped_step(optimiser)
        return terms

    def _clipped_step(self, optimiser: Any) -> None:
        nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], self.config.clip)
        optimiser.step()

    @torch.no_grad()
    def _pull_and_average(self) -> None:
        """Draw the weights towards the start, and the averaged ones towards the weights."""
        decay = warmed_up(self.config.ema, self.step + 1)
        now = [*self.generator.parameters(), self.adain_params]
        if self.start is not None:
            pull = self.config.pull * self._rate() / self.photos
            for value, start in zip(now, self.start.parameters(), strict=True):
                value.lerp_(start, pull)
        follow(self.averaged.parameters(), now, decay)

    @torch.no_grad()
    def held_out_loss(self, batch: Batch) -> float:
        """Content loss of the averaged generator."""
        drawn = batch["landmark_image"]
        params = self.averaged_params.expand(len(drawn), -1)
        frames = generate(self.averaged_generator, drawn, params, batch.get("warped_source"))
        return float(self.content(frames, batch["frame"], batch["landmarks"]))

    @property
    def averaged_generator(self) -> Generator:
        """The averaged person's."""
        return self.averaged["generator"]  # type: ignore[return-value]

    @property
    def averaged_params(self) -> Float[Tensor, "1 n"]:
        """psi' of the averaged person."""
        return self.averaged["person"]["adain_params"]  # type: ignore[index, return-value]

    def avatar(self, config: PortraitConfig, photos: Photos, provenance: dict[str, Any]) -> Avatar:
        """The averaged person, with the photos it was learnt from; its provenance says how it was learnt."""
        learnt = {
            "photos": [{"name": name, "sha256": sha} for name, sha in zip(photos.names, photos.sha256, strict=True)],
            "steps": self.step,
            "fine_tuning": asdict(self.config),
            "losses": self.history[-1] if self.history else {},
        }
        return Avatar(
            config,
            copy.deepcopy(self.averaged_generator).cpu(),
            adain_params=self.averaged_params.cpu(),
            source_landmarks=photos.landmarks,
            source_frames=None if config.compositing is None else photos.frames,
            whole=photos.whole,
            provenance=provenance | learnt,
        )


@dataclass(frozen=True)
class Tuned:
    """What fine-tuning gives."""

    avatar: Avatar
    history: list[dict[str, float]]
    """Loss terms of each step."""
    seconds: float


class StoppedTuning(Stopped):
    """A signal ended a fine-tuning.

    Args:
        number: of the signal.
        avatar: as far as it was learnt.
    """

    def __init__(self, number: int, avatar: Avatar):
        super().__init__(number, f"after {avatar.provenance['steps']} steps")
        self.avatar = avatar


def fine_tune(
    head: FewShotHead,
    photos: Photos,
    config: FineTuningConfig,
    *,
    provenance: dict[str, Any] | None = None,
    hardware: Hardware = AUTO,
    callbacks: tuple[Callback, ...] = (),
) -> Tuned:
    """Make a head one person's own.

    Args:
        head: meta-learned; it is not changed.
        photos: crops of the head's size.
        config: how.
        provenance: kept in the avatar beside the photos' names and hashes, the settings and the last losses.
        hardware: what computes.
        callbacks: Lightning's, such as a progress bar.

    Raises:
        UserError: if the photos do not have the head's size, or more are held out than there are to spare.
        StoppedTuning: if a signal ends it.
    """
    compositing = head.config.compositing
    layers = compositing is not None and compositing.layers
    if photos.side != head.config.size and not layers:
        raise UserError(f"the photos are {photos.side} px wide, but the head takes {head.config.size} px")
    if config.hold_out >= len(photos):
        raise UserError(f"hold_out is {config.hold_out} of {len(photos)} photos; leave at least one to learn from")
    began = time.perf_counter()
    learnt = photos.select(range(len(photos) - config.hold_out))
    steps = config.steps_for(len(learnt))
    torch.manual_seed(config.seed)
    module = FineTuning(head, mean_embedding(head, photos), config, steps=steps, photos=len(learnt))
    if steps:
        batches = make_batches(learnt, head.config, config, steps=steps)
        if config.hold_out:
            batch = held_out_batch(photos.select(range(len(learnt), len(photos))), batches)
            callbacks = (*callbacks, StopByHeldOut(batch, patience=config.patience))
        try:
            fit(module, batches, hardware=hardware, callbacks=callbacks)
        except Stopped as stop:
            raise StoppedTuning(stop.number, module.avatar(head.config, photos, provenance or {})) from stop
    return Tuned(module.avatar(head.config, photos, provenance or {}), module.history, time.perf_counter() - began)


def make_batches(photos: Photos, portrait: PortraitConfig, config: FineTuningConfig, *, steps: int) -> PhotoBatches:
    """What a person of these photos is learnt from, as a head of these sizes takes it."""
    drawing = {"steps": steps, "batch_size": config.batch_size, "augment": config.augment, "seed": config.seed}
    if portrait.compositing is not None and portrait.compositing.layers:
        return LayeredBatches(photos, portrait.size, **drawing)  # type: ignore[arg-type]
    return PhotoBatches(photos, warped_source=portrait.compositing is not None, **drawing)  # type: ignore[arg-type]


def make_avatar(
    photos: Sequence[str | Path],
    *,
    head: str | Path | None = None,
    steps: int | None = None,
    allow: Allow | None = None,
) -> Avatar:
    """An avatar fine-tuned on photos (files or folders) with the default settings.

    Args:
        photos: of one person.
        head: a meta-learned head; the one that ships if None.
        steps: of fine-tuning; 0 for the feed-forward avatar, None for the default number of epochs.
        allow: what is let pass although it looks like a mistake: `Allow(strangers=True)`; None lets nothing pass.

    Raises:
        UserError: if a photo or the head cannot be used.
    """
    path = Path(head or default_head_path())
    network, _ = FewShotHead.load(path)
    crops = read_photos([Path(one) for one in photos], size=network.config.photo_side, allow=allow)
    return fine_tune(network, crops, FineTuningConfig(steps=steps), provenance=origin(path)).avatar


def fit(
    module: FineTuning, batches: PhotoBatches, *, hardware: Hardware = AUTO, callbacks: tuple[Callback, ...] = ()
) -> None:
    """Run the steps; the arguments are those of `fine_tune`."""
    precision = chosen_precision(hardware.precision, hardware.accelerator)
    with quiet(), step_by_step():
        trainer = Trainer(
            max_epochs=1,
            accelerator=hardware.accelerator,
            devices=1,
            precision=precision,  # type: ignore[arg-type]
            callbacks=[*callbacks, StopWhenAsked()],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        trainer.fit(module, batches)
