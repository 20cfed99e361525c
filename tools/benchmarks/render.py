"""Rendering: milliseconds a frame of the folded generator, and the share of the machine's peak."""

import argparse
from typing import Any

import numpy as np
import torch

from benchmarks import REPEATS, flops
from benchmarks.measure import DTYPES, Peaks, time_calls
from benchmarks.sizes import add_dtype_option, add_size_options, chosen_config
from talkinghead.portrait.avatar import Avatar
from talkinghead.portrait.generator import Generator


def add_options(parser: argparse.ArgumentParser) -> None:
    """Size, arithmetic, frames at once."""
    add_size_options(parser)
    add_dtype_option(parser)
    parser.add_argument("--batch", type=int, default=1, help="frames rendered at once")
    parser.add_argument("--repeats", type=int, default=3 * REPEATS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Render landmarks to pixels, as `reenact` does."""
    config = chosen_config(options)
    generator = Generator(config, spectral=False, projection=False)
    params = torch.randn(1, generator.num_adain_params) * 0.1 + 1
    landmarks = np.random.default_rng(0).uniform(0.3, 0.7, (options.batch, 68, 2)).astype(np.float32)
    avatar = Avatar(config, generator, adain_params=params, source_landmarks=landmarks, provenance={})
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
