"""reenact: frames a second from a driving video to the clip, and whether memory grows with its length."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import REPEATS
from benchmarks.commands import apart, medians, run_talkinghead
from benchmarks.drawn import draw_clips, make_avatar
from benchmarks.sizes import SIZES

_FPS = 25
_LONG = 60.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Length, size, or a real avatar and driver."""
    parser.add_argument("--seconds", type=float, default=10, help="length of the drawn driver")
    parser.add_argument("--size", choices=SIZES, default="light", help="of an avatar of random weights")
    parser.add_argument("--avatar", type=Path, help="a real one instead")
    parser.add_argument("--side", type=int, default=256, help="of the driver's frames, pixels")
    parser.add_argument("--repeats", type=int, help=f"default: {REPEATS}, and 1 for drivers over {_LONG:.0f} s")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Track, render and write, several times over."""
    frames = round(_FPS * options.seconds)
    repeats = options.repeats or (REPEATS if options.seconds <= _LONG else 1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        avatar = options.avatar or folder / "random.avatar.safetensors"
        if options.avatar is None:
            apart(make_avatar, avatar, options.size)
        apart(draw_clips, folder / "clips", 1, frames, options.side)
        driver = folder / "clips" / "person0" / "clip.mp4"
        usage = medians(
            [
                run_talkinghead("reenact", avatar, "--driver", driver, "-o", folder / f"{index}.mp4")
                for index in range(repeats)
            ]
        )
    return {
        "fps": frames / usage.wall_seconds,
        "fps_cpu": frames / usage.cpu_seconds,
        "peak_rss_mb": usage.peak_rss_mb,
        "frames": frames,
    }
