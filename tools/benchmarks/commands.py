"""The package's own commands, run in a process of their own whose time and memory are what is measured."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Usage:
    """What a command took."""

    wall_seconds: float
    cpu_seconds: float
    """Of the command and of all processes that it started."""
    peak_rss_mb: float
    """Of the largest of them."""


def run_talkinghead(*arguments: object) -> Usage:
    """Run `talkinghead ARGUMENTS`.

    Raises:
        RuntimeError: if it fails, with what it said.
    """
    command = [sys.executable, "-m", "talkinghead", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=sys.stderr) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    seconds = time.perf_counter() - began
    return Usage(seconds, usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss / 1e6)


def medians(usages: list[Usage]) -> Usage:
    """The median times of several runs, and the most memory."""
    return Usage(
        statistics.median(usage.wall_seconds for usage in usages),
        statistics.median(usage.cpu_seconds for usage in usages),
        max(usage.peak_rss_mb for usage in usages),
    )


def apart(function: Callable[..., None], *arguments: object) -> None:
    """Call a function in a process of its own, so that what it imports and holds does not weigh on this one.

    Raises:
        RuntimeError: if it fails.
    """
    process = get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{function.__name__} failed")
