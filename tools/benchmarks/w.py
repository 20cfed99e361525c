"""W, the column for each training video: whether a step gets slower when there are many."""

import argparse
from typing import Any

from benchmarks.measure import peak_rss_mb, rss_mb
from benchmarks.sizes import add_dtype_option, add_size_options, chosen_config
from benchmarks.training import make_module, random_episodes, time_steps


def add_options(parser: argparse.ArgumentParser) -> None:
    """Size, arithmetic, number of videos."""
    add_size_options(parser)
    add_dtype_option(parser)
    parser.set_defaults(size="light", side=64)
    parser.add_argument("--videos", type=int, default=150_000)
    parser.add_argument("--batch", type=int, default=2, help="episodes a step")
    parser.add_argument("--shots", type=int, default=2, help="source frames of an episode")
    parser.add_argument("--dim", type=int, default=512, help="length of a column; the paper's is 512")
    parser.add_argument("--repeats", type=int, default=25, help="steps that are timed")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train a small head with a paper-sized W."""
    config = chosen_config(options, embedding_dim=options.dim)
    module = make_module(config, videos=options.videos, content="offline")
    batches = random_episodes(
        config, batch=options.batch, shots=options.shots, videos=options.videos, count=options.repeats + 2
    )
    timing = time_steps(module, batches, dtype=options.dtype, warm_up=2)
    held = sum(buffer.nbytes for buffer in module.columns.buffers())
    return {
        "step_ms": 1e3 * timing.wall_seconds,
        "step_cpu_ms": 1e3 * timing.cpu_seconds,
        "rss_mb": rss_mb(),
        "peak_rss_mb": peak_rss_mb(),
        "w_mb": held / 1e6,
    }
