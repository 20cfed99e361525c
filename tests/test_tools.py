"""The scripts that a person runs from a checkout, with stand-ins for Python, pip and the commands."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from talkinghead.testing.synthetic import write_drawn_shards

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("demo", "test", "check")


def run(tool: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(ROOT / "tools" / tool), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def venv(tmp_path):
    """A virtual environment whose programs write their arguments to a log."""
    (tmp_path / "bin").mkdir()
    for program in ("python", "talkinghead", "ruff", "mypy", "lint-imports", "sphinx-build"):
        script = tmp_path / "bin" / program
        script.write_text(
            f'#!/bin/sh\necho "{program} $*" >> "{tmp_path}/log"\nexit ${{{program.upper()[:4]}_EXIT:-0}}\n'
        )
        script.chmod(0o755)
    return tmp_path


def log_of(venv: Path) -> list[str]:
    return (venv / "log").read_text().splitlines()


def test_demo_installs_once_and_passes_its_options_on(venv):
    for _ in range(2):
        assert run("demo", "--steps", "3", VENV=str(venv)).returncode == 0
    installs = [line for line in log_of(venv) if "pip install" in line]
    assert len(installs) == 1
    assert log_of(venv)[-1] == "talkinghead demo --steps 3"


def test_test_adds_the_development_tools_to_a_demo_install(venv):
    run("demo", VENV=str(venv))
    assert run("test", "tests/face", VENV=str(venv)).returncode == 0
    installs = [line for line in log_of(venv) if "pip install" in line]
    assert [line.rsplit(" ", 1)[1] for line in installs] == [".", ".[dev]"]
    assert log_of(venv)[-1].startswith("python -m pytest ")
    assert log_of(venv)[-1].endswith(" tests/face")


def test_a_demo_after_the_tests_has_nothing_to_install(venv):
    run("test", VENV=str(venv))
    before = len(log_of(venv))
    run("demo", VENV=str(venv))
    assert log_of(venv)[before:] == ["talkinghead demo"]


def test_a_failed_demo_fails_the_tool(venv):
    assert run("demo", VENV=str(venv), TALK_EXIT="2").returncode == 2


def test_check_runs_every_check_and_names_the_one_that_failed(venv):
    answer = run("check", VENV=str(venv), MYPY_EXIT="1")
    assert answer.returncode == 1
    assert "failed: types" in answer.stdout
    checks = [line.split()[0] for line in log_of(venv) if not line.startswith("python")]
    assert checks == ["ruff", "ruff", "mypy", "lint-imports", "sphinx-build"]


@pytest.mark.parametrize("tool", TOOLS)
def test_without_a_new_enough_python_the_tool_says_so(tool, tmp_path):
    answer = run(tool, VENV=str(tmp_path / "venv"), PYTHON="surely-not-a-python")
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: Python 3.11 or newer is needed")


def test_train_default_prepares_both_splits_and_trains_on_them(venv, tmp_path):
    (tmp_path / "clips").mkdir()
    answer = run("train_default", str(tmp_path / "clips"), str(tmp_path / "work"), "--run.steps", "5", VENV=str(venv))
    assert answer.returncode == 0
    lines = [line for line in log_of(venv) if line.startswith("talkinghead")]
    prepared_train, prepared_val, painted, trained, layered = lines
    assert prepared_train == f"talkinghead prepare {tmp_path}/clips/train -o {tmp_path}/work/shards/train"
    assert prepared_val == f"talkinghead prepare {tmp_path}/clips/val -o {tmp_path}/work/shards/val"
    assert painted.startswith("talkinghead meta-train --config configs/small.yaml")
    assert painted.endswith(f"--run.folder {tmp_path}/work/run --run.steps 9250 --run.steps 5")
    assert trained.startswith("talkinghead meta-train --config configs/small_photo.yaml")
    assert trained.endswith(f"--run.start_from {tmp_path}/work/run/head.safetensors --run.steps 5")
    assert layered.startswith("talkinghead meta-train --config configs/small_layers.yaml")
    assert layered.endswith(f"--run.start_from {tmp_path}/work/run_photo/head.safetensors --run.steps 5")
    assert all(f"--data.shards {tmp_path}/work/shards/train" in line for line in (painted, trained, layered))
    run("train_default", str(tmp_path / "clips"), str(tmp_path / "work"), VENV=str(venv))
    assert "small_layers.yaml" in log_of(venv)[-1]  # what is painted already is not painted again
    assert sum("configs/small.yaml" in line for line in log_of(venv)) == 1
    assert sum("configs/small_photo.yaml" in line for line in log_of(venv)) == 1


def test_train_default_names_the_folder_that_is_not_there(venv):
    answer = run("train_default", "no-clips", VENV=str(venv))
    assert answer.returncode == 1
    assert "no-clips" in answer.stderr


def test_the_movement_filter_is_measured_and_no_file_is_written_over(tmp_path):
    write_drawn_shards(tmp_path / "shards", people=2, frames=30, side=64)
    out = tmp_path / "filter.safetensors"

    def measure(*arguments: Path) -> subprocess.CompletedProcess[str]:
        tool = ROOT / "tools" / "make_movement_filter"
        return subprocess.run([sys.executable, tool, *arguments], capture_output=True, text=True, check=False)

    assert "2 videos" in measure(tmp_path / "shards", "-o", out).stdout
    gain = load_file(out)["gain"]
    assert gain.shape == (136, 136)
    assert np.isfinite(gain).all()
    again = measure(tmp_path / "shards", "-o", out)
    assert (again.returncode, "exists" in again.stderr) == (1, True)
    nothing = measure(tmp_path, "-o", tmp_path / "other.safetensors")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (1, 1)
    assert "no shards here" in nothing.stderr
