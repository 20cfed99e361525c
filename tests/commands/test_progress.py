"""The progress bar of all verbs."""

import io
import sys

import pytest

from talkinghead.commands import progress
from talkinghead.commands.progress import bar, say


class Terminal(io.StringIO):
    """Where somebody looks."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_with_rate_and_note(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    with bar("rendering") as report:
        for done in range(1, 11):
            report(done, 10, "anna.mp4")
        say("ben.mp4: no face")
    shown = screen.getvalue()
    assert "rendering" in shown and "10/10 frames" in shown and "a second" in shown and "anna.mp4" in shown
    assert "ben.mp4: no face" in shown


def test_without_a_terminal_there_is_a_line_every_half_minute(monkeypatch, capsys):
    now = iter([0.0, 10.0, 29.0, 31.0, 32.0, 60.0, 61.5])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with bar("tracking") as report:
        for done in (100, 290, 310, 320, 600):
            report(done, 1200)
        report(615, None, "the end")
    assert capsys.readouterr().err == (
        "tracking: 26%, 310/1200 frames, 10 a second, 0:01:29 left\ntracking: 615 frames, 10 a second, the end\n"
    )


def test_numbers_that_mean_a_share_alone_have_no_rate(monkeypatch, capsys):
    now = iter([0.0, 30.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with bar("evaluating", unit="") as report:
        report(1, 4, "anna T=8")
    assert capsys.readouterr().err == "evaluating: 25%, 0:01:30 left, anna T=8\n"


def test_a_short_job_says_nothing(capsys):
    with bar("tracking") as report:
        report(1, 1)
    assert capsys.readouterr().err == ""


def test_a_failure_inside_is_not_swallowed():
    with pytest.raises(ZeroDivisionError), bar("tracking"):
        raise ZeroDivisionError
