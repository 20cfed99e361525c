"""Signals end a command, now or after a step."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from talkinghead import cli, stopping
from talkinghead.stopping import Stopped, asked, listening, step_by_step


@pytest.fixture(autouse=True)
def interruptible():
    """A process in the background ignores Ctrl-C from its start; these tests are about one that does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # Python handles it between two of its instructions


@pytest.mark.parametrize(
    ("number", "status", "line"), [(signal.SIGTERM, 143, "SIGTERM"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_is_an_exit_status_and_a_line(monkeypatch, capsys, number, status, line):
    monkeypatch.setattr(cli, "import_module", lambda name: SimpleNamespace(main=lambda argv: send(number)))
    with pytest.raises(SystemExit) as left:
        cli.main(["prepare"])
    assert left.value.code == status
    assert line in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_what_a_library_makes_of_a_signal_is_still_that_signal(monkeypatch):
    def command(argv: list[str]) -> None:
        try:
            send(signal.SIGINT)
        except KeyboardInterrupt as error:
            raise RuntimeError("a worker was killed") from error

    monkeypatch.setattr(cli, "import_module", lambda name: SimpleNamespace(main=command))
    with pytest.raises(SystemExit) as left:
        cli.main(["meta-train"])
    assert left.value.code == 130


def test_the_first_sigterm_waits_for_the_step_and_the_second_does_not():
    with listening(), pytest.raises(Stopped) as first, step_by_step():
        send(signal.SIGTERM)
        assert asked() == signal.SIGTERM
    assert first.value.status == 143
    with listening(), pytest.raises(Stopped), step_by_step():
        assert asked() is None
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        raise AssertionError("the second was not heard")


def test_ctrl_c_does_not_wait_for_a_step():
    with listening(), pytest.raises(Stopped) as left, step_by_step():
        send(signal.SIGINT)
    assert left.value.status == 130 and str(left.value) == "interrupted"
    assert stopping.seen() == signal.SIGINT


def test_a_full_terminal_does_not_fail_a_command(tmp_path):
    code = (
        "import sys; from talkinghead.cli import Lossy; sys.stderr = Lossy(sys.stderr); sys.stderr.write('x' * 99999)"
    )
    with Path("/dev/full").open("w") as full:
        assert subprocess.run([sys.executable, "-c", code], stderr=full, check=False).returncode == 0
