"""The arithmetic is chosen by the machine."""

import logging

import pytest

from talkinghead.training import precision
from talkinghead.training.precision import chosen_precision


@pytest.mark.parametrize(("has", "chosen"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_bfloat16_only_where_the_cpu_has_it(monkeypatch, caplog, has, chosen):
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: has)
    assert chosen_precision("auto", "cpu") == chosen
    assert not caplog.records


@pytest.mark.parametrize(("has", "lines"), [(True, 0), (False, 1)])
def test_a_precision_that_is_slow_here_is_taken_with_a_word(monkeypatch, caplog, has, lines):
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: has)
    with caplog.at_level(logging.WARNING):
        assert chosen_precision("bf16-mixed", "cpu") == "bf16-mixed"
    assert len([line for line in caplog.messages if "slow here" in line]) == lines
    assert chosen_precision("32-true", "cpu") == "32-true"
