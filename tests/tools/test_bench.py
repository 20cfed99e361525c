"""tools/bench as a person runs it, at sizes that take seconds."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from talkinghead.portrait.networks.config import PAPER

TOOLS = Path(__file__).resolve().parents[2] / "tools"
SHARES = {"share_of_peak", "share_of_peak_wall", "share_of_peak_executed", "peak_gflops_fp32", "peak_gflops_bf16"}


def bench(*arguments: str) -> dict[str, object]:
    command = [sys.executable, str(TOOLS / "bench"), *arguments, "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def positive(figures: dict[str, object], names: set[str]) -> bool:
    return all(figures[name] > 0 for name in names)


@pytest.fixture
def flops(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    from benchmarks import flops

    return flops


def test_params_are_the_papers():
    figures = bench("params")
    expected = {"embedder": 14_825_024, "generator": 37_907_587, "discriminator": 19_545_153, "adain": 13_056}
    assert {name: figures[name] for name in expected} == expected


def test_work_of_a_frame_and_of_a_step_is_the_papers(flops):
    plain = replace(PAPER, attention=False)
    assert flops.forward(flops.generator(plain)).nominal / 1e9 == pytest.approx(94.4, abs=0.05)
    assert flops.meta_learning_step(plain, batch=2, shots=8).nominal / 1e12 == pytest.approx(3.50, abs=0.01)


def test_fused_convolutions_leave_less_to_do(flops):
    work = flops.forward(flops.generator(PAPER))
    assert work.executed < 0.7 * work.nominal


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_render(dtype):
    figures = bench("render", "--size", "tiny", "--dtype", dtype, "--repeats", "5")
    assert positive(figures, {"ms_per_frame", "cpu_ms_per_frame", "gflop_per_frame"} | SHARES)


def test_step():
    figures = bench("step", "--size", "tiny", "--batch", "1", "--shots", "2", "--repeats", "5")
    assert positive(figures, {"cpu_seconds", "tflop", "peak_rss_mb"} | SHARES)


def test_w():
    figures = bench("w", "--size", "tiny", "--side", "32", "--dim", "16", "--videos", "100", "--repeats", "5")
    assert positive(figures, {"step_ms", "rss_mb"})


def test_prepare():
    figures = bench("prepare", "--people", "1", "--seconds", "2", "--workers", "1", "--repeats", "1")
    assert positive(figures, {"kept_frames_per_cpu_second", "wall_frames_per_second", "peak_rss_mb"})
    assert figures["kept_clips"] == figures["clips"] == 1


def test_reenact():
    figures = bench("reenact", "--seconds", "1", "--size", "tiny", "--repeats", "1")
    assert positive(figures, {"fps", "peak_rss_mb"})
    assert figures["frames"] == 25


def test_fine_tune():
    figures = bench("fine-tune", "--photos", "2", "--steps", "1", "--size", "tiny", "--repeats", "1")
    assert positive(figures, {"seconds", "cpu_seconds"})
    assert figures["steps"] == 1


def test_an_unknown_figure_is_refused():
    done = subprocess.run([sys.executable, str(TOOLS / "bench"), "speed"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "speed" in done.stderr
