"""One run at a time, and the dead are told from the living."""

import os
import signal
import subprocess
import sys
import time

import pytest

from talkinghead.claims import claimed, process_token, still_runs
from talkinghead.errors import UserError
from talkinghead.media.files import atomic_path, outputs

HOLD = """
import sys, time
from pathlib import Path
from talkinghead.media.files import atomic_path, outputs
with outputs(Path(sys.argv[1])), atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    (temporary.parent / "of a library").write_text("half")
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that writes a.txt."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "a.txt")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_second_run_is_told_who_is_at_it_and_a_killed_one_is_no_hindrance(tmp_path, holder):
    path = tmp_path / "a.txt"
    sentence = rf"a.txt is being written by another run .process {holder.pid} on "
    with pytest.raises(UserError, match=sentence), outputs(path, overwrite=True):
        pass
    with atomic_path(path, overwrite=True) as temporary:  # what the living are at stays
        temporary.write_text("other")
    assert len(list(tmp_path.glob(".a.txt.*-*"))) == 1
    path.unlink()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with outputs(path), atomic_path(path) as temporary:
        temporary.write_text("whole")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_claimed_from_inside_and_left_as_it_was(tmp_path):
    with claimed(tmp_path / "new" / "run", folder=True):
        assert (tmp_path / "new" / "run" / ".lock").read_text().startswith(f"process {os.getpid()} on ")
        with (
            pytest.raises(UserError, match="this program is writing it already"),
            claimed(tmp_path / "new" / "run", folder=True),
        ):
            pass
    assert not list(tmp_path.iterdir())
    with claimed(tmp_path / "new" / "run", folder=True):
        (tmp_path / "new" / "run" / "a").write_text("")
    assert [entry.name for entry in (tmp_path / "new" / "run").iterdir()] == ["a"]


def test_a_claim_never_follows_a_link(tmp_path):
    (tmp_path / "precious").write_text("mine")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with claimed(tmp_path, folder=True):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_the_dead_and_the_strange_are_told_from_the_living():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        token = process_token(process.pid)
        assert still_runs(token, since=0) and still_runs(process_token(), since=0)
        process.kill()
    assert not still_runs(token, since=time.time())
    own = process_token()
    assert not still_runs(own[:-4] + "zzzz", since=time.time())  # this number, but born at another time
    strange = own[:-8] + "zzzz" + own[-4:]
    assert still_runs(strange, since=time.time()) and not still_runs(strange, since=time.time() - 90_000)
