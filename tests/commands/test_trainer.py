"""The trainer that both training commands use."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from pytorch_lightning import Callback
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.strategies import DDPStrategy
from talking_corpus import make_corpus

from talkinghead.commands import first_step, meta_train, speech_train
from talkinghead.commands.trainer import make_trainer, open_folder
from talkinghead.errors import UserError
from talkinghead.testing.synthetic import write_drawn_shards

SMALL = [
    "--model.portrait.size=32", "--model.portrait.min_channels=8", "--model.portrait.max_channels=16",
    "--model.portrait.embedding_dim=16", "--model.portrait.embedder_blocks=5", "--model.perceptual=offline",
]  # fmt: skip


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


@pytest.mark.parametrize("config", [meta_train.RunConfig, speech_train.RunConfig])
@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("save_every", 0), ("threads", -1), ("seed", -1)])
def test_numbers_that_are_too_low_are_named(config, name, value):
    with pytest.raises(UserError, match=f"run.{name} is {value}; it must be"):
        config(Path("run"), **{name: value})


@pytest.mark.parametrize(
    "option", ["data.batch_size=0", "data.shots=0", "data.workers=-1", "model.generator_lr=-1.0", "data.seed=-1"]
)
def test_numbers_of_data_and_model_are_looked_at_too(tmp_path, option):
    write_drawn_shards(tmp_path / "shards", people=2, frames=5, side=32)
    with pytest.raises(UserError, match=option.partition(".")[2].replace("=", " is ")):
        places = [f"--run.folder={tmp_path / 'run'}", f"--data.shards={tmp_path / 'shards'}"]
        meta_train.main([*places, "--data.shots=2", *SMALL, f"--{option}"])
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("option", ["precision", "accelerator"])
def test_a_run_that_this_machine_cannot_compute_leaves_its_folder_as_it_was(tmp_path, option):
    write_drawn_shards(tmp_path / "shards", people=2, frames=5, side=32)
    corpus = make_corpus(tmp_path / "corpus")
    places = [f"--run.folder={tmp_path / 'run'}", f"--run.{option}=abacus"]
    head = [f"--data.shards={tmp_path / 'shards'}", "--data.shots=2", *SMALL]
    voice = ["--model=PhamRecipe", "--model.hidden=8", "--model.layers=1", f"--data.corpora=[{corpus}]"]
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("of an earlier run")
    for command, options in ((meta_train, head), (speech_train, voice)):
        with pytest.raises(UserError, match="'abacus'"):
            command.main([*places, *options])
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["config.yaml"]
    assert (tmp_path / "run" / "config.yaml").read_text() == "of an earlier run"


def test_a_damaged_checkpoint_is_named_and_kept(tmp_path):
    for content in (b"junk", b""):
        (tmp_path / "last.ckpt").write_bytes(content)
        with pytest.raises(UserError, match="last.ckpt cannot be read"):
            first_step(tmp_path / "last.ckpt", 10)
        assert (tmp_path / "last.ckpt").read_bytes() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="run.folder is .*file, which cannot be written"):
        open_folder(tmp_path / "file", "")
