"""What a speech training leaves in its folder: checkpoint, model, sheets, figures."""

import json
import logging
import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from pytorch_lightning import Trainer

from talkinghead.face.frames import evenly_spread
from talkinghead.media.files import atomic_path
from talkinghead.media.image import write_image
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.sequences import Track
from talkinghead.speech.evaluation.checks import emotion_effect
from talkinghead.speech.evaluation.evaluation import Baselines, evaluate, motion_vertices, predicted_vertices, table
from talkinghead.speech.evaluation.sheets import model_sheet
from talkinghead.speech.features import KARRAS_RATE, PHAM_RATE
from talkinghead.speech.model import KarrasModel, SpeechModel
from talkinghead.speech.mouth_range import MouthRange, matched, on_unseen, opening_of_vertices
from talkinghead.speech.training.base import SpeechTraining
from talkinghead.training.run import RunConfig
from talkinghead.training.run_folder import RunFolder, log_figures, log_picture

log = logging.getLogger(__name__)

_SHEET_SECONDS = 8.0
_MEASURED, _MEASURED_SECONDS = 40, 10.0
"""Sequences that the mouth's range is measured on, and how much of each."""
_GLANCE = 30.0
"""Seconds of held-out sound that are judged while training goes on."""


class SpeechRunFolder(RunFolder):
    """Keeps checkpoint and model, and shows held-out sequences.

    Args:
        run: where, and how often.
        provenance: written into the model's header.
        held_out: tracks unseen in training; none for no figures.
    """

    def __init__(self, run: RunConfig, provenance: dict[str, Any], *, held_out: list[Track]):
        super().__init__(run, provenance)
        self.held_out = held_out
        self.baselines: Baselines | None = None

    def write_model(self, module: SpeechTraining) -> None:
        model = module.shipped({**self.provenance, "steps": module.step})
        model = replace(model, mouth=measured_range(model, module.tracks, self.held_out))
        model.save(self.folder / f"{model.kind}.speech.safetensors", overwrite=True)

    def show(self, trainer: Trainer, module: SpeechTraining, *, last: bool) -> None:
        """Write figures and a sheet of held-out sequences: of all in the end, before that of the shortest."""
        seconds = math.inf if last else _GLANCE
        if not self.held_out:
            return
        model = SpeechModel.load(self.folder / f"{module.recipe.kind}.speech.safetensors")
        if self.baselines is None:
            self.baselines = Baselines.of(module.tracks)
        shortest = sorted(self.held_out, key=len)
        before = np.cumsum([0.0] + [track.seconds for track in shortest[:-1]])
        chosen = [track for track, start in zip(shortest, before, strict=True) if start < seconds]
        figures = evaluate(model, chosen, self.baselines, thorough=last)
        log.info("step %d, %d sequences\n%s", module.step, len(chosen), table(figures))
        report = {"step": module.step, "sequences": len(chosen), "figures": figures}
        if isinstance(model, KarrasModel) and chosen[0].face.rig is not None and last:
            sound = chosen[0].sequence.audio(KARRAS_RATE)
            effect = emotion_effect(model, sound, KARRAS_RATE, default_rig(), fps=chosen[0].fps)
            log.info("%s", effect or "the model has one emotion alone")
            report["emotion"] = effect and asdict(effect)
        with atomic_path(self.folder / "figures.json", overwrite=True) as temporary:
            temporary.write_text(json.dumps(report, indent=1))
        log_figures(trainer, figures[model.kind], module.step)
        track = chosen[0]
        if track.face.rig is None:
            return
        picture = sheet_of(model, track)
        write_image(self.folder / "sheets" / f"{module.step:07d}.png", picture, overwrite=True)
        log_picture(trainer, "held out", picture, module.step)


def measured_range(model: SpeechModel, tracks: list[Track], held_out: list[Track] | None = None) -> MouthRange | None:
    """How far the mouth must open to move as people do; None without the own rig.

    Measured on some of what was learnt from, and the gain on people who are held out, if any are.
    """
    known, unseen = (_some_filmed(some) for some in (tracks, held_out or []))
    if not known:
        return None
    mouth = matched(*_openings(model, known))
    return on_unseen(mouth, *_openings(replace(model, mouth=mouth), unseen)) if unseen else mouth


def _some_filmed(tracks: list[Track]) -> list[Track]:
    """Some of the tracks whose faces were seen, on the own rig."""
    real = [track for track in tracks if track.face.rig is not None and not track.taught]
    return [real[index] for index in evenly_spread(len(real), min(len(real), _MEASURED))]


def _openings(model: SpeechModel, tracks: list[Track]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """How far the mouth opens in tracks, as the model says and as it was."""
    said, seen = [], []
    for track in tracks:
        part = slice(0, int(_MEASURED_SECONDS * track.fps))
        sound = track.sequence.audio(PHAM_RATE)[: int(_MEASURED_SECONDS * PHAM_RATE)]
        spoken = model.predict(sound, PHAM_RATE, fps=track.fps)
        said.append(opening_of_vertices(motion_vertices(spoken, default_rig())))
        faces = track.offsets(np.arange(len(track))[part] / float(track.fps)) + track.face.template
        seen.append(opening_of_vertices(faces))
    return said, seen


def sheet_of(model: SpeechModel, track: Track, *, start: float = 2.0) -> np.ndarray:
    """True and predicted faces of eight seconds of a track of the default rig."""
    first = int(min(start, track.seconds / 4) * track.fps)
    part = slice(first, first + int(_SHEET_SECONDS * track.fps))
    truth = track.offsets(np.arange(len(track))[part] / float(track.fps)) + track.face.template
    rows = {"truth": truth, model.kind: predicted_vertices(model, track)[part]}
    return model_sheet(rows, track.face.topology, float(track.fps))
