"""Rendering: milliseconds a frame of the folded generator, and the share of the machine's peak."""

import argparse
from typing import Any

import numpy as np

from benchmarks import REPEATS, flops
from benchmarks.drawn import random_avatar
from benchmarks.measure import DTYPES, Peaks, time_calls
from benchmarks.sizes import add_dtype_option, add_size_options, chosen_config
from talkinghead.portrait.networks.compositing import make_generator
from talkinghead.testing.synthetic import drawn_track


def add_options(parser: argparse.ArgumentParser) -> None:
    """Size, arithmetic, frames at once."""
    add_size_options(parser)
    add_dtype_option(parser)
    parser.add_argument("--batch", type=int, default=1, help="frames rendered at once")
    parser.add_argument("--repeats", type=int, default=3 * REPEATS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Render landmarks to pixels, as `reenact` does."""
    config = chosen_config(options)
    generator = make_generator(config, spectral=False, projection=False)
    landmarks = np.asarray(drawn_track(0, frames=options.batch).landmarks)
    avatar = random_avatar(config, generator, landmarks)
    dtype = DTYPES[options.dtype]
    peaks = Peaks()
    timing = time_calls(lambda: avatar.render_batch(landmarks, dtype=dtype), repeats=options.repeats, warm_up=2)
    peaks.measure()
    work = flops.forward(flops.generator(config)).times(options.batch)
    return {
        "ms_per_frame": 1e3 * timing.wall_seconds / options.batch,
        "cpu_ms_per_frame": 1e3 * timing.cpu_seconds / options.batch,
        "gflop_per_frame": 1e-9 * work.nominal / options.batch,
        "gflop_per_frame_executed": 1e-9 * work.executed / options.batch,
        **peaks.shares(options.dtype, nominal=work.nominal, executed=work.executed, timing=timing),
    }
