"""Clips spread over processes, which may crash or be killed."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

import cv2

from talkinghead.face.detection.choice import make_detector
from talkinghead.portrait.data.preparation.clips import ClipRecord
from talkinghead.portrait.data.preparation.jobs import Job, do_job
from talkinghead.portrait.data.preparation.settings import PrepareSettings
from talkinghead.stopping import end_children

_worker: dict[str, Any] = {}
"""What a worker process makes once: the settings and the detector."""


def run_in_pool(
    jobs: list[Job], settings: PrepareSettings, *, workers: int, finished: Callable[[Job, ClipRecord], None]
) -> None:
    """Spread jobs over processes. A file that kills its process (a crash of a decoder) is found out and reported."""
    queue = jobs[::-1]
    while queue:
        for suspect in _drain(queue, settings, workers=workers, finished=finished):
            if _drain([suspect], settings, workers=1, finished=finished):
                clip = suspect.clip
                finished(suspect, ClipRecord(clip.video, clip.identity, why="it made the process that read it crash"))


def _drain(
    queue: list[Job], settings: PrepareSettings, *, workers: int, finished: Callable[[Job, ClipRecord], None]
) -> list[Job]:
    """Work a queue off from its end. If a process dies, stop and give the jobs that it may have died of."""
    running: dict[Future[ClipRecord], Job] = {}
    with ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (settings,)) as pool:
        try:
            while queue or running:
                while queue and len(running) < 2 * workers:
                    future = pool.submit(_do_in_worker, queue[-1])
                    running[future] = queue.pop()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    record = future.result()
                    finished(running.pop(future), record)
        except BrokenProcessPool:
            return list(running.values())
        except BaseException:
            end_children()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return []


def _start_worker(settings: PrepareSettings) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process ends the run
    Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _worker.update(settings=settings, detector=make_detector(settings.detector, settings.device))


def _end_with_parent() -> None:
    """A killed parent takes its workers with it, so that a second run finds nobody at its files."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do_in_worker(job: Job) -> ClipRecord:
    return do_job(job, _worker["settings"], _worker["detector"])
