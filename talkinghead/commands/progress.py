"""The progress bar of all verbs."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

LINE_EVERY = 30.0
"""Seconds between two lines where nobody watches a bar."""


Report = Callable[..., None]
"""Takes how much is done, of how much (None if that is not known), and maybe a note."""


@contextmanager
def bar(name: str, unit: str = "frames", *, first: int = 0) -> Iterator[Report]:
    """A bar with the rate and the time left; where there is no terminal, a line every half minute.

    Args:
        name: of what is done.
        unit: what is counted; nothing where the numbers mean only a share of the whole.
        first: what was done before, and counts for neither the rate nor the time left.
    """
    if sys.stderr.isatty():
        with _rich_bar(name, unit, first) as report:
            yield report
    else:
        yield _lines(name, unit, first)


@contextmanager
def _rich_bar(name: str, unit: str, first: int) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(name, total=None, rate="", note="")

        def report(done: int, total: int | None, note: str = "", /) -> None:
            rate = _rate(done, total, unit, (done - first) / max(shown.tasks[0].elapsed or 0, 1e-3))
            shown.update(task, completed=done, total=total, rate=rate, note=note)

        yield report


def _lines(name: str, unit: str, first: int) -> Report:
    began = last = time.monotonic()

    def report(done: int, total: int | None, note: str = "", /) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < LINE_EVERY:
            return
        last = now
        parts = [_rate(done, total, unit, (done - first) / max(now - began, 1e-3))]
        if total and done > first:
            parts = [
                f"{done / total:.0%}",
                *parts,
                f"{timedelta(seconds=int((now - began) * (total - done) / (done - first)))} left",
            ]
        sys.stderr.write(f"{name}: {', '.join(part for part in (*parts, note) if part)}\n")

    return report


def _rate(done: int, total: int | None, unit: str, rate: float) -> str:
    """How much is done, and how fast."""
    return f"{done}{f'/{total}' if total else ''} {unit}, {rate:.3g} a second" if unit else ""


def say(line: str) -> None:
    """A line above the bar."""
    sys.stderr.write(line + "\n")
