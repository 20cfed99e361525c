"""Paired differences: who is surely better, and who is not."""

import numpy as np
import pytest
from portrait.evaluation.report.test_aggregate import make_record

from talkinghead.portrait.evaluation.report.aggregate import everywhere, turned
from talkinghead.portrait.evaluation.report.intervals import bootstrap, differences, paired, references


def records(gains, *, spread=0.3):
    """People of very different difficulty, whose fine-tuned frames are so much better than the copy."""
    made = []
    for number, gain in enumerate(gains):
        record = make_record(f"person{number}", ssim=0.2 + spread * number)
        record["ft/ssim"][:] += gain
        made.append(record)
    return made


def test_a_gain_that_everybody_has_is_sure_however_people_differ():
    found = paired(records([0.02, 0.03, 0.01, 0.02]), "ft", "copy", "ssim", everywhere)
    assert (found.mean, found.people, found.verdict) == (pytest.approx(0.02), 4, "✓")
    assert 0.01 <= found.low < found.high <= 0.03


def test_a_gain_that_some_pay_for_is_not():
    found = paired(records([0.2, -0.1, 0.1, -0.15]), "ft", "copy", "ssim", everywhere)
    assert found.low < 0 < found.high and found.verdict == ""
    assert paired(records([-0.1, -0.2, -0.1]), "ft", "copy", "ssim", everywhere).verdict == "✗"


def test_less_is_better_where_less_is_better():
    people = records([0, 0, 0])
    for record in people:
        record["ft/perceptual_dlib"][:] -= 0.1
    assert paired(people, "ft", "copy", "perceptual_dlib", everywhere).mean == pytest.approx(0.1)


def test_the_interval_is_the_bootstraps():
    values = np.random.default_rng(1).normal(0.5, 1, 400)
    found = bootstrap(values, seed=0)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    assert bootstrap(values, seed=0) == found != bootstrap(values, seed=1)


def test_two_people_give_no_interval_and_unknown_frames_do_not_count():
    people = records([0.1, 0.1])
    people[0]["ft/ssim"][:3] = np.nan
    found = paired(people, "ft", "copy", "ssim", everywhere)
    assert found.mean == pytest.approx(0.1) and np.isnan(found.low) and found.verdict == ""
    nobody = paired(people, "ft", "copy", "ssim", turned(60, 90))
    assert nobody.people == 0 and np.isnan(nobody.mean)


def test_heads_are_compared_with_baselines_and_with_other_heads_made_alike():
    methods = ["ff", "ft", "ff@old", "ft@old", "rival", "copy", "warp", "layers", "truth"]
    assert references("ft", methods) == ["ft@old", "rival", "copy", "warp", "layers"]
    assert references("rival", methods) == ["copy", "warp", "layers"]
    found = differences(records([0.1, 0.1, 0.2]), ["ft", "copy", "truth"], ["ssim"], everywhere)
    assert list(found) == ["ft"] and list(found["ft"]) == ["copy"]
    assert found["ft"]["copy"]["ssim"]["low"] > 0
