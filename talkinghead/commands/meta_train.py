"""meta-train: shards in, a few-shot head out."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkinghead.commands import config_parser, first_step, plain_recipe, refusals
from talkinghead.commands.trainer import make_trainer, open_folder
from talkinghead.errors import refuse_low

if TYPE_CHECKING:
    from talkinghead.portrait.data.episodes import EpisodeData
    from talkinghead.portrait.training.meta_learning import MetaLearning

log = logging.getLogger(__name__)

_EXAMPLES = """
Trains embedder, generator and discriminator on episodes from shards, and goes on where it stopped when the
run's folder holds a checkpoint.

examples:
  talkinghead prepare clips/train -o shards/train && talkinghead prepare clips/val -o shards/val
  talkinghead meta-train --config configs/small.yaml
  talkinghead meta-train --config configs/small.yaml --run.steps 2000 --model.generator_lr 2e-4
  talkinghead meta-train --config configs/small.yaml --run.start_from shipped
  talkinghead meta-train --config configs/voxceleb2.yaml --run.devices 8
"""


@dataclass(frozen=True)
class RunConfig:
    """Where a run lives and how long it goes."""

    folder: Path
    """Checkpoint, head, logs and sheets; a checkpoint in it is resumed."""
    start_from: Path | None = None
    """A head whose weights are taken where there is no checkpoint yet, instead of random ones; `shipped` for the one
    of this installation."""
    steps: int = 100_000
    """Batches to learn from, counted from the run's beginning."""
    precision: str = "32-true"
    """Lightning's precision: 32-true or bf16-mixed."""
    accelerator: str = "auto"
    """Lightning's name of the device: auto, cpu or gpu."""
    devices: int = 1
    """GPUs, or processes on a CPU, that train together."""
    threads: int = 0
    """CPU threads; 0 leaves PyTorch's choice."""
    save_every: int = 500
    """Steps between checkpoints."""
    sheet_every: int = 1000
    """Steps between sample sheets and validation figures."""
    validation_episodes: int = 64
    """Episodes of data.validation that the figures are averaged over."""
    log_every: int = 50
    """Steps between lines of the log; 0 for none."""
    seed: int = 0
    """Of the initial weights; episodes have their own in data.seed."""

    def __post_init__(self) -> None:
        every = {"save_every": 1, "sheet_every": 1, "log_every": 0}
        refuse_low(vars(self), group="run.", steps=1, devices=1, validation_episodes=1, threads=0, seed=0, **every)


def main(argv: list[str]) -> None:
    """Parse the configuration and train."""
    from talkinghead.portrait.data.episodes import EpisodeData, EpisodeDataConfig
    from talkinghead.portrait.training.content_loss import make_content_loss
    from talkinghead.portrait.training.meta_learning import MetaLearning, MetaLearningConfig

    parser = config_parser("meta-train", _EXAMPLES)
    parser.add_class_arguments(RunConfig, "run")
    parser.add_class_arguments(EpisodeDataConfig, "data")
    parser.add_class_arguments(MetaLearningConfig, "model")
    parser.link_arguments("model.portrait.size", "data.size")
    parser.link_arguments("model.portrait.compositing", "data.compositing")
    with refusals("meta-train"):
        settings = parser.parse_args(argv)
    run = RunConfig(**settings.run.as_dict())
    _prepare_process(run)
    made = parser.instantiate(settings)
    data = EpisodeData(made.data)
    model = MetaLearning(made.model, make_content_loss(made.model.perceptual), num_videos=data.num_videos)
    train(model, data, run, parser.dump(settings, skip_link_targets=False), plain_recipe(settings))


def _prepare_process(run: RunConfig) -> None:
    """Settings that must be in place before a network is built."""
    import torch
    from pytorch_lightning import seed_everything

    if run.threads:
        torch.set_num_threads(run.threads)
    torch.set_float32_matmul_precision("high")
    seed_everything(run.seed, verbose=False)


def train(model: "MetaLearning", data: "EpisodeData", run: RunConfig, settings: str, recipe: dict[str, Any]) -> None:
    """Run, or go on with, a training run.

    Args:
        model: the networks and their losses.
        data: episodes.
        run: where and how long.
        settings: written into the run's folder.
        recipe: the same for the head's header.
    """
    from talkinghead.portrait.networks.head import FewShotHead, default_head_path
    from talkinghead.portrait.training.run_folder import CHECKPOINT, HEAD, RunFolder

    checkpoint = run.folder / CHECKPOINT
    if run.start_from is not None and not checkpoint.is_file():
        path = default_head_path() if str(run.start_from) == "shipped" else run.start_from
        model.start_from(FewShotHead.load(path)[0])
    data.steps = run.steps
    data.first_step = first_step(checkpoint, run.steps)
    provenance = {"recipe": recipe, "videos": data.num_videos}
    keeper = RunFolder(
        run.folder,
        save_every=run.save_every,
        sheet_every=run.sheet_every,
        validation_episodes=run.validation_episodes,
        provenance=provenance,
    )
    trainer = make_trainer(run, keeper, first_step=data.first_step, devices=run.devices)
    open_folder(run.folder, settings)
    trainer.fit(model, data, ckpt_path=checkpoint if checkpoint.is_file() else None, weights_only=True)
    log.info("%s holds the head; tune it to a person: talkinghead fine-tune PHOTOS --head %s", *[run.folder / HEAD] * 2)
