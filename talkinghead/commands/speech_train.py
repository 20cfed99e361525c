"""speech-train: corpora in, a speech model out."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkinghead.commands import config_parser, first_step, plain_recipe, refusals
from talkinghead.commands.trainer import make_trainer, open_folder
from talkinghead.errors import UserError, refuse_low

if TYPE_CHECKING:
    from talkinghead.speech.training.base import Recipe

log = logging.getLogger(__name__)

_EXAMPLES = """
Trains Karras's, Pham's or VOCA's network on speech corpora, and goes on where it stopped when the run's folder holds
a checkpoint.

examples:
  talkinghead prepare --speech facegood RECORDINGS -o corpus/facegood
  talkinghead speech-train --config configs/karras.yaml
  talkinghead speech-train --config configs/voca.yaml --run.steps 2000 --model.lr 2e-4
  talkinghead speech-train --config configs/pham.yaml --data.corpora "[corpus/talkers, corpus/vocaset]"
"""


@dataclass(frozen=True)
class RunConfig:
    """Where a run lives and how long it goes."""

    folder: Path
    """Checkpoint, model, logs and sheets; a checkpoint in it is resumed."""
    steps: int = 10_000
    """Batches to learn from, counted from the run's beginning."""
    precision: str = "32-true"
    """Lightning's precision: 32-true or bf16-mixed."""
    accelerator: str = "auto"
    """Lightning's name of the device: auto, cpu or gpu."""
    threads: int = 0
    """CPU threads; 0 leaves PyTorch's choice."""
    save_every: int = 200
    """Steps between checkpoints."""
    show_every: int = 1000
    """Steps between sheets and figures of held-out sequences."""
    log_every: int = 20
    """Steps between lines of the log; 0 for none."""
    seed: int = 0
    """Of the initial weights and of the batches."""

    def __post_init__(self) -> None:
        refuse_low(vars(self), group="run.", steps=1, save_every=1, show_every=1, log_every=0, threads=0, seed=0)


@dataclass(frozen=True)
class DataConfig:
    """What is learnt from."""

    corpora: list[Path]
    """Folders that `prepare --speech` made. Their val sequences are held out."""
    validation: list[Path] | None = None
    """Folders whose val sequences are held out instead."""


def main(argv: list[str]) -> None:
    """Parse the configuration and train."""
    import torch
    from jsonargparse import set_parsing_settings
    from pytorch_lightning import seed_everything

    from talkinghead.speech.training import recipes  # noqa: F401  the subclasses that class_path may name
    from talkinghead.speech.training.base import Recipe

    parser = config_parser("speech-train", _EXAMPLES)
    parser.add_class_arguments(RunConfig, "run")
    parser.add_class_arguments(DataConfig, "data")
    set_parsing_settings(subclasses_enabled=[Recipe])  # dataclasses are plain settings to it otherwise
    parser.add_argument(
        "--model",
        type=Recipe,
        required=True,
        help="KarrasRecipe, PhamRecipe or VocaRecipe: --model.help VocaRecipe lists its settings",
    )
    with refusals("speech-train"):
        settings = parser.parse_args(argv)
    run, data = RunConfig(**settings.run.as_dict()), DataConfig(**settings.data.as_dict())
    if run.threads:
        torch.set_num_threads(run.threads)
    seed_everything(run.seed, verbose=False)
    with refusals("speech-train"):
        model = parser.instantiate(settings).model
    train(model, data, run, parser.dump(settings), plain_recipe(settings))


def train(model: "Recipe", data: DataConfig, run: RunConfig, settings: str, recipe: dict[str, Any]) -> None:
    """Run, or go on with, a training run.

    Args:
        model: the kind of model and how it learns.
        data: what from.
        run: where and how long.
        settings: written into the run's folder.
        recipe: the same for the model's header.

    Raises:
        UserError: if there is nothing to learn from, the run has its steps already, or this machine cannot train so.
    """
    from talkinghead.speech.corpora.sequences import read_tracks
    from talkinghead.speech.training.base import SpeechData
    from talkinghead.speech.training.run_folder import CHECKPOINT, SpeechRunFolder

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    checkpoint = run.folder / CHECKPOINT
    first = first_step(checkpoint, run.steps)
    tracks = read_tracks(data.corpora, "train")
    held_out = read_tracks(data.validation or data.corpora, "val")
    if not tracks:
        raise UserError(f"{', '.join(map(str, data.corpora))}: no sequence for training has a motion.")
    log.info("%d sequences, %.0f s; %d held out", len(tracks), sum(t.seconds for t in tracks), len(held_out))
    module = model.training(tracks, run.steps, run.seed)
    provenance = {"recipe": recipe, "sequences": len(tracks), "seconds": round(sum(t.seconds for t in tracks))}
    keeper = SpeechRunFolder(
        run.folder, save_every=run.save_every, show_every=run.show_every, held_out=held_out, provenance=provenance
    )
    trainer = make_trainer(run, keeper, first_step=first)
    loader = SpeechData(model.batches(tracks, run.seed), steps=run.steps, first_step=first)
    open_folder(run.folder, settings)
    trainer.fit(module, loader, ckpt_path=checkpoint if first else None, weights_only=True)
    file = run.folder / f"{model.kind}.speech.safetensors"
    log.info("%s holds the model; use it: talkinghead speak VOICE.wav --model %s -o out.mp4", file, file)
