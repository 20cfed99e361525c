"""A meta-learning step: CPU seconds, share of the machine's peak, and the most memory held."""

import argparse
from typing import Any

from benchmarks import REPEATS, flops
from benchmarks.measure import Peaks, peak_rss_mb
from benchmarks.sizes import add_dtype_option, add_size_options, chosen_config
from benchmarks.training import make_module, random_episodes, time_steps


def add_options(parser: argparse.ArgumentParser) -> None:
    """Size, arithmetic, batch, shots, content loss."""
    add_size_options(parser)
    add_dtype_option(parser)
    parser.add_argument("--batch", type=int, default=2, help="episodes a step")
    parser.add_argument("--shots", type=int, default=8, help="source frames of an episode")
    parser.add_argument("--content", choices=("paper", "offline"), default="paper", help="content loss")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="steps that are timed")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train for a few steps."""
    config = chosen_config(options)
    peaks = Peaks()
    module = make_module(config, videos=1000, content=options.content)
    batches = random_episodes(config, batch=options.batch, shots=options.shots, videos=1000, count=options.repeats + 1)
    timing = time_steps(module, batches, dtype=options.dtype, warm_up=1)
    figures: dict[str, Any] = {"cpu_seconds": timing.cpu_seconds, "wall_seconds": timing.wall_seconds}
    if options.content == "paper":
        work = flops.meta_learning_step(config, batch=options.batch, shots=options.shots)
        figures |= {"tflop": 1e-12 * work.nominal, "tflop_executed": 1e-12 * work.executed}
        peaks.measure()
        figures |= peaks.shares(options.dtype, nominal=work.nominal, executed=work.executed, timing=timing)
    return figures | {"peak_rss_mb": peak_rss_mb()}
