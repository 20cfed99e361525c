"""evaluate as a user runs it."""

import json

import pytest
from people import tiny_head

from talkinghead.commands import evaluate, prepare
from talkinghead.commands.evaluate import VERB, default_size, load_heads, make_protocol, read_tuning, tuning_in_words
from talkinghead.errors import UserError
from talkinghead.memory import give_back
from talkinghead.portrait.evaluation import all_videos
from talkinghead.portrait.evaluation.methods import BASELINES
from talkinghead.portrait.networks.config import CompositingConfig, PortraitConfig
from talkinghead.portrait.training.config import FineTuningConfig
from talkinghead.testing.synthetic import write_clip, write_drawn_shards


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("command") / "shards"
    write_drawn_shards(folder, people=2, frames=40, side=64)
    return folder


def call(*arguments: object) -> None:
    evaluate.main([str(argument) for argument in arguments])


def test_a_head_is_evaluated_from_shards_to_tables(shards, tmp_path, capsys):
    head = tmp_path / "tiny.head.safetensors"
    tiny_head().save(head, {})
    output = tmp_path / "results"
    call("--shards", shards, "-o", output, "--head", head, "--shots", 1, 2, "--steps", 1, "--cross", 2,
         "--held-out", 8)  # fmt: skip
    results = json.loads((output / "results.json").read_text())
    assert list(results["means"]) == ["1", "2"]
    assert list(results["means"]["2"]) == ["ff", "ft", *BASELINES, "truth"]
    assert results["counts"]["2"]["people"] == 2
    assert {"csim_drop", "acceleration_ratio"} <= set(results["driven_by_others"])
    assert "tiny.head.safetensors" in (output / "table.md").read_text()
    assert sorted(path.name for path in (output / "sheets").iterdir())[0] == "person000_drawn_T01.png"
    assert "T = 2" in capsys.readouterr().out

    with pytest.raises(UserError, match="--overwrite"):
        evaluate.main(["--shards", str(shards), "-o", str(output)])


def test_baselines_need_no_head_and_steps_0_no_tuning(shards, tmp_path):
    call("--shards", shards, "-o", tmp_path / "a", "--baselines-only", "--shots", 1, "--size", 64, "--people", 1,
         "--held-out", 8)  # fmt: skip
    assert list(json.loads((tmp_path / "a" / "results.json").read_text())["means"]["1"]) == [*BASELINES, "truth"]
    tiny_head().save(tmp_path / "tiny.head.safetensors", {})
    call("--shards", shards, "-o", tmp_path / "b", "--head", tmp_path / "tiny.head.safetensors",
         "--shots", 1, "--people", 1, "--steps", 0, "--held-out", 8)  # fmt: skip
    results = json.loads((tmp_path / "b" / "results.json").read_text())
    assert list(results["means"]["1"]) == ["ff", *BASELINES, "truth"]


def test_tasks_are_written_and_what_a_program_made_of_them_is_measured(shards, tmp_path):
    call("--shards", shards, "--tasks", tmp_path / "tasks", "--shots", 1, "--people", 1, "--held-out", 8)
    listed = json.loads((tmp_path / "tasks" / "tasks.json").read_text())
    (task,) = listed["tasks"]
    for index, name in enumerate(task["driver"]):
        made = tmp_path / "still" / task["id"] / f"{index:04}.png"
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes((tmp_path / "tasks" / task["photos"][0]).read_bytes())
        assert name in listed["files"]
    call("--tasks", tmp_path / "tasks", "--rendered", tmp_path / "still", "-o", tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["means"]["1"]
    assert list(rows) == ["still", *BASELINES, "truth"]
    assert rows["still"]["ssim"] == pytest.approx(rows["copy"]["ssim"], abs=1e-5)
    assert "| still |" in (tmp_path / "out" / "table.md").read_text()


def test_videos_are_prepared_once_and_evaluated(tmp_path, monkeypatch):
    write_clip(tmp_path / "clips" / "anna" / "00.mp4", 1, frames=80, sound=False)
    run, prepared = prepare.run, []
    monkeypatch.setattr(prepare, "run", lambda *a, **k: prepared.append(a[0]) or run(*a, **(k | {"workers": 0})))
    options = ["-o", tmp_path / "out", "--baselines-only", "--shots", 1, "--held-out", 8, "--size", 64, "--overwrite"]
    call("--videos", tmp_path / "clips", *options)
    call("--videos", tmp_path / "clips", *options)
    assert prepared == [tmp_path / "clips"]
    assert json.loads((tmp_path / "out" / "results.json").read_text())["counts"]["1"]["people"] == 1
    (tmp_path / "clips" / "anna").rename(tmp_path / "clips" / "ben")
    with pytest.raises(UserError, match="other videos"):
        evaluate.main([str(word) for word in ("--videos", tmp_path / "clips", *options)])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--baselines-only"], "from --shards or from --videos"),
        (["--shards", "x", "--videos", "y"], "from --shards or from --videos"),
        (["--rendered", "x"], "--rendered needs --tasks"),
        (["--rendered", "x", "--tasks", "y", "--shards", "z"], "leave --shards and --videos out"),
        (["--rendered", "nowhere", "--tasks", "y"], "nowhere is no folder"),
        (["--shards", "nowhere", "--baselines-only"], "no shards here"),
        (["--shards", "x", "--shots", "one"], "--shots is 'one'"),
        (["--shards", "x", "--head", "nowhere.safetensors"], "nowhere.safetensors does not exist"),
        (["--shards", "x", "--held-out", "2"], "held_out is 2"),
        (["--videos", "x", "--baselines-only", "--device", "abacus"], "--device is 'abacus'"),
        (["--videos", "x", "--baselines-only", "--detector", "abacus"], "no face detector 'abacus'"),
        (["--videos", "x", "--head", "nowhere.safetensors"], "nowhere.safetensors does not exist"),
    ],
)
def test_mistakes_are_explained(arguments, complaint, tmp_path):
    with pytest.raises(UserError, match=complaint):
        evaluate.main([*arguments, "-o", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()  # nothing is prepared before


def test_an_evaluation_needs_an_output():
    with pytest.raises(UserError, match="needs --output"):
        evaluate.main(["--shards", "x"])


def test_shards_of_short_videos_are_refused(tmp_path):
    write_drawn_shards(tmp_path / "short", people=1, frames=9, side=32)
    with pytest.raises(UserError, match="no video is long enough"):
        evaluate.main(["--shards", str(tmp_path / "short"), "-o", str(tmp_path / "out"), "--baselines-only"])


def test_heads_against_are_named_apart(tmp_path):
    paths = [tmp_path / folder / "head.safetensors" for folder in ("ours", "run1", "run2")]
    for path in paths:
        path.parent.mkdir()
        tiny_head().save(path, {})
    assert list(load_heads(paths[0], [str(path) for path in paths[1:]])) == ["", "run1", "run2"]
    with pytest.raises(UserError, match="two heads run1"):
        load_heads(paths[0], [str(paths[1])] * 2)
    assert VERB.parse(["-o", "x", "--against", "shipped", "--against", "a"])[0].against == ["shipped", "a"]


def test_frames_are_compared_at_the_largest_heads_size():
    layers = CompositingConfig(layers=True)
    assert default_size([], 256) == 256
    assert default_size([PortraitConfig(size=128)], 256) == 128
    assert default_size([PortraitConfig(size=128), PortraitConfig(size=128, compositing=layers)], 256) == 256


def test_numbers_after_shots_belong_together():
    assert VERB.parse(["--shots", "1", "8", "-o", "x"])[0].shots == ["1", "8"]
    assert VERB.parse(["-o", "x", "--shots", "1 8"])[0].shots == ["1 8"]
    assert VERB.parse(["-o", "x"])[0].shots == ["1", "8", "32"]
    assert make_protocol(["8,", "1 8"], held_out=32, seed=0).shots == (1, 8)


def test_tuning_is_read_from_yaml_and_steps_override_it(tmp_path):
    file = tmp_path / "tuning.yaml"
    file.write_text("epochs: 7\ngenerator_lr: 0.001\n")
    assert read_tuning(file, None).epochs == 7
    assert read_tuning(file, 3).steps == 3
    assert read_tuning(None, None).steps is None


def test_the_table_says_how_long_a_person_was_tuned_on():
    assert tuning_in_words(FineTuningConfig()) == "20 epochs, at least 200 steps"
    assert tuning_in_words(FineTuningConfig(epochs=9, least_steps=1)) == "9 epochs, at least 1 steps"
    assert tuning_in_words(FineTuningConfig(steps=80)) == "80 steps"


@pytest.mark.parametrize("text", ["epochz: 7", "epochs: many", "- 1", "epochs: [", "epochs: 7 \udcff"])
def test_a_misspelt_tuning_is_refused_by_name(tmp_path, text):
    file = tmp_path / "tuning.yaml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(
        UserError, match=r"tuning\.yaml(: not a YAML file| holds no fine-tuning settings|: it holds no names)"
    ):
        read_tuning(file, None)


def test_memory_is_given_back_after_each_task(shards, tmp_path, monkeypatch):
    """With the shipped head an evaluation grew by 100 MB a task; test_memory.py shows that this stops it."""
    given = []
    monkeypatch.setattr(all_videos, "give_back", lambda: given.append(give_back()))
    call("--shards", shards, "-o", tmp_path / "out", "--baselines-only", "--shots", 1, 2, "--size", 64,
         "--held-out", 8)  # fmt: skip
    assert len(given) == 4
