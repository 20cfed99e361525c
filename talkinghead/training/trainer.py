"""The Lightning trainer of a run."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer
from pytorch_lightning.callbacks import RichProgressBar
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.strategies import DDPStrategy

from talkinghead.errors import UserError
from talkinghead.training.run import RunConfig
from talkinghead.training.run_folder import CHECKPOINT, RunFolder, open_folder


def make_trainer(run: RunConfig, folder_keeper: Callback, *, first_step: int) -> Trainer:
    """A trainer that logs into the run's folder, and shows a bar where somebody looks.

    Args:
        run: where and how.
        folder_keeper: what writes checkpoints and models; Lightning's own checkpoints are off.
        first_step: where the run goes on; a part of the log's name.

    Raises:
        UserError: if this machine has no such devices, or they do not compute so.
    """
    shown = sys.stderr.isatty()
    with _refusals(run.accelerator, run.precision):
        return Trainer(
            default_root_dir=run.folder,
            accelerator=run.accelerator,
            devices=run.devices,
            strategy=DDPStrategy(broadcast_buffers=False) if run.devices > 1 else "auto",
            precision=run.precision,  # type: ignore[arg-type]
            max_epochs=1,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=shown,
            log_every_n_steps=run.log_every,
            logger=[
                CSVLogger(run.folder, name="logs", version=f"from-{first_step:07d}"),
                TensorBoardLogger(run.folder, name="tensorboard", version=""),
            ],
            callbacks=[folder_keeper, *([RichProgressBar()] if shown else [])],
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
    run: RunConfig, module: LightningModule, data: LightningDataModule, keeper: RunFolder, *, first: int, settings: str
) -> None:
    """Train from a step on, from the folder's checkpoint where there is one.

    Raises:
        UserError: if this machine cannot train so, or the folder cannot be written.
    """
    trainer = make_trainer(run, keeper, first_step=first)
    open_folder(run.folder, settings)
    checkpoint = run.folder / CHECKPOINT
    trainer.fit(module, data, ckpt_path=checkpoint if checkpoint.is_file() else None, weights_only=True)


def refuse_machine(accelerator: str, precision: str) -> None:
    """Raise UserError if this machine cannot train so. For commands: call it before the work starts."""
    with _refusals(accelerator, precision):
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
