"""What tools/acceptance says of the results of an evaluation."""

import json
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from portrait.evaluation.report.test_aggregate import NAMES, make_record

from talkinghead.portrait.evaluation.protocol import Protocol
from talkinghead.portrait.evaluation.report.tables import finite, summarise

TOOL = Path(__file__).resolve().parents[2] / "tools" / "acceptance"
MEASURES = {
    "ssim": {"higher_is_better": True},
    "csim_dlib_centred": {"higher_is_better": True},
    "perceptual_dlib": {"higher_is_better": False},
    "landmark_error": {"higher_is_better": False},
    "sharp_face": {"higher_is_better": None},
    "sharp_mouth": {"higher_is_better": None},
}


@pytest.fixture(scope="module")
def acceptance():
    loader = SourceFileLoader("acceptance", str(TOOL))
    module = module_from_spec(spec_from_loader("acceptance", loader))
    loader.exec_module(module)
    return module


def good(scale: float = 1.0) -> dict[str, float]:
    return {
        "ssim": 0.8 * scale,
        "csim_dlib_centred": 0.9 * scale,
        "perceptual_dlib": 0.1 / scale,
        "landmark_error": 0.02 / scale,
        "sharp_face": 0.95 * scale,
        "sharp_mouth": 0.85 * scale,
    }


def gains(mean: float) -> dict[str, dict[str, float]]:
    return {name: {"mean": mean, "low": mean - 0.02, "high": mean + 0.02} for name in list(good())[:3]}


def some_results(**changes: object) -> dict:
    tables = {count: {"ft": good(), "copy": good(0.9), "warp": good(0.9)} for count in ("1", "8")}
    moves = {count: {"ft": {"mouth": 0.96, "eyes": 0.91}} for count in tables}
    crossed = {"csim_drop": 0.05, "acceleration_ratio": 1.1}
    whole = {"means": tables, "far_third": tables, "movement": moves, "driven_by_others": crossed, "measures": MEASURES}
    against = {"ft": {name: gains(0.1) for name in ("ft@light-128", "copy", "warp", "layers")}}
    whole["differences"] = {count: {"all": against, "20–45°": against} for count in tables}
    return whole | changes


def test_a_better_head_clears_the_bars_and_a_worse_one_does_not(acceptance):
    against_baselines = acceptance.against_baselines
    baselines = {"copy": good(0.9), "warp": good(0.9)}
    assert all(bar.cleared for bar in against_baselines({"ft": good(), **baselines}, "ft", "", alone=False))
    assert not any(bar.cleared for bar in against_baselines({"ft": good(0.5), **baselines}, "ft", "", alone=False))
    alone = against_baselines({"ft": good(), **baselines}, "ft", "", alone=True)
    assert [bar.cleared for bar in alone] == [True] * 3
    assert alone[2].bound == pytest.approx(0.81 - 0.05)


def test_more_photos_must_not_make_it_worse(acceptance):
    means = {"1": {"ft": good(0.9)}, "8": {"ft": good(1.0)}, "32": {"ft": good(0.999)}}
    found = acceptance.more_is_better(means, "ft", MEASURES)
    assert len(found) == 8 and all(bar.cleared for bar in found)  # a thousandth less is staying
    means["32"]["ft"] = good(0.9)
    assert sum(not bar.cleared for bar in acceptance.more_is_better(means, "ft", MEASURES)) == 4


def test_every_bar_of_the_head_is_there(acceptance):
    results = some_results(
        movement={"8": {"ft": {"mouth": 0.95, "eyes": 0.8}}},
        driven_by_others={"csim_drop": 0.2, "acceleration_ratio": 1.1},
    )
    found = acceptance.bars(results)
    failed = [bar.says for bar in found if not bar.cleared]
    assert failed == ["T=8: eyes follow the driver", "driven by others, CSIM to the own photos falls by"]
    assert sum("far third" in bar.says for bar in found) == 8


def test_a_gain_that_may_be_chance_clears_no_bar(acceptance):
    against = {"copy": gains(0.1), "warp": gains(0.1), "layers": gains(0.01)}
    failed = [bar.says for bar in acceptance.surely_better(against, "T=1: ") if not bar.cleared]
    assert failed == [
        f"T=1: {name} surely better than layers" for name in ("ssim", "perceptual_dlib", "csim_dlib_centred")
    ]


def test_another_head_is_beaten_by_as_much_as_promised(acceptance):
    def found(mean, turned):
        ranges = {"all": {"ft": {"ft@old": gains(mean)}}, "20–45°": {"ft": {"ft@old": gains(turned)}}}
        return [bar.cleared for bar in acceptance.better_by_as_much_as_promised({"1": ranges}, "ft")]

    assert found(0.05, 0.09) == [True] * 4
    assert found(0.035, 0.07) == [True, False, True, False]
    assert acceptance.better_by_as_much_as_promised({"8": {}}, "ft") == []


def test_eyes_that_follow_less_with_more_photos_and_blur_are_told(acceptance):
    moves = {"1": {"ft": {"mouth": 0.96, "eyes": 0.95}}, "8": {"ft": {"mouth": 0.97, "eyes": 0.91}}}
    tables = {"1": {"ft": good() | {"sharp_mouth": 0.6}, "copy": good(0.9), "warp": good(0.9)}}
    failed = [bar.says for bar in acceptance.bars(some_results(movement=moves, means=tables)) if not bar.cleared]
    assert failed == ["T=1: sharp_mouth of the truth", "eyes follow as well from T=1 to 8"]


def test_an_unknown_value_clears_no_bar(acceptance):
    assert not acceptance.Bar("x", float("nan"), 0.5, True).cleared
    assert not acceptance.Bar("x", float("nan"), 0.5, False).cleared


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, folder], capture_output=True, text=True, check=False)


def test_the_exit_status_says_whether_all_are_cleared(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(some_results()))
    done = run(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "| T=8: ssim above both | 0.800 | ≥ 0.720 | yes |" in done.stdout
    assert done.stdout.endswith("54 of 54 bars are cleared\n")
    (tmp_path / "results.json").write_text(
        json.dumps(some_results(driven_by_others={"csim_drop": None, "acceleration_ratio": 1}))
    )
    done = run(tmp_path)
    assert done.returncode == 1
    assert "| driven by others, CSIM to the own photos falls by | – | ≤ 0.100 | **no** |" in done.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "results.json"), ("{}", "'means'"), ("[]", "holds no results"), ("cut off", "holds no results")],
)
def test_a_folder_without_results_is_named(tmp_path, text, says):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    done = run(tmp_path)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_what_evaluate_writes_is_what_is_read(acceptance, tmp_path):
    records = []
    for shots in (1, 8):
        record = make_record("anna", ssim=0.5, shots=shots)
        record.values.update({k.replace("copy/", "warp/"): v for k, v in record.values.items() if "copy/" in k})
        records.append(record)
    results = json.loads(json.dumps(finite(summarise(records, NAMES, Protocol(), about={}, left_out={}))))
    found = acceptance.bars(results)
    assert {bar.says for bar in found} >= {"T=1: landmark error below the copy's", "T=8, far third: ssim above both"}
    assert "bars" not in results
    baselines = {name: {k: v for k, v in rows.items() if k != "ft"} for name, rows in results["means"].items()}
    assert acceptance.bars(results | {"means": baselines}) == []
