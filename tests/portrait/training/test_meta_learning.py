"""The meta-learning step, and whole runs of it through the command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open

from talkinghead.commands import meta_train
from talkinghead.errors import UserError
from talkinghead.portrait.networks.config import CompositingConfig, PortraitConfig
from talkinghead.portrait.networks.head import FewShotHead, folded
from talkinghead.portrait.training.config import LossWeights, MetaLearningConfig
from talkinghead.portrait.training.content_loss import OfflineContent, make_content_loss
from talkinghead.portrait.training.meta_learning import MetaLearning
from talkinghead.testing.synthetic import episode_batch, write_drawn_shards

TINY = PortraitConfig(size=32, min_channels=8, max_channels=16, embedding_dim=16, embedder_blocks=5, attention=False)
SETTINGS = {
    "model": {
        "portrait": TINY.to_dict(), "perceptual": "offline", "generator_lr": 2e-4, "discriminator_lr": 4e-4,
        "discriminator_steps": 2,
    },
    "data": {"shots": 2, "batch_size": 2, "augment": {"shape": 0.5}},
    "run": {
        "accelerator": "cpu", "precision": "32-true", "save_every": 3, "sheet_every": 100, "validation_episodes": 2,
        "log_every": 1,
    },
}  # fmt: skip


class _OneProcess:
    world_size = 1


class Bench(MetaLearning):
    """The module with plain optimisers instead of a trainer's."""

    def __init__(self, **settings):
        torch.manual_seed(0)
        super().__init__(MetaLearningConfig(**{"portrait": TINY, **settings}), OfflineContent(), videos="abcd")
        self._plain = self.configure_optimizers()

    trainer = property(lambda self: _OneProcess())

    def optimizers(self):
        return self._plain

    def manual_backward(self, loss):
        loss.backward()

    def log(self, name, value, **_):
        self.logged[name] = value

    def log_dict(self, values, **_):
        self.logged = values


@pytest.fixture(scope="module")
def batch():
    return episode_batch(batch=2, shots=2, size=32)


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "shards"
    write_drawn_shards(path, people=3, frames=8, side=32)
    return path


def weights(network: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def moved(network: torch.nn.Module, before: list[torch.Tensor]) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True))


def test_the_content_loss_is_the_one_that_is_given_and_nothing_is_fetched(batch, monkeypatch):
    monkeypatch.setattr("talkinghead.weights.downloads.read_weights", lambda name: pytest.fail(f"{name} was read"))
    content = OfflineContent()
    module = MetaLearning(MetaLearningConfig(portrait=TINY, perceptual="paper"), content, videos="abcd")
    assert module.content is content


def test_what_is_drawn_next_does_not_depend_on_the_content_loss():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    make_content_loss("offline")
    assert torch.equal(torch.rand(2), expected)


def test_discriminator_step_leaves_the_generator_alone(batch):
    module = Bench()
    before = [weights(part) for part in (module.head.generator, module.head.embedder, module.head.discriminator)]
    module._discriminator_step(batch, torch.zeros(2, 3, 32, 32), 1.0)
    assert not moved(module.head.generator, before[0])
    assert not moved(module.head.embedder, before[1])
    assert moved(module.head.discriminator, before[2])


def test_generator_step_leaves_the_discriminator_and_the_columns_alone(batch):
    module = Bench()
    before, columns = weights(module.head.discriminator), module.columns.table.clone()
    fake, _ = module._generator_step(batch, 1.0, adversarial=True)
    assert not moved(module.head.discriminator, before)
    assert torch.equal(module.columns.table, columns)
    assert all(parameter.grad is None for parameter in module.head.discriminator.parameters())
    assert not fake.requires_grad


def test_generator_feels_the_adversary():
    """A joint backward of both hinge losses cancels this gradient to exactly zero."""
    torch.manual_seed(0)
    batch = episode_batch(batch=2, shots=2, size=32)
    module = Bench(loss_weights=LossWeights(content=0, feature_matching=0, match=0), clip=float("inf"))
    before = weights(module.head.generator)
    _, terms = module._generator_step(batch, 1.0, adversarial=True)
    assert terms["generator_norm"] > 1e-4
    assert moved(module.head.generator, before)


@pytest.mark.parametrize("term", ["train/adversarial", "train/realism_real"])
def test_both_steps_ask_with_the_column_of_the_video(batch, term):
    """Realism holds W of the episode's own video, for the generator as for the discriminator."""

    def told(shift):
        module = Bench(discriminator_steps=1)
        module.columns.table += torch.tensor(shift)[:, None]
        module.training_step(batch)
        return float(module.logged[term])

    assert batch["video_index"].tolist() == [0, 1]
    assert told([0.0, 0, 5, 5]) == told([0.0, 0, 0, 0])
    assert abs(told([5.0, 5, 0, 0]) - told([0.0, 0, 0, 0])) > 1


def test_embedder_learns_from_every_term(batch):
    terms = ("content", "adversarial", "feature_matching", "match")
    for name in terms:
        module = Bench(loss_weights=LossWeights(**{term: float(term == name) for term in terms}))
        before = weights(module.head.embedder)
        module._generator_step(batch, 1.0, adversarial=True)
        assert moved(module.head.embedder, before), name


def test_columns_move_in_the_discriminator_step(batch):
    module = Bench()
    before = module.columns.table.clone()
    module._discriminator_step(batch, torch.zeros(2, 3, 32, 32), 1.0)
    changed = (module.columns.table != before).any(1)
    assert changed.tolist() == [True, True, False, False]


def test_frozen_content_networks_collect_no_gradient(batch):
    module = Bench()
    module.training_step(batch)
    assert all(parameter.grad is None for parameter in module.content.parameters())


def test_step_counts_batches_not_optimiser_steps(batch):
    module = Bench(discriminator_steps=2)
    module.training_step(batch)
    module.training_step(batch)
    assert module.step == 2


def test_warm_up_trains_on_content_alone(batch):
    module = Bench(warm_up=1)
    before = weights(module.head.discriminator)
    module.training_step(batch)
    assert not moved(module.head.discriminator, before)
    assert "train/adversarial" not in module.logged
    module.training_step(batch)
    assert moved(module.head.discriminator, before)
    assert {"train/adversarial", "train/match", "train/discriminator", "train/realism_real"} <= set(module.logged)


def test_average_follows_the_weights_after_spectral_normalisation(batch):
    module = Bench(ema=0.0)
    module.training_step(batch)
    module.eval()
    picture, params = batch["target_landmark_image"], torch.randn(2, module.head.generator.num_adain_params)
    ours = module.averaged["generator"](picture, params)
    assert torch.allclose(ours, module.head.generator(picture, params), atol=1e-4)


def test_average_lags_behind(batch):
    module = Bench(ema=0.9)
    start = weights(module.averaged["generator"])
    for _ in range(3):
        module.training_step(batch)
    assert moved(module.averaged["generator"], start)
    module.eval()
    picture, params = batch["target_landmark_image"], torch.randn(2, module.head.generator.num_adain_params)
    assert not torch.allclose(module.averaged["generator"](picture, params), module.head.generator(picture, params))


@pytest.mark.parametrize(("step", "followed"), [(0, 0.9), (8, 0.5), (890, 0.01), (10**5, 0.001)])
def test_the_average_leaves_its_random_start_within_a_few_steps(step, followed):
    """Its decay warms up: 1/10 at first, 9/18 at the ninth step, at last the decay that is asked for."""
    module = Bench(ema=0.999)
    module.steps_done = step
    with torch.no_grad():
        module.head.generator.last.bias += 1
    start = module.averaged["generator"].last.bias.clone()
    module._average()
    assert (module.averaged["generator"].last.bias - start) == pytest.approx(followed, abs=1e-5)


def test_rates_fall_linearly_to_a_hundredth():
    module = Bench(decay_from=10, decay_to=20)
    rates = []
    for step in (0, 10, 15, 20, 30):
        module.steps_done = step
        rates.append(module._decay())
    assert rates == pytest.approx([1, 1, 0.5, 0.01, 0.01])


def test_rates_are_those_asked_for_times_the_decay_and_the_roll_backs(batch):
    module = Bench(generator_lr=1e-3, discriminator_lr=2e-3, columns_lr=4e-3, decay_to=8, discriminator_steps=1)
    module.rate_scale = 0.5
    module.steps_done = 4
    before = module.columns.table.clone()
    module.training_step(batch)
    assert [group["lr"] for one in module.optimizers() for group in one.param_groups] == pytest.approx([2.5e-4, 5e-4])
    assert module.logged["train/rate"] == pytest.approx(2.5e-4)
    assert float((module.columns.table - before).abs().max()) == pytest.approx(1e-3, rel=0.05)  # Adam's first step


def test_the_numbers_are_the_papers():
    config = MetaLearningConfig()
    assert (config.generator_lr, config.discriminator_lr, config.discriminator_steps) == (5e-5, 2e-4, 2)
    assert (config.ema, config.clip, config.warm_up, config.decay_to) == (0.999, 10.0, 0, 0)
    assert Bench().columns_lr == 2e-4  # the discriminator's


def test_no_step_is_larger_than_a_clipped_gradient_makes_it(batch):
    module = Bench(clip=1e-9)
    before = weights(module.head)
    module.training_step(batch)
    apart = [float((a - b).abs().max().detach()) for a, b in zip(module.head.parameters(), before, strict=True)]
    assert max(apart) < 1e-6
    assert module.logged["train/generator_norm"] > 1e-6


def test_a_checkpoint_leaves_the_content_networks_out_and_takes_them_back():
    module = Bench()
    checkpoint = {"loops": {}, "state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    assert "loops" not in checkpoint
    assert not any(name.startswith("content.") for name in checkpoint["state_dict"])
    module.on_load_checkpoint(checkpoint)
    assert checkpoint["state_dict"].keys() == module.state_dict().keys()


def test_a_checkpoint_of_other_videos_gives_all_but_their_columns():
    module, other = Bench(), Bench()
    state = {name: value.clone() for name, value in other.state_dict().items()}
    state["columns.table"] = torch.zeros(9, 16)
    state["head.generator.last.bias"] += 1
    module.on_load_checkpoint(checkpoint := {"state_dict": state})
    assert torch.equal(checkpoint["state_dict"]["columns.table"], module.columns.table)
    assert torch.equal(checkpoint["state_dict"]["head.generator.last.bias"], other.head.generator.last.bias + 1)
    same = {"state_dict": {**other.state_dict(), "columns.table": torch.zeros(4, 16)}, "videos": module.columns.videos}
    module.on_load_checkpoint(same)
    assert not same["state_dict"]["columns.table"].any()


def test_what_ships_is_the_average_and_the_folded_discriminator(batch):
    module = Bench(generator_lr=1e-2, discriminator_lr=1e-2, ema=0.9)
    for _ in range(2):
        module.training_step(batch)
    shipped, drawn = module.shipped_head(), batch["target_landmark_image"]
    params = torch.randn(2, module.head.generator.num_adain_params)
    assert torch.equal(shipped.generator(drawn, params), module.averaged["generator"](drawn, params))
    module.eval()
    for head, same in ((shipped, True), (module.head, False)):
        mean, _ = head.embedder.average(batch["source_frames"], batch["source_landmark_images"])
        averaged, _ = module.averaged["embedder"].average(batch["source_frames"], batch["source_landmark_images"])
        assert torch.allclose(mean, averaged, atol=1e-5) == same
    realism = [
        network(batch["target_frame"], drawn, None)[0]
        for network in (shipped.discriminator, folded(module.head.discriminator))
    ]
    torch.testing.assert_close(*realism, rtol=1e-2, atol=1e-3)


def test_starting_from_a_head_takes_its_weights_for_the_average_too(batch):
    other = Bench(generator_lr=1e-2)
    other.training_step(batch)
    module = Bench()
    module.start_from(other.shipped_head())
    assert module.head.training
    for network in (module.head.generator, module.averaged["generator"]):
        assert torch.equal(network.last.bias, other.averaged["generator"].last.bias)
    picture, params = batch["target_landmark_image"], torch.randn(2, module.head.generator.num_adain_params)
    ours, start, random = (
        network(picture, params)
        for network in (module.averaged["generator"], folded(module.head.generator), Bench().averaged["generator"])
    )
    assert (ours - start).abs().mean() < 0.1 * (ours - random).abs().mean()


def test_the_state_of_two_hundred_steps_ago_is_what_is_returned_to(batch):
    module = Bench(warm_up=1000)
    kept, keep = [], module._keep_snapshot

    def keep_at_once() -> None:
        kept.append(module.step)
        keep()
        module._next_snapshot = module._next_snapshot[0], 0.0  # however long it took

    module._keep_snapshot = keep_at_once
    for step in (0, 1, 199, 200, 201, 400):
        module.steps_done = step
        module.training_step(batch)
    assert kept == [0, 200, 400]


def test_a_value_that_is_not_finite_rolls_back_and_lowers_the_rate(batch):
    module = Bench()
    module.training_step(batch)
    module._keep_snapshot()
    good = weights(module.head)
    module.training_step(batch)
    broken = {**batch, "target_frame": torch.full_like(batch["target_frame"], float("nan"))}
    module.training_step(broken)
    assert not moved(module.head, good)
    assert module.rate_scale == 0.5
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())
    module.training_step(batch)
    assert module.step == 4


def test_training_that_keeps_diverging_ends_with_an_error(batch):
    module = Bench()
    broken = {**batch, "target_frame": torch.full_like(batch["target_frame"], float("nan"))}
    with pytest.raises(RuntimeError, match="diverged at step 10 .* 11 times"):
        for _ in range(20):
            module.training_step(broken)
    assert float(module.rate_scale) == 0.5**10


def test_one_episode_can_be_learnt(batch):
    module = Bench(generator_lr=2e-3, discriminator_lr=2e-3)
    module.training_step(batch)
    first = float(module.logged["train/content"])
    for _ in range(120):
        module.training_step(batch)
    assert float(module.logged["train/content"]) < 0.6 * first


def run(folder: Path, shards: Path, *more: str) -> None:
    config = folder.with_suffix(".yaml")
    config.write_text(yaml.safe_dump(SETTINGS))
    meta_train.main(["--config", str(config), "--data.shards", str(shards), "--run.folder", str(folder), *more])


@pytest.mark.filterwarnings("ignore")
def test_a_killed_run_goes_on_to_the_same_bits(shards, tmp_path):
    run(tmp_path / "whole", shards, "--run.steps", "5")
    run(tmp_path / "parts", shards, "--run.steps", "3")
    run(tmp_path / "parts", shards, "--run.steps", "5")
    whole, parts = (torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "parts"))
    assert whole["state_dict"].keys() == parts["state_dict"].keys()
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][name]), name
    for ours, theirs in zip(whole["optimizer_states"], parts["optimizer_states"], strict=True):
        for index, state in ours["state"].items():
            for name, value in state.items():
                assert torch.equal(value, theirs["state"][index][name])


@pytest.mark.filterwarnings("ignore")
def test_a_run_leaves_a_head_without_columns_and_sheets(shards, tmp_path):
    run(tmp_path / "run", shards, "--run.steps", "2", "--data.validation", str(shards))
    head, provenance = FewShotHead.load(tmp_path / "run" / "head.safetensors")
    assert head.config == TINY
    assert provenance["steps"] == 2
    assert provenance["recipe"]["data"]["shards"] == shards.name
    assert str(tmp_path) not in str(provenance)
    with safe_open(tmp_path / "run" / "head.safetensors", "pt") as file:
        assert not any("columns" in name or "table" in name for name in file.keys())  # noqa: SIM118
    assert {p.name for p in (tmp_path / "run" / "sheets").iterdir()} == {"train-0000002.png", "validation-0000002.png"}


@pytest.mark.filterwarnings("ignore")
def test_a_run_starts_from_another_head_and_learns_to_composite(shards, tmp_path):
    run(tmp_path / "first", shards, "--run.steps", "1")
    first = tmp_path / "first" / "head.safetensors"
    run(tmp_path / "wide", shards, "--run.steps", "2", "--run.start_from", str(first),
        "--model.portrait.compositing", "{}", "--data.validation", str(shards))  # fmt: skip
    wide, _ = FewShotHead.load(tmp_path / "wide" / "head.safetensors")
    assert wide.config.compositing == CompositingConfig()
    before = FewShotHead.load(first)[0].embedder.state_dict()
    for name, value in wide.embedder.state_dict().items():
        assert (value - before[name]).abs().mean() < 1e-3, name
    assert wide.generator.bridges[0].gain.any()
    with pytest.raises(UserError, match="the head to start from has the sizes"):
        run(tmp_path / "other", shards, "--run.start_from", str(first), "--model.portrait.embedding_dim", "8")


@pytest.mark.parametrize("low", [{"generator_lr": -1e-4}, {"columns_lr": float("nan")}, {"discriminator_steps": -1}])
def test_senseless_numbers_are_refused(low):
    with pytest.raises(UserError, match=f"{next(iter(low))} is"):
        Bench(**low)


@pytest.mark.filterwarnings("ignore")
def test_a_finished_run_says_so(shards, tmp_path):
    run(tmp_path / "run", shards, "--run.steps", "1")
    with pytest.raises(UserError, match="learnt from 1 steps already"):
        run(tmp_path / "run", shards, "--run.steps", "1")


@pytest.mark.parametrize("wrong", ["--model.generator_rl=1e-4", "--data.shotz=3", "--run.stepz=3"])
def test_misspelt_keys_are_refused_by_name(shards, tmp_path, wrong):
    with pytest.raises(UserError, match=wrong.removeprefix("--").split("=")[0]):
        run(tmp_path / "run", shards, wrong)


def test_misspelt_keys_in_a_file_are_refused_by_name(shards, tmp_path):
    config = tmp_path / "wrong.yaml"
    config.write_text(yaml.safe_dump({**SETTINGS, "modle": {"perceptual": "paper"}}))
    with pytest.raises(UserError, match="modle"):
        meta_train.main(["--config", str(config), "--data.shards", str(shards), "--run.folder", str(tmp_path / "run")])


@pytest.mark.filterwarnings("ignore")
def test_two_processes_equal_one_with_the_doubled_batch(shards, tmp_path):
    run(tmp_path / "one", shards, "--run.steps", "1")
    command = [
        sys.executable, "-m", "talkinghead", "meta-train", "--config", str(tmp_path / "one.yaml"),
        "--data.shards", str(shards), "--run.folder", str(tmp_path / "two"), "--run.steps", "1", "--run.devices", "2",
        "--data.batch_size", "1", "--run.threads", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    one, two = (torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"] for name in ("one", "two"))
    # Adam's first step has the size of the rate whatever the gradient's, so that float error in a tiny gradient turns
    # single weights around; a gradient that was not averaged would turn half of them.
    for name, value in one.items():
        if name.endswith((".u", ".v")):  # directions that power iteration has found in the weights
            assert torch.cosine_similarity(value, two[name], dim=0) > 0.99999, name
            continue
        apart = (value.float() - two[name].float()).abs()
        assert apart.mean() < 0.1 * 2e-4, name


@pytest.mark.filterwarnings("ignore")
def test_a_value_that_is_infinite_in_one_process_rolls_back_all_and_each_step_reduces_what_it_trains(shards, tmp_path):
    config = tmp_path / "two.yaml"
    config.write_text(yaml.safe_dump(SETTINGS))
    script = Path(__file__).parents[2] / "infinite_on_one_rank.py"
    command = [
        sys.executable, str(script), str(tmp_path), "--config", str(config), "--data.shards", str(shards),
        "--run.folder", str(tmp_path / "two"), "--run.steps", "4", "--run.devices", "2", "--data.batch_size", "1",
        "--run.threads", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    one, two = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert one == two
    assert (one["steps"], one["rollbacks"], one["rate"]) == (4, 1, 0.5)
    sizes = one["sizes"]
    step = sizes["embedder"] + sizes["generator"] + SETTINGS["model"]["discriminator_steps"] * sizes["discriminator"]
    assert 0 <= one["traffic"] - 4 * (step + 1) < 8  # and the one flag; Lightning sends a number at the end
    assert one["by_ddp"] == 0


def test_columns_are_matched_by_the_names_of_the_videos(batch, caplog):
    old, new = Bench(), Bench()
    old.columns.videos, new.columns.videos = list("abcd"), list("cxay")
    old.training_step(batch)
    checkpoint = {"state_dict": old.state_dict()}
    old.on_save_checkpoint(checkpoint)
    fresh = new.columns.table.clone()
    new.on_load_checkpoint(checkpoint)
    assert "2 columns of W start anew" in caplog.text
    new.load_state_dict(checkpoint["state_dict"])
    for name in ("table", "second_moment", "steps"):
        ours, theirs = getattr(new.columns, name), getattr(old.columns, name)
        assert torch.equal(ours[[0, 2]], theirs[[2, 0]])
    assert torch.equal(new.columns.table[[1, 3]], fresh[[1, 3]])
    assert new.step == 1


def test_a_checkpoint_of_before_the_names_keeps_the_head_and_drops_the_columns(batch, caplog):
    old, new = Bench(), Bench()
    old.training_step(batch)
    checkpoint = {"state_dict": old.state_dict()}
    old.on_save_checkpoint(checkpoint)
    del checkpoint["videos"]
    checkpoint["state_dict"]["columns.table"] = torch.zeros(9, TINY.embedding_dim)  # a column for each track
    new.on_load_checkpoint(checkpoint)
    assert "does not say whose its columns of W are" in caplog.text
    fresh = new.columns.table.clone()
    new.load_state_dict(checkpoint["state_dict"])
    assert torch.equal(new.columns.table, fresh)
    assert not moved(new.head, weights(old.head))


def test_a_gradient_that_is_not_finite_leaves_the_columns_alone():
    columns = Bench().columns
    before = {name: value.clone() for name, value in columns.state_dict().items()}
    columns.update(torch.tensor([0, 1]), torch.tensor([[1.0] * 16, [float("nan")] * 16]), lr=0.1)
    assert all(torch.equal(value, before[name]) for name, value in columns.state_dict().items())


def test_a_snapshot_that_takes_long_is_rare(monkeypatch):
    clock = iter((100.0, 102.0))
    module = Bench()
    monkeypatch.setattr("talkinghead.portrait.training.meta_learning.time.monotonic", lambda: next(clock))
    module._keep_snapshot()
    assert module._next_snapshot == (200, 302.0)  # two seconds of two hundred


@pytest.mark.parametrize("precision", ["16-mixed", "16-true"])
def test_arithmetic_that_scales_losses_is_refused(shards, tmp_path, precision):
    with pytest.raises(UserError, match="run.precision is '16"):
        run(tmp_path / "run", shards, "--run.precision", precision)


@pytest.mark.filterwarnings("ignore")
def test_compiled_networks_give_the_same_numbers_under_the_same_names(batch):
    module, graphs = Bench().eval(), []  # in training each pass refines the singular vectors
    names = module.state_dict().keys()
    pictures = batch["target_frame"], batch["target_landmark_image"], None
    with torch.no_grad():
        plain, _ = module.head.discriminator(*pictures)
        module.compile_networks(lambda graph, _: graphs.append(graph) or graph.forward)
        compiled, _ = module.head.discriminator(*pictures)
    assert graphs and torch.equal(plain, compiled)
    assert module.state_dict().keys() == names
    assert module.shipped_head().state_dict().keys() == FewShotHead(TINY, spectral=False).state_dict().keys()
