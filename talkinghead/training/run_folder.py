"""What a run leaves in its folder, and how it goes on from there."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.loggers import TensorBoardLogger

from talkinghead.claims import claimed
from talkinghead.errors import UserError
from talkinghead.media.files import atomic_path
from talkinghead.stopping import Stopped, asked
from talkinghead.training.run import RunConfig

log = logging.getLogger(__name__)

CHECKPOINT = "last.ckpt"
SETTINGS = "config.yaml"


class RunFolder(Callback):
    """Saves a run often enough that a kill costs little, and shows how it goes. For subclasses.

    The state of PyTorch's random numbers lies in the checkpoint, and neither saving nor showing draws from them, so
    that a run that was stopped goes on to the same bits on one device.

    Args:
        run: where, and how often.
        provenance: written into the model's header.
    """

    def __init__(self, run: RunConfig, provenance: dict[str, Any]):
        self.run, self.folder, self.provenance = run, run.folder, provenance
        self._random: dict[str, torch.Tensor] = {}
        self._saved = -1

    def write_model(self, module: Any) -> None:
        """Write the model as it is used."""
        raise NotImplementedError

    def show(self, trainer: Trainer, module: Any, *, last: bool) -> None:
        """Write sheets and figures; `last` after the last step."""
        raise NotImplementedError

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Put the random numbers back where the checkpoint had them, once the loader has drawn its own."""
        if self._random:
            torch.set_rng_state(self._random.pop("cpu"))
            if "cuda" in self._random and pl_module.device.type == "cuda":
                torch.cuda.set_rng_state(self._random["cuda"], pl_module.device)
            self._random = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = _step(pl_module)
        if step % self.run.save_every == 0:
            self._save(trainer, pl_module)
        if step % self.run.show_every == 0 and step < self.run.steps:
            self._show(trainer, pl_module, last=False)
        if (signal := asked()) is not None and step < self.run.steps:
            if self._saved != step:
                self._save(trainer, pl_module)
            kept = self.folder / CHECKPOINT
            raise Stopped(signal, f"{kept} has learnt from {step} steps; the same command goes on from there")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._saved != _step(pl_module):
            self._save(trainer, pl_module)
        self._show(trainer, pl_module, last=True)

    def _save(self, trainer: Trainer, module: LightningModule) -> None:
        """Replace the checkpoint and the model on disk."""
        if trainer.is_global_zero:
            with atomic_path(self.folder / CHECKPOINT, overwrite=True) as temporary:
                trainer.save_checkpoint(temporary)
        else:
            trainer.save_checkpoint(self.folder / CHECKPOINT)  # writes nothing, but waits for the one that does
        self._saved = _step(module)
        if trainer.is_global_zero:
            with torch.random.fork_rng(_gpus(module)):
                self.write_model(module)

    def _show(self, trainer: Trainer, module: LightningModule, *, last: bool) -> None:
        if trainer.is_global_zero:
            with torch.random.fork_rng(_gpus(module)):
                self.show(trainer, module, last=last)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        found = {"cpu": torch.get_rng_state()}
        return found | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._random = dict(state_dict)


def _step(module: Any) -> int:
    """Batches that a module has learnt from."""
    steps: int = module.steps_done
    return steps


def _gpus(module: LightningModule) -> list[torch.device]:
    return [module.device] if module.device.type == "cuda" else []


def log_figures(trainer: Trainer, figures: dict[str, float], step: int) -> None:
    """Figures of held-out data, into every log."""
    for logger in trainer.loggers:
        logger.log_metrics({f"validation/{name}": value for name, value in figures.items()}, step=step)


def log_picture(trainer: Trainer, name: str, picture: np.ndarray, step: int) -> None:
    """A picture (h, w, 3), into the logs that take one."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, picture, step, dataformats="HWC")


def open_folder(folder: Path, settings: str) -> None:
    """Make a run's folder and write its settings into it.

    Raises:
        UserError: if that cannot be done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / SETTINGS, overwrite=True) as temporary:
            temporary.write_text(settings)
    except OSError as error:
        raise UserError(f"run.folder is {folder}, which cannot be written ({error.strerror}); give another.") from error


def _is_first() -> bool:
    """Whether this is the first of the processes that train together, by what launchers tell each of them."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


@contextmanager
def own_folder(run: RunConfig) -> Iterator[None]:
    """A run's folder, claimed by the first of the processes that train together.

    Raises:
        UserError: if another run is at it.
    """
    with claimed(run.folder, folder=True) if _is_first() else nullcontext():
        yield


def first_step(run: RunConfig) -> int:
    """The step at which a run goes on: what its checkpoint has learnt from, 0 where there is none.

    Raises:
        UserError: if the run has its steps already, or its checkpoint is damaged.
    """
    checkpoint, first = run.folder / CHECKPOINT, 0
    if checkpoint.is_file():
        try:
            state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
            first = int(state["steps_done"])
        except (OSError, EOFError, RuntimeError, UnpicklingError, LookupError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{checkpoint} cannot be read ({reason}); move it away to begin anew.") from error
        log.info("going on from step %d of %s", first, checkpoint)
    if first >= run.steps:
        raise UserError(f"{checkpoint} has learnt from {first} steps already; raise --run.steps above that")
    return first
