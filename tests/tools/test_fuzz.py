"""Spoilt files of every kind are read or refused; tools/fuzz does the same at length."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
TIMES = 25
NAMES = (
    "chunk", "head", "avatar", "layers", "motion", "rig", "speech", "corpus", "glb", "wav", "png", "jpg", "csv",
    "yaml", "video",
)  # fmt: skip


@pytest.fixture
def fuzzing(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import fuzzing

    return fuzzing


def test_the_same_seed_spoils_alike_and_another_otherwise(fuzzing):
    content = bytes(range(256)) * 8
    assert fuzzing.spoil(content, 3) == fuzzing.spoil(content, 3) != fuzzing.spoil(content, 4)
    assert fuzzing.spoil(b"", 1) is not None


def test_every_reader_is_tried(fuzzing):
    assert set(NAMES) == set(fuzzing.READERS)


@pytest.mark.parametrize("name", NAMES)
def test_spoilt_files_are_read_or_refused(name):
    """In a process of its own, as from a shell: it forks, which a process with threads should not."""
    command = [sys.executable, str(TOOLS / "fuzz"), name, "--times", str(TIMES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}: {TIMES} tried" in done.stdout


def test_what_a_reader_does_not_survive_is_counted():
    """A reader that fails on most files, one that does not come back, and one that dies."""
    program = """
import fuzzing, os, pathlib, time
fuzzing.PATIENCE = 0.3
def make(folder):
    (folder / "x").write_bytes(b"abc" * 50)
    return folder / "x"
def reader(act):
    def read(path):
        if path.read_bytes() != b"abc" * 50:
            act()
    return fuzzing.Reader(make, read)
for name, act in (("fails", lambda: {}["gone"]), ("hangs", lambda: time.sleep(60)), ("dies", lambda: os._exit(1))):
    fuzzing.READERS[name] = reader(act)
    tally = fuzzing.fuzz(name, 3)
    print(tally.line(name), tally.faults[0])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=TOOLS, capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert lines[0].startswith("fails: 3 tried, 0 read, 0 refused, 3 faults fails 0: KeyError: 'gone' (<string>")
    assert lines[1].startswith("hangs: 3 tried, 0 read, 0 refused, 3 faults hangs 0: no end within 0.6 s")
    assert lines[2].startswith("dies: 3 tried, 0 read, 0 refused, 3 faults dies 0: the process died")
