"""The Lightning trainer of the commands that learn."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from talkinghead.errors import UserError

if TYPE_CHECKING:
    from pytorch_lightning import Callback, Trainer


@runtime_checkable
class Run(Protocol):
    """What a trainer needs to know of a run."""

    @property
    def folder(self) -> Path: ...
    @property
    def precision(self) -> str: ...
    @property
    def accelerator(self) -> str: ...
    @property
    def log_every(self) -> int: ...


def open_folder(folder: Path, settings: str) -> None:
    """Make a run's folder and write its settings into it.

    Raises:
        UserError: if that cannot be done.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(settings)
    except OSError as error:
        raise UserError(f"run.folder is {folder}, which cannot be written ({error.strerror}); give another.") from error


def make_trainer(run: Run, folder_keeper: "Callback", *, first_step: int, devices: int = 1) -> "Trainer":
    """A trainer that logs into the run's folder, and shows a bar where somebody looks.

    Args:
        run: where and how.
        folder_keeper: what writes checkpoints and models; Lightning's own checkpoints are off.
        first_step: where the run goes on; a part of the log's name.
        devices: how many train together.

    Raises:
        UserError: if this machine has no such devices, or they do not compute so.
    """
    from pytorch_lightning import Trainer
    from pytorch_lightning.callbacks import RichProgressBar
    from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
    from pytorch_lightning.strategies import DDPStrategy

    shown = sys.stderr.isatty()
    with _refusals(run.accelerator, run.precision):
        return Trainer(
            default_root_dir=run.folder,
            accelerator=run.accelerator,
            devices=devices,
            strategy=DDPStrategy(find_unused_parameters=True, broadcast_buffers=False) if devices > 1 else "auto",
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


def refuse_machine(accelerator: str, precision: str) -> None:
    """Raise UserError if this machine cannot train so. For commands: call it before the work starts."""
    from pytorch_lightning import Trainer

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
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    try:
        yield
    except (ValueError, MisconfigurationException) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"accelerator {accelerator!r} with precision {precision!r} is not to be had: {reason}"
        ) from error
