"""Every file in configs/ trains one step, at a size that a test can afford."""

from pathlib import Path

import pytest
from people import tiny_head

from talkinghead.commands import fine_tune, meta_train
from talkinghead.commands.demo import astronaut
from talkinghead.portrait.avatar.avatar import Avatar
from talkinghead.portrait.networks.config import PortraitConfig
from talkinghead.testing.synthetic import write_drawn_shards

CONFIGS = Path(__file__).parents[1] / "configs"
SMALLER = [
    "--model.portrait.size=32", "--model.portrait.min_channels=8", "--model.portrait.max_channels=16",
    "--model.portrait.embedding_dim=16", "--model.portrait.embedder_blocks=5", "--model.perceptual=offline",
    "--data.shots=2", "--data.batch_size=2", "--data.workers=0", "--run.steps=1", "--run.accelerator=cpu",
    "--run.validation_episodes=2", "--run.show_every=100",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["small.yaml", "small_photo.yaml", "small_layers.yaml", "voxceleb2.yaml"])
def test_config_trains_one_step(name, tmp_path):
    write_drawn_shards(tmp_path / "shards", people=2, frames=5, side=32)
    places = [f"--data.shards={tmp_path / 'shards'}", f"--run.folder={tmp_path / 'run'}"]
    validation = [f"--data.validation={tmp_path / 'shards'}"] if name.startswith("small") else []
    if name in ("small_photo.yaml", "small_layers.yaml"):
        small = PortraitConfig(
            size=32, min_channels=8, max_channels=16, embedding_dim=16, embedder_blocks=5, attention=False
        )
        tiny_head(config=small).save(tmp_path / "first.safetensors", {})
        places.append(f"--run.start_from={tmp_path / 'first.safetensors'}")
    meta_train.main(["--config", str(CONFIGS / name), *SMALLER, *places, *validation])
    assert (tmp_path / "run" / "head.safetensors").is_file()


def test_the_papers_fine_tuning_learns_from_a_photo(tmp_path):
    tiny_head().save(tmp_path / "tiny.head.safetensors", {})
    avatar = tmp_path / "a.avatar.safetensors"
    fine_tune.main(
        [str(astronaut()), "-o", str(avatar), "--head", str(tmp_path / "tiny.head.safetensors"), "--steps", "1",
         "--config", str(CONFIGS / "paper_avatar.yaml"), "--perceptual", "offline", "--no-preview"]
    )  # fmt: skip
    learnt = Avatar.load(avatar).provenance
    assert learnt["fine_tuning"]["generator_lr"] == 5e-5
    assert {"content", "adversarial", "feature_matching", "discriminator"} <= set(learnt["losses"])


def test_every_meta_training_config_is_tested():
    trained = {path.name for path in CONFIGS.glob("*.yaml") if "meta-train" in path.read_text().splitlines()[0]}
    assert trained == {"small.yaml", "small_photo.yaml", "small_layers.yaml", "voxceleb2.yaml"}
