"""Time, memory and the machine's own peak, measured so that other programs on the machine disturb them little."""

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks import REPEATS

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_PEAK_CONVOLUTIONS = ((1, 64, 256), (1, 256, 64), (4, 256, 64), (4, 512, 32))
"""Batch, channels and side of 3 x 3 convolutions; the best of them is the peak."""


@dataclass
class Timing:
    """Seconds of several runs; CPU seconds are the sum over all threads."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    _started: tuple[float, float] = (0.0, 0.0)

    def start(self) -> None:
        """Begin a run."""
        self._started = time.perf_counter(), time.process_time()

    def stop(self, *, counts: bool = True) -> None:
        """End a run."""
        wall, cpu = time.perf_counter() - self._started[0], time.process_time() - self._started[1]
        if counts:
            self.wall.append(wall)
            self.cpu.append(cpu)

    @property
    def wall_seconds(self) -> float:
        """Median."""
        return statistics.median(self.wall)

    @property
    def cpu_seconds(self) -> float:
        """Median."""
        return statistics.median(self.cpu)


def time_calls(function: Callable[[], object], *, repeats: int = REPEATS, warm_up: int = 1) -> Timing:
    """Time a function several times, after ``warm_up`` calls that do not count."""
    for _ in range(warm_up):
        function()
    timing = Timing()
    for _ in range(repeats):
        timing.start()
        function()
        timing.stop()
    return timing


@torch.inference_mode()
def peak_gflops(dtype: torch.dtype, *, repeats: int = REPEATS) -> tuple[float, float]:
    """Rate of the machine's best convolution: GFLOP in a CPU second (of one thread), and in a second of wall time."""
    by_cpu, by_wall = 0.0, 0.0
    for batch, channels, side in _PEAK_CONVOLUTIONS:
        shapes = ((batch, channels, side, side), (channels, channels, 3, 3))
        x, kernel = (torch.randn(shape).to(dtype).contiguous(memory_format=torch.channels_last) for shape in shapes)
        timing = time_calls(lambda x=x, kernel=kernel: F.conv2d(x, kernel, padding=1), repeats=repeats)
        gflop = 2e-9 * 9 * channels**2 * side**2 * batch
        by_cpu = max(by_cpu, gflop / timing.cpu_seconds)
        by_wall = max(by_wall, gflop / timing.wall_seconds)
    return by_cpu, by_wall


class Peaks:
    """The machine's peaks, measured before and after the work they are compared with; the higher ones count."""

    def __init__(self) -> None:
        self._rates: dict[str, tuple[float, float]] = {}
        self.measure()

    def measure(self) -> None:
        """Measure again."""
        for name, dtype in DTYPES.items():
            rates = peak_gflops(dtype)
            self._rates[name] = tuple(map(max, rates, self._rates.get(name, rates)))  # type: ignore[assignment]

    def shares(self, dtype: str, *, nominal: float, executed: float, timing: Timing) -> dict[str, float]:
        """What part of the peak some work reaches, by CPU time and by wall time.

        Args:
            dtype: fp32 or bf16.
            nominal: operations, counted as the paper's layers.
            executed: operations that are left of them.
            timing: of the work.
        """
        by_cpu, by_wall = (1e9 * rate for rate in self._rates[dtype])
        return {
            "share_of_peak": nominal / timing.cpu_seconds / by_cpu,
            "share_of_peak_wall": nominal / timing.wall_seconds / by_wall,
            "share_of_peak_executed": executed / timing.cpu_seconds / by_cpu,
            "peak_gflops_fp32": self._rates["fp32"][0],
            "peak_gflops_bf16": self._rates["bf16"][0],
        }


def peak_rss_mb() -> float:
    """Most memory that this process has held, and the largest of its finished children if that is more; MB."""
    status = Path("/proc/self/status")
    own = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if status.is_file():  # unlike the number above, this one does not count what ran before the last exec
        own = next(1024 * int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return max(own, 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1e6


def rss_mb() -> float:
    """Memory that this process holds now, MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
