"""What a training run leaves in its folder: checkpoint, head, sheets of samples, validation figures."""

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import default_collate

from talkinghead.portrait.data.episodes import Episode, EpisodeData, Episodes
from talkinghead.portrait.networks.compositing import generate
from talkinghead.portrait.training.meta_learning import MetaLearning

log = logging.getLogger(__name__)

CHECKPOINT = "last.ckpt"
HEAD = "head.safetensors"
_SHEET_ROWS = 8
_VALIDATION_BATCH = 8


class RunFolder(Callback):
    """Saves a run often enough that a kill costs little, and shows how it goes.

    Args:
        folder: of the run.
        save_every: steps between checkpoints; the one on disk is replaced whole.
        sheet_every: steps between sample sheets and validation figures.
        validation_episodes: episodes of held-out people that the figures are averaged over.
        provenance: written into the head's header.
    """

    def __init__(
        self,
        folder: Path,
        *,
        save_every: int,
        sheet_every: int,
        validation_episodes: int,
        provenance: dict[str, Any],
    ):
        self.folder, self.save_every, self.sheet_every = folder, save_every, sheet_every
        self.validation_episodes, self.provenance = validation_episodes, provenance

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, MetaLearning)
        step = pl_module.step
        if step % self.save_every == 0:
            self.save(trainer, pl_module)
        if step % self.sheet_every == 0 and trainer.is_global_zero:
            self.show(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, MetaLearning)
        if pl_module.step % self.save_every:
            self.save(trainer, pl_module)
        if pl_module.step % self.sheet_every and trainer.is_global_zero:
            self.show(trainer, pl_module)

    def save(self, trainer: Trainer, module: MetaLearning) -> None:
        """Replace the checkpoint and the head on disk."""
        temporary = self.folder / f".{CHECKPOINT}.part"
        trainer.save_checkpoint(temporary)
        if trainer.is_global_zero:
            temporary.replace(self.folder / CHECKPOINT)
            module.shipped_head().save(self.folder / HEAD, {**self.provenance, "steps": module.step}, overwrite=True)

    def show(self, trainer: Trainer, module: MetaLearning) -> None:
        """Write a sheet of samples, and the content loss on people unseen in training."""
        data: EpisodeData = trainer.datamodule  # type: ignore[attr-defined]
        rows = [("train", data.episodes)]
        if data.held_out is not None:
            rows.append(("validation", data.held_out))
        for name, episodes in rows:
            sheet = _sheet(module, episodes)
            picture = self.folder / "sheets" / f"{name}-{module.step:07d}.png"
            picture.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(picture), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_image(name, sheet, module.step, dataformats="HWC")
        if data.held_out is not None:
            figures = validate(module, data.held_out, self.validation_episodes)
            log.info("step %d: %s", module.step, ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
            for logger in trainer.loggers:
                logger.log_metrics({f"validation/{k}": v for k, v in figures.items()}, step=module.step)


def _batch(episodes: Episodes, first: int, count: int, device: torch.device) -> Episode:
    batch = default_collate([episodes[index] for index in range(first, first + count)])
    return {name: value.to(device) for name, value in batch.items()}


@torch.no_grad()
def _reconstruct(module: MetaLearning, batch: Episode) -> Tensor:
    """The averaged networks' frame for each episode, feed-forward, in the run's precision."""
    embedder, generator = module.averaged["embedder"], module.averaged["generator"]
    with module.trainer.precision_plugin.forward_context():
        embedding, _ = embedder.average(batch["source_frames"], batch["source_landmark_images"])  # type: ignore[operator]
        params = generator.project(embedding)  # type: ignore[operator]
        return generate(generator, batch["target_landmark_image"], params, batch.get("warped_source"))  # type: ignore[arg-type]


def _sheet(module: MetaLearning, episodes: Episodes) -> np.ndarray:
    """Rows of source, landmarks, warped source where there is one, result, truth."""
    batch = _batch(episodes, 0, _SHEET_ROWS, module.device)
    columns = [
        batch["source_frames"][:, 0],
        batch["target_landmark_image"],
        *([batch["warped_source"][:, :3]] if "warped_source" in batch else []),
        _reconstruct(module, batch),
        batch["target_frame"],
    ]
    grid = torch.stack(columns, 1).permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    return ((grid.float().cpu() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()


@torch.no_grad()
def validate(module: MetaLearning, episodes: Episodes, count: int) -> dict[str, float]:
    """Content loss and pixel distance (0..1) of the averaged networks, feed-forward, on ``count`` episodes."""
    content, pixels = [], []
    for first in range(0, count, _VALIDATION_BATCH):
        batch = _batch(episodes, first, min(_VALIDATION_BATCH, count - first), module.device)
        fake = _reconstruct(module, batch)
        content.append(module.content(fake, batch["target_frame"], batch["target_landmarks"]))
        pixels.append((fake - batch["target_frame"]).abs().mean() / 2)
    return {"content": float(torch.stack(content).mean()), "l1": float(torch.stack(pixels).mean())}
