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
def bar(name: str, unit: str = "frames") -> Iterator[Report]:
    """A bar with the rate and the time left; where there is no terminal, a line every half minute.

    Args:
        name: of what is done.
        unit: what is counted; nothing where the numbers mean only a share of the whole.
    """
    if sys.stderr.isatty():
        with _rich_bar(name, unit) as report:
            yield report
    else:
        yield _lines(name, unit)


@contextmanager
def _rich_bar(name: str, unit: str) -> Iterator[Report]:
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
            rate = _rate(done, total, unit, shown.tasks[0].elapsed or 0)
            shown.update(task, completed=done, total=total, rate=rate, note=note)

        yield report


def _lines(name: str, unit: str) -> Report:
    began = last = time.monotonic()

    def report(done: int, total: int | None, note: str = "", /) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < LINE_EVERY:
            return
        last = now
        parts = [_rate(done, total, unit, now - began)]
        if total and done:
            parts = [
                f"{done / total:.0%}",
                *parts,
                f"{timedelta(seconds=int((now - began) * (total / done - 1)))} left",
            ]
        sys.stderr.write(f"{name}: {', '.join(part for part in (*parts, note) if part)}\n")

    return report


def _rate(done: int, total: int | None, unit: str, seconds: float) -> str:
    """How much is done, and how fast."""
    return f"{done}{f'/{total}' if total else ''} {unit}, {done / max(seconds, 1e-3):.3g} a second" if unit else ""


def say(line: str) -> None:
    """A line above the bar."""
    sys.stderr.write(line + "\n")
