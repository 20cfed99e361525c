"""Runs: the trainer, the folder and the averages that both wings use."""

import shutil
from pathlib import Path

import pytest
import torch
from pytorch_lightning import Callback
from pytorch_lightning.loggers import CSVLogger
from pytorch_lightning.strategies import DDPStrategy
from talking_corpus import make_corpus

from talkinghead.commands import meta_train, speech_train
from talkinghead.commands.meta_train import HeadRun
from talkinghead.commands.speech_train import SpeechRun
from talkinghead.errors import UserError
from talkinghead.speech.training.run_folder import SpeechRunFolder
from talkinghead.testing.synthetic import write_drawn_shards
from talkinghead.training.run import RunConfig
from talkinghead.training.run_folder import first_step, open_folder
from talkinghead.training.trainer import make_trainer

SMALL = [
    "--model.portrait.size=32", "--model.portrait.min_channels=8", "--model.portrait.max_channels=16",
    "--model.portrait.embedding_dim=16", "--model.portrait.embedder_blocks=5", "--model.perceptual=offline",
]  # fmt: skip


def told(folder: Path, **settings: object) -> RunConfig:
    return RunConfig(folder=folder, **({"accelerator": "cpu", "log_every": 7} | settings))


def test_a_trainer_logs_into_the_runs_folder_and_keeps_what_it_is_given(tmp_path):
    keeper = Callback()
    trainer = make_trainer(told(tmp_path, precision="bf16-mixed"), [keeper], first_step=12)
    assert keeper in trainer.callbacks
    assert not trainer.checkpoint_callbacks
    assert (trainer.precision, trainer.log_every_n_steps, trainer.num_devices) == ("bf16-mixed", 7, 1)
    csv = next(logger for logger in trainer.loggers if isinstance(logger, CSVLogger))
    assert Path(csv.log_dir) == tmp_path / "logs" / "from-0000012"


def test_several_devices_train_together(tmp_path):
    trainer = make_trainer(told(tmp_path, devices=2), [], first_step=0)
    assert isinstance(trainer.strategy, DDPStrategy)
    assert trainer.num_devices == 2


def test_a_device_that_is_not_there_is_named(tmp_path):
    for run in (told(tmp_path, accelerator="abacus"), told(tmp_path, precision="abacus")):
        with pytest.raises(UserError, match="'abacus'"):
            make_trainer(run, [], first_step=0)


@pytest.mark.parametrize("config", [HeadRun, SpeechRun])
@pytest.mark.parametrize(("name", "value"), [("steps", 0), ("save_every", 0), ("threads", -1), ("seed", -1)])
def test_numbers_that_are_too_low_are_named(config, name, value):
    with pytest.raises(UserError, match=f"run.{name} is {value}; it must be"):
        config(folder=Path("run"), **{name: value})


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
            first_step(told(tmp_path))
        assert (tmp_path / "last.ckpt").read_bytes() == content


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="run.folder is .*file, which cannot be written"):
        open_folder(tmp_path / "file", "")


def test_the_former_name_of_show_every_is_read():
    assert HeadRun(folder=Path("run"), sheet_every=3).show_every == 3
    with pytest.raises(UserError, match="run.show_every is 0"):
        HeadRun(folder=Path("run"), sheet_every=0)


def learn(folder: Path, corpus: Path, kind: str, steps: int, *more: str) -> dict[str, torch.Tensor]:
    """The weights after so many steps; each step is saved, every third is shown."""
    sizes = {
        "pham": ["--model.hidden=8", "--model.layers=1", "--model.stretches=2", "--model.frames=10", "--model.ema=0.9"],
        "karras": ["--model.emotion=4", "--model.basis=6", "--model.segments=2", "--model.frames=3", "--model.ema=0.9"],
    }[kind]
    often = ["--run.save-every=1", "--run.show-every=3", "--run.accelerator=cpu", f"--run.steps={steps}"]
    model = f"--model={kind.title()}Recipe"
    speech_train.main([model, *sizes, f"--data.corpora=[{corpus}]", f"--run.folder={folder}", *often, *more])
    weights: dict[str, torch.Tensor] = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
    return weights


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["pham", "karras"])
def test_a_killed_speech_run_goes_on_to_the_same_bits(tmp_path, monkeypatch, kind):
    """Pham's network drops units, Karras's multiplies by noise: both must be drawn again as they would have been."""
    corpus, write = make_corpus(tmp_path / "corpus"), SpeechRunFolder.write_model
    (tmp_path / "parts").mkdir()

    def write_and_keep(keeper, module):
        """What a kill after four steps would leave."""
        if module.step == 4:
            shutil.copy(keeper.folder / "last.ckpt", tmp_path / "parts" / "last.ckpt")
        write(keeper, module)

    monkeypatch.setattr(SpeechRunFolder, "write_model", write_and_keep)
    whole = learn(tmp_path / "whole", corpus, kind, 6)
    monkeypatch.undo()
    parts = learn(tmp_path / "parts", corpus, kind, 6)
    assert whole.keys() == parts.keys() and whole["steps_done"] == 6
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_looking_and_saving_draw_no_random_numbers(tmp_path):
    corpus = make_corpus(tmp_path / "corpus")
    often = learn(tmp_path / "often", corpus, "pham", 4)
    seldom = learn(tmp_path / "seldom", corpus, "pham", 4, "--run.show-every=100", "--run.save-every=100")
    assert all(torch.equal(value, seldom[name]) for name, value in often.items())
