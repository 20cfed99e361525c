"""reenact: frames a second from a driving video to the clip, whether memory grows with its length, and its stages."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from benchmarks import REPEATS
from benchmarks.commands import apart, medians, run_talkinghead
from benchmarks.drawn import draw_clips, make_avatar, make_whole_avatar
from benchmarks.sizes import SIZES
from talkinghead.portrait.deployment.choice import Runtime

_FPS = 25
_LONG = 60.0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Length, size, or a real avatar and driver."""
    parser.add_argument("--seconds", type=float, default=10, help="length of the drawn driver")
    parser.add_argument("--size", choices=SIZES, default="light", help="of an avatar of random weights")
    parser.add_argument("--avatar", type=Path, help="a real one instead")
    parser.add_argument(
        "--whole", type=int, metavar="SIDE", help="the head that ships, SIDE pixels in a 1280 x 720 photo"
    )
    parser.add_argument("--side", type=int, default=256, help="of the driver's frames, pixels")
    parser.add_argument("--runtime", choices=get_args(Runtime), default="torch", help="what computes the network")
    parser.add_argument("--repeats", type=int, help=f"default: {REPEATS}, and 1 for drivers over {_LONG:.0f} s")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Track, render and write, several times over."""
    frames = round(_FPS * options.seconds)
    repeats = options.repeats or (REPEATS if options.seconds <= _LONG else 1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        avatar = options.avatar or folder / "random.avatar.safetensors"
        if options.avatar is None and options.whole:
            apart(make_whole_avatar, avatar, options.whole, 720, 1280)
        elif options.avatar is None:
            apart(make_avatar, avatar, options.size)
        apart(draw_clips, folder / "clips", 1, frames, options.side)
        driver = folder / "clips" / "person0" / "clip.mp4"
        usage = medians(
            [
                run_talkinghead(
                    "reenact", avatar, "--driver", driver, "-o", folder / f"{index}.mp4", "--runtime", options.runtime
                )
                for index in range(repeats)
            ]
        )
        apart(time_stages, folder / "stages.json", avatar, driver, options.runtime)
        stages = json.loads((folder / "stages.json").read_text())
    return {
        "fps": frames / usage.wall_seconds,
        "fps_cpu": frames / usage.cpu_seconds,
        "peak_rss_mb": usage.peak_rss_mb,
        "frames": frames,
        "cpu_ms_a_frame": stages,
    }


def time_stages(report: Path, avatar: Path, driver: Path, runtime: Runtime) -> None:
    """CPU milliseconds a frame of each stage on one core, without what is loaded once; written as JSON to `report`."""
    import cv2
    import torch

    from talkinghead.media.video import VideoWriter
    from talkinghead.motion.motion import Motion
    from talkinghead.portrait.avatar import avatar as avatars
    from talkinghead.portrait.avatar import layered_rendering
    from talkinghead.portrait.avatar.reenactment import Clip, reenact
    from talkinghead.portrait.deployment.runtimes import network_by

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    spent: Counter[str] = Counter()
    for owner, name, stage in (
        (Motion, "from_video", "track"),
        (avatars.LayeredSources, "to", "move the photos"),
        (layered_rendering.Painter, "paint", "paint"),
        (layered_rendering, "corrected", "correct"),
        (avatars.WholePicture, "with_head", "put back"),
        (VideoWriter, "write", "encode"),
    ):
        setattr(owner, name, _timed(getattr(owner, name), stage, spent))
    person = avatars.Avatar.load(avatar)
    person.network = network_by(runtime, person)
    began = time.process_time()
    motion = Motion.from_video(driver)
    reenact(person, motion, Clip(report.with_suffix(".mp4")))
    spent["all"] = time.process_time() - began
    report.write_text(json.dumps({stage: round(1000 * seconds / len(motion), 1) for stage, seconds in spent.items()}))


def _timed(function: Callable[..., Any], stage: str, spent: Counter[str]) -> Callable[..., Any]:
    """The function, which adds the CPU seconds of its calls to a stage."""

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            spent[stage] += time.process_time() - began

    return timed
