"""Meta-learning steps on random frames, timed inside Lightning as `meta-train` runs them."""

import logging
import warnings
from typing import Any
from unittest.mock import patch

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from benchmarks.measure import Timing
from talkinghead.portrait.data.episodes import Episode
from talkinghead.portrait.networks.config import PortraitConfig
from talkinghead.portrait.training import content_loss as perceptual
from talkinghead.portrait.training.config import MetaLearningConfig
from talkinghead.portrait.training.meta_learning import MetaLearning

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


class StepTimer(Callback):
    """Times every batch; the first ones, which allocate, are left out of ``timing``."""

    def __init__(self, warm_up: int):
        self.warm_up = warm_up
        self.timing = Timing()

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.timing.start()

    def on_train_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.timing.stop(counts=batch_idx >= self.warm_up)


def random_episodes(config: PortraitConfig, *, batch: int, shots: int, videos: int, count: int) -> list[Episode]:
    """Batches of episodes of noise, each of other videos where there are enough."""
    frame = (batch, 3, config.size, config.size)
    sources = (batch, shots, *frame[1:])
    return [
        {
            "source_frames": torch.rand(sources) * 2 - 1,
            "source_landmark_images": torch.rand(sources) * 2 - 1,
            "target_frame": torch.rand(frame) * 2 - 1,
            "target_landmark_image": torch.rand(frame) * 2 - 1,
            "target_landmarks": torch.rand(batch, 68, 2) * 0.5 + 0.25,
            "video_index": torch.randint(videos, (batch,)),
            **({} if config.compositing is None else {"warped_source": torch.rand(frame) * 2 - 1}),
        }
        for _ in range(count)
    ]


def make_module(config: PortraitConfig, *, videos: int, content: str) -> MetaLearning:
    """The training module; the paper's content networks keep random weights here, because only time is asked."""
    with patch.object(perceptual, "read_weights", lambda name: {}):
        loss = perceptual.make_content_loss(content)
    return MetaLearning(MetaLearningConfig(portrait=config), loss, videos=[str(video) for video in range(videos)])


def time_steps(module: MetaLearning, batches: list[Episode], *, dtype: str, warm_up: int) -> Timing:
    """Train on the batches, one step each."""
    timer = StepTimer(warm_up)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        trainer = Trainer(
            accelerator="cpu",
            precision=PRECISIONS[dtype],  # type: ignore[arg-type]
            max_epochs=1,
            callbacks=[timer],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
    return timer.timing
