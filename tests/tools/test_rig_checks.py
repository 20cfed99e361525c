"""What tools/rig_checks says of the rig's expressions."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import numpy as np
import pytest

from talkinghead.rig.arkit import RIG_NAMES

TOOL = Path(__file__).resolve().parents[2] / "tools" / "rig_checks"


@pytest.fixture(scope="module")
def checks():
    loader = SourceFileLoader("rig_checks", str(TOOL))
    module = module_from_spec(spec_from_loader("rig_checks", loader))
    loader.exec_module(module)
    return module


def test_the_jaw_is_seen_best_and_what_the_lids_alone_show_worst(checks):
    seen = checks.observability()
    alone = {name: row[1] for name, row in seen.items()}
    assert set(alone) == set(RIG_NAMES) and all(0 < row[1] < row[0] for row in seen.values())
    assert min(alone, key=alone.get).startswith("eye") and alone["jawOpen"] > 10 * alone["eyeWideLeft"]
    assert seen["eyeLookUp"][2][0][0] == "eyeLookDown" and seen["eyeLookUp"][2][0][1] < -0.9


def test_each_expression_has_its_turn(checks):
    had = np.zeros(46, bool)
    for seed in range(8):
        weights, pose, _ = checks.moving(np.random.default_rng(seed), seed, 46)
        assert weights.shape == (checks.FRAMES, 46) and pose.shape == (checks.FRAMES, 3)
        had |= weights.max(0) > 0
    assert had.mean() > 0.9


def test_a_table_has_a_row_for_both_sides_together(checks, capsys):
    errors = checks.recover(1, 0.0)
    assert "pose 0." in capsys.readouterr().out
    lines = checks.table(checks.observability(), {0.0: errors}).splitlines()
    rows = [line.split(" | ")[0].strip("| ") for line in lines[2:]]
    assert "eyeBlink" in rows and "eyeLookLeft" in rows and len(rows) == len(set(rows)) == 33
