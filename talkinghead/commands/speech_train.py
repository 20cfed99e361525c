"""speech-train: corpora in, a speech model out."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkinghead.commands.options import Verb, plain_recipe
from talkinghead.commands.progress import bar
from talkinghead.errors import UserError
from talkinghead.speech.training.recipe import Recipe
from talkinghead.training.run import RunConfig

if TYPE_CHECKING:
    from talkinghead.speech.training.base import SpeechTraining

log = logging.getLogger(__name__)

ABOUT = """
Train Karras's, Pham's or VOCA's network on speech corpora, and go on where it stopped when the run's folder holds a
checkpoint.
"""

EXAMPLES = """
talkinghead prepare --speech facegood RECORDINGS -o corpus/facegood
talkinghead speech-train --config configs/karras.yaml
talkinghead speech-train --config configs/voca.yaml --run.steps 2000 --model.lr 2e-4
talkinghead speech-train --config configs/pham.yaml --data.corpora "[corpus/talkers, corpus/vocaset]"
talkinghead speech-train --model.help VocaRecipe
"""


@dataclass(frozen=True, kw_only=True)
class SpeechRun(RunConfig):
    """Where a run lives and how long it goes."""

    steps: int = 10_000
    """Batches to learn from, counted from the run's beginning."""
    precision: str = "32-true"
    """Lightning's name of the arithmetic; auto is bf16-mixed where that is fast, else 32-true."""
    save_every: int = 200
    """Steps between checkpoints."""
    log_every: int = 20
    """Steps between lines of the log; 0 for none."""


@dataclass(frozen=True)
class DataConfig:
    """What is learnt from."""

    corpora: list[Path]
    """Folders that `prepare --speech` made. Their val sequences are held out."""
    validation: list[Path] | None = None
    """Folders whose val sequences are held out instead."""


VERB = Verb(
    "speech-train",
    about=ABOUT,
    examples=EXAMPLES,
    config=True,
    sections={"run": SpeechRun, "data": DataConfig, "model": Recipe},
    fork="model",
)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    if not {"-h", "--help"} & set(argv):
        from talkinghead.speech.training import recipes  # noqa: F401  the subclasses that --model may name
    settings = VERB.settings(argv)
    run, data, recipe = VERB.make(settings)
    from talkinghead.training.run_folder import own_folder

    with own_folder(run):
        train(recipe, data, run, VERB.dump(settings), plain_recipe(settings))


def train(recipe: Recipe, data: DataConfig, run: SpeechRun, settings: str, about: dict[str, Any]) -> None:
    """Run, or go on with, a training run.

    Args:
        recipe: the kind of model and how it learns.
        data: what from.
        run: where and how long.
        settings: written into the run's folder.
        about: the same for the model's header.

    Raises:
        UserError: if there is nothing to learn from, the run has its steps already, or this machine cannot train so.
    """
    import torch
    from pytorch_lightning import seed_everything

    from talkinghead.speech.corpora.sequences import read_tracks
    from talkinghead.speech.training.base import SpeechData
    from talkinghead.speech.training.run_folder import SpeechRunFolder
    from talkinghead.training.progress import ShowSteps
    from talkinghead.training.run_folder import first_step
    from talkinghead.training.trainer import fit

    if run.threads:
        torch.set_num_threads(run.threads)
    seed_everything(run.seed, verbose=False)
    first = first_step(run)
    tracks = read_tracks(data.corpora, "train")
    held_out = read_tracks(data.validation or data.corpora, "val")
    if not tracks:
        raise UserError(f"{', '.join(map(str, data.corpora))}: no sequence for training has a motion.")
    log.info("%d sequences, %.0f s; %d held out", len(tracks), sum(t.seconds for t in tracks), len(held_out))
    module: SpeechTraining = recipe.training(tracks, run.steps, run.seed)
    provenance = {"recipe": about, "sequences": len(tracks), "seconds": round(sum(t.seconds for t in tracks))}
    keeper = SpeechRunFolder(run, provenance, held_out=held_out)
    loader = SpeechData(recipe.batches(tracks, run.seed), steps=run.steps, first_step=first)
    with bar("training", "steps", first=first) as report:
        fit(run, module, loader, [keeper, ShowSteps(report, run.steps)], first=first, settings=settings)
    file = run.folder / f"{recipe.kind}.speech.safetensors"
    log.info("%s holds the model; use it: talkinghead speak VOICE.wav --model %s -o out.mp4", file, file)
