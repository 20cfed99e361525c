"""The Lightning trainer of a run."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy

from talkinghead.errors import UserError
from talkinghead.media.files import said_when_full
from talkinghead.stopping import Stopped, asked, step_by_step
from talkinghead.training.precision import chosen_precision
from talkinghead.training.run import RunConfig
from talkinghead.training.run_folder import CHECKPOINT, open_folder

log = logging.getLogger(__name__)


def make_trainer(run: RunConfig, callbacks: Sequence[Callback], *, first_step: int) -> Trainer:
    """A trainer that logs into the run's folder.

    Args:
        run: where and how.
        callbacks: what writes checkpoints and models, and shows how far it is; Lightning's own are off.
        first_step: where the run goes on; a part of the log's name.

    Raises:
        UserError: if this machine has no such devices, or they do not compute so.
    """
    precision = chosen_precision(run.precision, run.accelerator)
    with _refusals(run.accelerator, precision):
        return Trainer(
            default_root_dir=run.folder,
            accelerator=run.accelerator,
            devices=run.devices,
            strategy=DDPStrategy(broadcast_buffers=False) if run.devices > 1 else "auto",
            precision=precision,  # type: ignore[arg-type]
            max_epochs=1,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            log_every_n_steps=run.log_every,
            logger=[
                CSVLogger(run.folder, name="logs", version=f"from-{first_step:07d}", flush_logs_every_n_steps=1),
                TensorBoardLogger(run.folder, name="tensorboard", version=""),
            ],
            callbacks=list(callbacks),
        )


def on_gpu(run: RunConfig) -> bool:
    """Whether a run computes on a GPU."""
    return run.accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def use_gpu_well() -> None:
    """What is left to chance unless somebody says it: on a GPU, products of single precision are taken in TF32, by
    convolutions and matrices alike, and convolutions try their algorithms at the first step. The last digits then
    differ from run to run. Half precision (bf16-mixed) and CPUs feel nothing of it."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def fit(
    run: RunConfig,
    module: LightningModule,
    data: LightningDataModule,
    callbacks: Sequence[Callback],
    *,
    first: int,
    settings: str,
) -> None:
    """Train from a step on, from the folder's checkpoint where there is one.

    Raises:
        UserError: if this machine cannot train so, or the folder cannot be written.
        Stopped: by a signal; a SIGTERM lets the step end and its checkpoint be saved.
    """
    with quiet(), said_when_full(run.folder), step_by_step():
        trainer = make_trainer(run, callbacks, first_step=first)
        open_folder(run.folder, settings)
        log.info(
            "steps %d to %d on %s in %s: %s",
            *(first, run.steps, trainer.strategy.root_device, trainer.precision, run.folder),
        )
        checkpoint = run.folder / CHECKPOINT
        trainer.fit(module, data, ckpt_path=checkpoint if checkpoint.is_file() else None, weights_only=True)


@contextmanager
def quiet() -> Iterator[None]:
    """What Lightning and litdata advertise and warn of is not for those who train a head."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric", "litdata"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric|lightning|litdata")
        yield


class StopWhenAsked(Callback):
    """Ends a training that keeps nothing on its way when a signal asked for that."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        if (signal := asked()) is not None:
            raise Stopped(signal, f"after {pl_module.step} of {pl_module.steps} steps")


def refuse_machine(accelerator: str, precision: str) -> None:
    """Raise UserError if this machine cannot train so. For commands: call it before the work starts."""
    with quiet(), _refusals(accelerator, precision):
        Trainer(
            accelerator=accelerator,
            devices=1,
            precision=precision,  # type: ignore[arg-type]
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )


@contextmanager
def _refusals(accelerator: str, precision: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, MisconfigurationException) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"accelerator {accelerator!r} with precision {precision!r} is not to be had: {reason}"
        ) from error
