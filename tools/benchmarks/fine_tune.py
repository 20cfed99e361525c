"""fine-tune: seconds to learn a person, from photos to the avatar's file."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import REPEATS
from benchmarks.commands import apart, medians, run_talkinghead
from benchmarks.drawn import draw_photos, make_head
from benchmarks.sizes import SIZES


def add_options(parser: argparse.ArgumentParser) -> None:
    """Photos, head, steps."""
    parser.add_argument("--photos", type=int, default=8, help="of a drawn person")
    parser.add_argument("--steps", type=int, help="of fine-tuning (default: the command's own)")
    parser.add_argument("--size", choices=SIZES, default="light", help="of a head of random weights")
    parser.add_argument("--head", type=Path, help="a real one instead")
    parser.add_argument("--repeats", type=int, default=REPEATS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune several times over."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        head = options.head or folder / "random.head.safetensors"
        if options.head is None:
            apart(make_head, head, options.size)
        apart(draw_photos, folder / "photos", options.photos)
        extra = ["--head", head, "--allow-strangers", "--no-preview"]
        if options.steps is not None:
            extra += ["--steps", options.steps]
        usage = medians(
            [
                run_talkinghead("fine-tune", folder / "photos", "-o", _avatar(folder, index), *extra)
                for index in range(options.repeats)
            ]
        )
        steps = _steps(_avatar(folder, 0))
    return {
        "seconds": usage.wall_seconds,
        "cpu_seconds": usage.cpu_seconds,
        "steps": steps,
        "peak_rss_mb": usage.peak_rss_mb,
    }


def _avatar(folder: Path, index: int) -> Path:
    return folder / f"{index}.avatar.safetensors"


def _steps(path: Path) -> int:
    from talkinghead.portrait.avatar.avatar import Avatar

    steps: int = Avatar.load(path).provenance["steps"]
    return steps
