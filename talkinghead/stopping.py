"""How a command is told to stop, and what it may still do: Ctrl-C, SIGTERM, a terminal that closes."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children
from types import FrameType

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_asked: list[int] = []
"""The signals that came while a step was let finish."""
_in_steps = False

_seen: list[int] = []
"""The signals that have raised something."""


class Stopped(BaseException):
    """A signal asks the command to stop. It is no Exception, so that nobody takes it for a fault and goes on.

    Args:
        number: of the signal.
        kept: what was saved and how to go on, for the user.
    """

    def __init__(self, number: int, kept: str = ""):
        super().__init__(number, kept)
        self.number, self.kept = number, kept

    @property
    def status(self) -> int:
        """The exit status that shells know: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number

    def __str__(self) -> str:
        name = "interrupted" if self.number == signal.SIGINT else f"stopped by {signal.Signals(self.number).name}"
        return f"{name}: {self.kept}" if self.kept else name


@contextmanager
def listening() -> Iterator[None]:
    """Signals raise `Stopped` in this block, but for those that the caller ignores; Ctrl-C a KeyboardInterrupt."""
    before = {}
    with suppress(ValueError):  # not the main thread: somebody else listens
        for number in _SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                before[number] = signal.signal(number, _on_signal)
    _asked.clear()
    _seen.clear()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _on_signal(number: int, frame: FrameType | None) -> None:
    if number != signal.SIGINT and _in_steps and not _asked:
        _asked.append(number)
        return
    _seen.append(number)
    if number == signal.SIGINT:
        end_children()
    if number == signal.SIGINT and not _in_steps:
        raise KeyboardInterrupt
    raise Stopped(number)


@contextmanager
def step_by_step() -> Iterator[None]:
    """A training: the first SIGTERM waits until the step is done and saved (see `asked`), the second does not.

    Ctrl-C does not wait; it raises `Stopped`, because Lightning would make a KeyboardInterrupt an exit status of 1.
    """
    global _in_steps
    before, _in_steps = _in_steps, True
    try:
        yield
        if _asked:
            raise Stopped(_asked[0])
    finally:
        _in_steps = before


def seen() -> int | None:
    """The signal that has ended the command, whatever a library made of it on the way up; None if none did."""
    return _seen[0] if _seen else None


def asked() -> int | None:
    """The signal that asked to stop after this step; None if none did."""
    return _asked[0] if _asked else None


def end_children() -> None:
    """Kill the processes that this one started with multiprocessing, so that none outlives it by a clip's time."""
    for child in active_children():
        child.kill()
