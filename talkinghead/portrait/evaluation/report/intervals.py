"""Paired differences between methods, with confidence intervals over people.

Two methods are compared on the same frames of the same people, so what makes a person easy or hard for both drops out.
People, not frames, are drawn again: frames of one person resemble each other, and the next person matters.

References:
    Efron and Tibshirani 1993, An introduction to the bootstrap, chapter 13 (percentile intervals).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from talkinghead.portrait.evaluation.methods import BASELINES, OTHER
from talkinghead.portrait.evaluation.report.aggregate import ON_CONFIRMED, confirmed, goodness
from talkinghead.portrait.evaluation.report.records import Record

DRAWS = 2000
LEVEL = 0.95
FEWEST_PEOPLE = 3
"""Fewer say nothing of the next person."""

HOW_TO_READ = (
    "Each number is how much better the method is than what it is compared with, on the same frames of the same people "
    "(a positive number is better for every measure, also where less is better), and the interval in which that mean "
    "lies with 95 % certainty if other people like these were taken (bootstrap over people). An interval that holds 0 "
    "says that the difference may be chance; ✓ marks a method that is surely better, ✗ one that is surely worse."
)


@dataclass(frozen=True)
class Interval:
    """A paired difference; above 0 the first method is better."""

    mean: float
    low: float
    high: float
    people: int

    @property
    def verdict(self) -> str:
        """Whether the difference is sure, and which way."""
        return "✓" if self.low > 0 else "✗" if self.high < 0 else ""


def bootstrap(differences: Float[np.ndarray, " p"], *, seed: int) -> Interval:
    """The mean over people, and its interval; nan bounds where there are too few people."""
    count = len(differences)
    mean = float(differences.mean()) if count else float("nan")
    if count < FEWEST_PEOPLE:
        return Interval(mean, float("nan"), float("nan"), count)
    drawn = np.random.default_rng(seed).integers(0, count, (DRAWS, count))
    low, high = np.quantile(differences[drawn].mean(1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(mean, float(low), float(high), count)


def paired(
    records: Sequence[Record],
    method: str,
    reference: str,
    name: str,
    where: Callable[[Record], Bool[np.ndarray, " n"]],
    *,
    seed: int = 0,
) -> Interval:
    """How much better a method is than another by one measure, over frames that both have.

    Args:
        records: of one T.
        method, reference: what is compared with what.
        name: of a measure with one value a frame.
        where: which targets of a record count.
        seed: of the draws.
    """
    people: dict[str, list[float]] = {}
    for record in records:
        chosen = where(record) & (confirmed(record) if name in ON_CONFIRMED else True)
        own, other = (goodness(name, record[f"{side}/{name}"][chosen].astype(float)) for side in (method, reference))
        difference = own - other
        if np.isfinite(difference).any():
            people.setdefault(record.person, []).append(float(np.nanmean(difference)))
    return bootstrap(np.array([np.mean(values) for values in people.values()]), seed=seed)


def references(method: str, methods: Sequence[str]) -> list[str]:
    """What a method is compared with: baselines, and other heads and programs that are made in the same way."""
    way = method.partition(OTHER)[0]
    others = [one for one in methods if one not in ("ff", "ft", "truth", *BASELINES) and one != method]
    alike = [one for one in others if one.partition(OTHER)[0] in (way, one)]
    return [one for one in (*alike, *BASELINES) if one in methods]


def differences(
    records: Sequence[Record],
    methods: Sequence[str],
    names: Sequence[str],
    where: Callable[[Record], Bool[np.ndarray, " n"]],
    *,
    seed: int = 0,
) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Intervals by method, by what it is compared with, by measure; the arguments are those of `paired`."""
    return {
        method: {
            reference: {name: asdict(paired(records, method, reference, name, where, seed=seed)) for name in names}
            for reference in references(method, methods)
        }
        for method in methods
        if method not in (*BASELINES, "truth")
    }
