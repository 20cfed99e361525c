"""meta-train: shards in, a few-shot head out."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkinghead.commands.options import Verb, plain_recipe, ranged
from talkinghead.commands.progress import bar
from talkinghead.errors import refuse_low
from talkinghead.portrait.data.episodes_config import EpisodeDataConfig
from talkinghead.portrait.training.config import MetaLearningConfig, refuse_scaled
from talkinghead.training.run import RunConfig

log = logging.getLogger(__name__)

ABOUT = """
Train embedder, generator and discriminator on episodes from shards, and go on where it stopped when the run's folder
holds a checkpoint.
"""

EXAMPLES = """
talkinghead prepare clips/train -o shards/train && talkinghead prepare clips/val -o shards/val
talkinghead meta-train --config configs/small.yaml
talkinghead meta-train --config configs/small.yaml --run.steps 2000 --model.generator-lr 2e-4
talkinghead meta-train --config configs/small.yaml --run.start-from shipped
talkinghead meta-train --config configs/voxceleb2.yaml --run.devices 8
"""


@dataclass(frozen=True, kw_only=True)
class HeadRun(RunConfig):
    """Where a run lives and how long it goes."""

    start_from: Path | None = None
    """A head whose weights are taken where there is no checkpoint yet, instead of random ones; `shipped` for the one
    of this installation."""
    compile: bool | None = None
    """Let torch.compile fuse the networks' operations: minutes at the start, faster steps after; null does on a GPU."""
    validation_episodes: int = 64
    """Episodes of data.validation that the figures are averaged over."""
    sheet_every: int | None = ranged(None, former=True)
    """The former name of show_every."""

    def __post_init__(self) -> None:
        if self.sheet_every is not None:
            object.__setattr__(self, "show_every", self.sheet_every)
        super().__post_init__()
        refuse_low(vars(self), group="run.", validation_episodes=1)
        refuse_scaled(self.precision, "run.precision")


VERB = Verb(
    "meta-train",
    about=ABOUT,
    examples=EXAMPLES,
    config=True,
    sections={"run": HeadRun, "data": EpisodeDataConfig, "model": MetaLearningConfig},
    links={"data.size": "model.portrait.size", "data.compositing": "model.portrait.compositing"},
)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    settings = VERB.settings(argv)
    run, data, model = VERB.make(settings)
    from talkinghead.training.run_folder import own_folder

    with own_folder(run):
        train(run, data, model, VERB.dump(settings), plain_recipe(settings))


def train(
    run: HeadRun, data: EpisodeDataConfig, model: MetaLearningConfig, settings: str, recipe: dict[str, Any]
) -> None:
    """Run, or go on with, a training run.

    Args:
        run: where and how long.
        data: episodes.
        model: the networks and their losses.
        settings: written into the run's folder.
        recipe: the same for the head's header.
    """
    import torch
    from pytorch_lightning import seed_everything

    from talkinghead.portrait.data.episodes import EpisodeData
    from talkinghead.portrait.networks.head import FewShotHead, default_head_path
    from talkinghead.portrait.training.content_loss import make_content_loss
    from talkinghead.portrait.training.meta_learning import MetaLearning
    from talkinghead.portrait.training.run_folder import HEAD, HeadRunFolder
    from talkinghead.training.progress import ShowSteps
    from talkinghead.training.run_folder import CHECKPOINT, first_step
    from talkinghead.training.trainer import fit, on_gpu, use_gpu_well

    if run.threads:
        torch.set_num_threads(run.threads)
    use_gpu_well()
    seed_everything(run.seed, verbose=False)
    episodes = EpisodeData(data)
    module = MetaLearning(model, make_content_loss(model.perceptual), videos=episodes.videos)
    if run.start_from is not None and not (run.folder / CHECKPOINT).is_file():
        path = default_head_path() if str(run.start_from) == "shipped" else run.start_from
        module.start_from(FewShotHead.load(path)[0])
    if on_gpu(run) if run.compile is None else run.compile:
        module.compile_networks()
    module.scratch = run.folder
    episodes.steps, episodes.first_step = run.steps, first_step(run)
    provenance = {"recipe": recipe, "videos": len(episodes.videos)}
    keeper, first = HeadRunFolder(run, provenance, validation_episodes=run.validation_episodes), episodes.first_step
    with bar("training", "steps", first=first) as report:
        fit(run, module, episodes, [keeper, ShowSteps(report, run.steps)], first=first, settings=settings)
    log.info("%s holds the head; tune it to a person: talkinghead fine-tune PHOTOS --head %s", *[run.folder / HEAD] * 2)
