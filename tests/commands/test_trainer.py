"""The trainer that both training commands use."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from pytorch_lightning import Callback
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.strategies import DDPStrategy

from talkinghead.commands.trainer import make_trainer
from talkinghead.errors import UserError


@dataclass(frozen=True)
class Run:
    folder: Path
    precision: str = "32-true"
    accelerator: str = "cpu"
    log_every: int = 7


def test_a_trainer_logs_into_the_runs_folder_and_keeps_what_it_is_given(tmp_path):
    keeper = Callback()
    trainer = make_trainer(Run(tmp_path, precision="bf16-mixed"), keeper, first_step=12)
    assert keeper in trainer.callbacks
    assert not trainer.checkpoint_callbacks
    assert (trainer.precision, trainer.log_every_n_steps, trainer.num_devices) == ("bf16-mixed", 7, 1)
    csv = next(logger for logger in trainer.loggers if isinstance(logger, CSVLogger))
    assert Path(csv.log_dir) == tmp_path / "logs" / "from-0000012"


def test_several_devices_train_together(tmp_path):
    trainer = make_trainer(Run(tmp_path), Callback(), first_step=0, devices=2)
    assert isinstance(trainer.strategy, DDPStrategy)
    assert trainer.num_devices == 2


def test_a_device_that_is_not_there_is_named(tmp_path):
    for run in (Run(tmp_path, accelerator="abacus"), Run(tmp_path, precision="abacus")):
        with pytest.raises(UserError, match="'abacus'"):
            make_trainer(run, Callback(), first_step=0)
