"""The progress bar of all commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from talkinghead.motion.motion import Progress as Report


@contextmanager
def bar(name: str) -> "Iterator[Report]":
    """A progress bar over frames, with their rate and the time left; gives what is to be called for each frame."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f} frames/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as shown:
        task = shown.add_task(name, total=None, rate=0.0)

        def report(done: int, total: int | None) -> None:
            rate = done / max(shown.tasks[0].elapsed or 0, 1e-3)
            shown.update(task, completed=done, total=total, rate=rate)

        yield report
