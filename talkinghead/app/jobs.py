"""Work that takes a while: one after the other, with progress, cancelled when asked."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal
from uuid import uuid4

from talkinghead.errors import UserError

log = logging.getLogger(__name__)

Report = Callable[..., None]
"""Takes how much is done, of how much, and maybe a note; raises `Cancelled` once the work is to end."""
KEPT = 200
"""Jobs that are remembered; the oldest ended ones are forgotten."""


class Cancelled(Exception):  # noqa: N818  it is no error
    """The work was asked to end."""


@dataclass
class Job:
    """One piece of work, as those see it who wait for it."""

    title: str
    number: str = field(default_factory=lambda: uuid4().hex)
    """Its name: not to be guessed, because whoever knows it sees the job."""
    state: Literal["waiting", "running", "done", "failed", "cancelled"] = "waiting"
    done: int = 0
    total: int | None = None
    note: str = ""
    began: float | None = None
    shown: dict[str, Any] = field(default_factory=dict)
    """What there is to see already."""
    error: str = ""
    """One sentence."""
    asked_to_end: Event = field(default_factory=Event)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def seconds_left(self) -> float | None:
        """How long the present stage will take, as it went so far; None where that is not known."""
        if self.began is None or not self.total or not self.done or self.state != "running":
            return None
        return (time.monotonic() - self.began) * (self.total - self.done) / self.done

    def stage(self, title: str) -> Report:
        """Begin a stage: what counts its steps."""
        self.title, self.done, self.total, self.note, self.began = title, 0, None, "", time.monotonic()

        def report(done: int, total: int | None, note: str = "", /) -> None:
            if self.asked_to_end.is_set():
                raise Cancelled
            self.done, self.total, self.note = done, total, note

        report(0, None)
        return report


class Jobs:
    """A queue that works on one job at a time: two would only take the cores from each other."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._pool = ThreadPoolExecutor(1, "job")

    def submit(self, title: str, work: Callable[[Job], None]) -> Job:
        """Queue a piece of work, which shows what it has in `Job.shown`."""
        job = Job(title)
        for number in [one.number for one in self._jobs.values() if one.ended][: max(len(self._jobs) - KEPT, 0)]:
            del self._jobs[number]
        self._jobs[job.number] = job
        self._pool.submit(self._run, job, work)
        return job

    def get(self, number: str | None) -> Job | None:
        """The job of this number; None if there is none (any more)."""
        return self._jobs.get(number or "")

    def ahead(self, job: Job) -> int:
        """How many jobs come before this one."""
        numbers = list(self._jobs)
        before = numbers[: numbers.index(job.number)] if job.number in numbers else []
        return sum(not self._jobs[number].ended for number in before)

    def cancel(self, number: str | None) -> None:
        """Ask a job to end; one that waits ends at once."""
        job = self.get(number)
        if job is not None and not job.ended:
            job.asked_to_end.set()
            if job.state == "waiting":
                job.state = "cancelled"

    def close(self) -> None:
        """End all of them."""
        for number in list(self._jobs):
            self.cancel(number)
        self._pool.shutdown()

    @staticmethod
    def _run(job: Job, work: Callable[[Job], None]) -> None:
        if job.asked_to_end.is_set():
            return
        job.state = "running"
        try:
            work(job)
            job.state = "done"
        except Cancelled:
            job.state = "cancelled"
        except UserError as error:
            job.state, job.error = "failed", str(error)
        except Exception as error:  # a job that breaks must not end the page
            log.exception("%s", job.title)
            job.state, job.error = (
                "failed",
                f"{type(error).__name__}: {error} (more in the window that the page runs in)",
            )
