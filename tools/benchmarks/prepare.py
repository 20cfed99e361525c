"""prepare: frames kept in a second of CPU time, over the whole command with its start."""

import argparse
import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import REPEATS
from benchmarks.commands import Usage, apart, medians, run_talkinghead
from benchmarks.drawn import draw_clips


def add_options(parser: argparse.ArgumentParser) -> None:
    """Clips, workers."""
    parser.add_argument("--clips", type=Path, help="a folder of videos (default: drawn ones)")
    parser.add_argument("--people", type=int, default=8, help="drawn clips, if no folder is given")
    parser.add_argument("--seconds", type=float, default=20, help="length of a drawn clip")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--detector", default="auto")
    parser.add_argument("--repeats", type=int, default=REPEATS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Prepare the clips, several times over."""
    with TemporaryDirectory() as folder:
        clips = options.clips or Path(folder) / "clips"
        if options.clips is None:
            apart(draw_clips, clips, options.people, round(25 * options.seconds), 256)
        usages: list[Usage] = []
        report: dict[str, Any] = {}
        for index in range(options.repeats):
            output = Path(folder) / f"shards{index}"
            arguments = ("--workers", options.workers, "--detector", options.detector)
            usages.append(run_talkinghead("prepare", clips, "-o", output, *arguments))
            report = json.loads((output / "report.json").read_text())
    usage = medians(usages)
    records = report["clips"]
    kept = sum(record["frames_kept"] for record in records)
    return {
        "kept_frames_per_cpu_second": kept / usage.cpu_seconds,
        "wall_frames_per_second": kept / usage.wall_seconds,
        "peak_rss_mb": usage.peak_rss_mb,
        "kept_frames": kept,
        "kept_clips": sum(record["fate"] == "kept" for record in records),
        "clips": len(records),
    }
