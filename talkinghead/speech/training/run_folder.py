"""What a speech training leaves in its folder: checkpoint, model, sheets, figures."""

import json
import logging
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from talkinghead.media.image import write_image
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.sequences import Track
from talkinghead.speech.evaluation.checks import emotion_effect
from talkinghead.speech.evaluation.evaluation import Baselines, evaluate, predicted_vertices, table
from talkinghead.speech.evaluation.sheets import model_sheet
from talkinghead.speech.features import KARRAS_RATE
from talkinghead.speech.model import KarrasModel, SpeechModel
from talkinghead.speech.training.base import SpeechTraining

log = logging.getLogger(__name__)

CHECKPOINT = "last.ckpt"
_SHEET_SECONDS = 8.0
_GLANCE = 30.0
"""Seconds of held-out sound that are judged while training goes on."""


class SpeechRunFolder(Callback):
    """Saves a run often enough that a kill costs little, and shows how it goes on held-out sequences.

    Args:
        folder: of the run.
        save_every: steps between checkpoints; the one on disk is replaced whole.
        show_every: steps between sheets and figures.
        held_out: tracks unseen in training; none for no figures.
        provenance: written into the model's header.
    """

    def __init__(
        self, folder: Path, *, save_every: int, show_every: int, held_out: list[Track], provenance: dict[str, Any]
    ):
        self.folder, self.save_every, self.show_every = folder, save_every, show_every
        self.held_out, self.provenance = held_out, provenance
        self.baselines: Baselines | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, SpeechTraining)
        if pl_module.step % self.save_every == 0:
            self.save(trainer, pl_module)
        if pl_module.step % self.show_every == 0 and pl_module.step < pl_module.steps:
            self.show(trainer, pl_module, seconds=_GLANCE)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, SpeechTraining)
        self.save(trainer, pl_module)
        self.show(trainer, pl_module)

    def save(self, trainer: Trainer, module: SpeechTraining) -> None:
        """Replace the checkpoint and the model on disk."""
        temporary = self.folder / f".{CHECKPOINT}.part"
        trainer.save_checkpoint(temporary)
        temporary.replace(self.folder / CHECKPOINT)
        model = module.shipped({**self.provenance, "steps": module.step})
        model.save(self.folder / f"{model.kind}.speech.safetensors", overwrite=True)

    def show(self, trainer: Trainer, module: SpeechTraining, *, seconds: float = math.inf) -> None:
        """Write figures and a sheet of held-out sequences, the shortest first, until `seconds` are reached."""
        if not self.held_out:
            return
        model = SpeechModel.load(self.folder / f"{module.recipe.kind}.speech.safetensors")
        if self.baselines is None:
            self.baselines = Baselines.of(module.tracks)
        shortest = sorted(self.held_out, key=len)
        before = np.cumsum([0.0] + [track.seconds for track in shortest[:-1]])
        chosen = [track for track, start in zip(shortest, before, strict=True) if start < seconds]
        figures = evaluate(model, chosen, self.baselines, thorough=seconds == math.inf)
        log.info("step %d, %d sequences\n%s", module.step, len(chosen), table(figures))
        report = {"step": module.step, "sequences": len(chosen), "figures": figures}
        if isinstance(model, KarrasModel) and chosen[0].face.rig is not None and seconds == math.inf:
            sound = chosen[0].sequence.audio(KARRAS_RATE)
            effect = emotion_effect(model, sound, KARRAS_RATE, default_rig(), fps=chosen[0].fps)
            log.info("%s", effect or "the model has one emotion alone")
            report["emotion"] = effect and asdict(effect)
        (self.folder / "figures.json").write_text(json.dumps(report, indent=1))
        for logger in trainer.loggers:
            logger.log_metrics({f"validation/{k}": v for k, v in figures[model.kind].items()}, step=module.step)
        track = chosen[0]
        if track.face.rig is None:
            return
        picture = sheet_of(model, track)
        write_image(self.folder / "sheets" / f"{module.step:07d}.png", picture, overwrite=True)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("held out", picture, module.step, dataformats="HWC")


def sheet_of(model: SpeechModel, track: Track, *, start: float = 2.0) -> np.ndarray:
    """True and predicted faces of eight seconds of a track of the default rig."""
    first = int(min(start, track.seconds / 4) * track.fps)
    part = slice(first, first + int(_SHEET_SECONDS * track.fps))
    truth = track.offsets(np.arange(len(track))[part] / float(track.fps)) + track.face.template
    rows = {"truth": truth, model.kind: predicted_vertices(model, track)[part]}
    return model_sheet(rows, track.face.topology, float(track.fps))
