"""The tables that a person reads."""

import json

import numpy as np
import pytest
from portrait.evaluation.report.test_aggregate import NAMES, make_record

from talkinghead.portrait.evaluation.protocol import Protocol
from talkinghead.portrait.evaluation.report.intervals import Interval
from talkinghead.portrait.evaluation.report.tables import (
    Results,
    finite,
    in_words,
    method_table,
    number,
    summarise,
    to_markdown,
)


@pytest.fixture
def results() -> Results:
    records = []
    for shots in (1, 8):
        for person, ssim in (("anna", 0.5), ("ben", 0.7)):
            record = make_record(person, ssim=ssim, shots=shots)
            extra = {name.replace("copy/", "warp/"): value for name, value in record.values.items() if "copy/" in name}
            record.values.update(extra)
            records.append(record)
    left_out = {"carl/00.mp4": "3 frames leave 1 to hold out, not 8"}
    return summarise(records, NAMES, Protocol(shots=(1, 8)), about={"head": "x.safetensors"}, left_out=left_out)


def test_results_can_be_written_as_json(results):
    again = json.loads(json.dumps(finite(results), allow_nan=False))
    assert again["means"]["8"]["ft"]["ssim"] == pytest.approx(0.6)
    assert again["counts"]["1"] == {"people": 2, "videos": 2, "targets": 12, "unconfirmed": 0, "short_of_sources": 0}
    assert set(again["people"]["8"]) == {"anna", "ben"}


def test_the_tables_hold_every_method_person_and_measure(results):
    text = to_markdown(results)
    for words in ("ours, fine-tuned", "nearest photo, copied", "nearest photo, warped", "the true frame"):
        assert f"| {words} |" in text
    for words in ("| anna |", "| ben |", "T = 1", "T = 8", "farthest from every photo", "carl/00.mp4"):
        assert words in text
    for name in NAMES:
        assert f"`{name}`" in text
    assert "| 1 | 2 | 2 | 12 | 0 | 0 |" in text


def test_stand_ins_are_printed_under_their_own_names(results):
    for line in to_markdown(results).splitlines():
        if "FID" in line or "LPIPS" in line:
            assert "a stand-in, not" in line
        assert "| fid" not in line
        assert "| lpips" not in line


def test_the_best_contender_is_bold_and_the_truth_is_none():
    rows = {"ft": {"ssim": 0.9, "l1": 0.2}, "copy": {"ssim": 0.8, "l1": 0.1}, "truth": {"ssim": 1.0, "l1": 0.0}}
    table = method_table(rows)
    assert table[0] == "| method | ssim ↑ | l1 ↓ |"
    assert table[2] == "| ours, fine-tuned | **0.900** | 0.200 |"
    assert table[3] == "| nearest photo, copied | 0.800 | **0.100** |"
    assert table[4] == "| the true frame | 1.000 | 0.000 |"


def test_unknown_numbers_are_dashes():
    assert number(float("nan")) == number(None) == "–"
    assert number(24.123, "psnr") == "24.12"


def test_a_difference_is_shown_with_its_interval_or_alone_where_there_is_none():
    assert in_words(Interval(0.02, 0.01, 0.03, 5), "ssim") == "+0.020 (+0.010 … +0.030) ✓"
    assert in_words(Interval(-0.02, -0.05, 0.01, 5), "ssim") == "-0.020 (-0.050 … +0.010)"
    assert in_words(Interval(0.02, np.nan, np.nan, 2), "psnr") == "+0.02"


def test_turns_and_differences_are_tables_of_their_own(results):
    text = to_markdown(results)
    assert "turned below 10° from the nearest photo (4 frames of 2 people)" in text
    assert "## Paired differences" in text and results["how_to_read_differences"] in text
    assert "| ours, fine-tuned − nearest photo, copied | +0.000 |" in text  # the same values, and two people
