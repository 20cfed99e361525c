"""YAML that anybody may have written."""

import os
from importlib.resources import files
from pathlib import Path

import pytest

from talkinghead.commands.fine_tune import VERB
from talkinghead.errors import UserError
from talkinghead.training.settings_file import MOST_VALUES, empty_names, read_settings, settings_path

ROOT = Path(__file__).resolve().parents[2]


def bomb(levels: int = 9) -> str:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]")
    return "\n".join(lines)


def test_settings_read_back_with_a_few_aliases(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &x {b: 1}\nc: *x\nd: [*x, *x]\n")
    assert read_settings(tmp_path / "a.yaml") == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (bomb(), f"more than {MOST_VALUES} values"),
        ("a: &a [*a]", "more than 20000 values"),
        ("a: " + "[" * 100 + "]" * 100, "more than 32 deep"),
        ("a: " + "[" * 100_000, "more than 32 deep"),
        ("- 1", "no names and values"),
        ("a: [", "not a YAML file"),
        ("a: !!python/object/apply:os.system [true]", "not a YAML file"),
        ("x" * 2_000_000, "2.0 MB, more than the 1 MB"),
        ("", "the file is empty"),
    ],
)
def test_what_is_no_list_of_settings_is_refused(tmp_path, text, problem):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=f"a.yaml.* {problem}"):
        read_settings(tmp_path / "a.yaml")


def test_pipes_devices_and_folders_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path, problem in ((tmp_path / "pipe.yaml", "pipe or a device"), (tmp_path, "is a folder")):
        with pytest.raises(UserError, match=problem):
            VERB.parse(["a.jpg", "-o", "x", "--config", str(path)])


def test_null_where_a_number_belongs_is_named(tmp_path):
    assert list(empty_names({"a": None, "b": {"c": None, "d": 1}})) == ["a", "b.c"]
    (tmp_path / "a.yaml").write_text("epochs: null\n")
    with pytest.raises(UserError, match="a.yaml: epochs is null; give a value, such as 20"):
        VERB.parse(["a.jpg", "-o", "x", "--config", str(tmp_path / "a.yaml")])
    (tmp_path / "b.yaml").write_text("steps: null\n")  # which is its default
    assert VERB.parse(["a.jpg", "-o", "x", "--config", str(tmp_path / "b.yaml")])[1].steps is None


@pytest.mark.parametrize(("name", "problem"), [("bomb", "more than 20000 values"), ("null", "epochs is null")])
def test_settings_that_once_had_no_end(cases, name, problem):
    with pytest.raises(UserError, match=problem):
        VERB.parse(["a.jpg", "-o", "x", "--config", str(cases / f"{name}.yaml")])


def test_settings_that_ship_are_found_by_name_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in ("small", "small.yaml", "configs/small.yaml"):
        assert read_settings(settings_path(Path(given)))["model"]["portrait"]["size"] == 128
    for given in ("other.yaml", "elsewhere/small.yaml"):
        assert settings_path(Path(given)) == Path(given)
    Path("small.yaml").write_text("model: {}")
    assert settings_path(Path("small.yaml")) == Path("small.yaml")


def test_all_settings_of_the_repository_ship():
    ships = Path(str(files("talkinghead") / "configs"))
    assert {path.name for path in ships.iterdir()} == {path.name for path in (ROOT / "configs").iterdir()}
