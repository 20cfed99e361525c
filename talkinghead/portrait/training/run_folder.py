"""What a training run leaves in its folder: checkpoint, head, sheets of samples, validation figures."""

import logging
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor
from torch.utils.data import default_collate

from talkinghead.media.image import write_image
from talkinghead.portrait.data.episodes import Episode, EpisodeData, Episodes, unpacked
from talkinghead.portrait.networks.compositing import generate
from talkinghead.portrait.training.meta_learning import MetaLearning
from talkinghead.training.run import RunConfig
from talkinghead.training.run_folder import RunFolder, log_figures, log_picture

log = logging.getLogger(__name__)

HEAD = "head.safetensors"
_SHEET_ROWS = 8
_VALIDATION_BATCH = 8


class HeadRunFolder(RunFolder):
    """Keeps checkpoint and head, and shows samples.

    Args:
        run: where, and how often.
        provenance: written into the head's header.
        validation_episodes: episodes of held-out people that the figures are averaged over.
    """

    def __init__(self, run: RunConfig, provenance: dict[str, Any], *, validation_episodes: int):
        super().__init__(run, provenance)
        self.validation_episodes = validation_episodes

    def write_model(self, module: MetaLearning) -> None:
        module.shipped_head().save(self.folder / HEAD, {**self.provenance, "steps": module.step}, overwrite=True)

    def show(self, trainer: Trainer, module: MetaLearning, *, last: bool) -> None:
        """Write a sheet of samples, and the content loss on people unseen in training."""
        data: EpisodeData = trainer.datamodule  # type: ignore[attr-defined]
        rows = [("train", data.episodes)]
        if data.held_out is not None:
            rows.append(("validation", data.held_out))
        for name, episodes in rows:
            sheet = _sheet(module, episodes)
            write_image(self.folder / "sheets" / f"{name}-{module.step:07d}.png", sheet, overwrite=True)
            log_picture(trainer, name, sheet, module.step)
        if data.held_out is not None:
            figures = validate(module, data.held_out, self.validation_episodes)
            log.info("step %d: %s", module.step, ", ".join(f"{k} {v:.4f}" for k, v in figures.items()))
            log_figures(trainer, figures, module.step)


def _batch(episodes: Episodes, first: int, count: int, device: torch.device) -> Episode:
    batch = default_collate([episodes[index] for index in range(first, first + count)])
    return unpacked({name: value.to(device) for name, value in batch.items()})


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
