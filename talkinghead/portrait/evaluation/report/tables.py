"""The results of an evaluation as JSON and as Markdown."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from talkinghead.portrait.evaluation.methods import in_order, label
from talkinghead.portrait.evaluation.protocol import Protocol
from talkinghead.portrait.evaluation.report.aggregate import (
    HIGHER,
    LOWER,
    MEASURES,
    ONE,
    TURNS,
    Row,
    confirmed,
    cross_driving,
    everywhere,
    farthest,
    goodness,
    movement,
    row,
    select,
    turned,
)
from talkinghead.portrait.evaluation.report.intervals import HOW_TO_READ, Interval, differences
from talkinghead.portrait.evaluation.report.records import Record

Results = dict[str, Any]
_DIGITS = {"psnr": 2, "frechet_dlib": 4, "fid": 1}


def summarise(
    records: Sequence[Record],
    names: Sequence[str],
    protocol: Protocol,
    *,
    about: dict[str, Any],
    left_out: dict[str, str],
) -> Results:
    """Every number of an evaluation.

    Args:
        records: of all videos and T.
        names: measures with one value a frame.
        protocol: how frames were chosen.
        about: the head and the settings.
        left_out: videos that were not evaluated, and why.
    """
    methods = in_order(records[0].methods) if records else []
    shots = sorted({record.shots for record in records})
    by_shots = {count: select(records, count) for count in shots}
    means = {count: {method: row(of, method, names) for method in methods} for count, of in by_shots.items()}
    far = {
        count: {method: row(of, method, names, where=farthest) for method in methods} for count, of in by_shots.items()
    }
    moves = {count: {method: movement(of, method) for method in methods} for count, of in by_shots.items()}
    ours = next((method for method in ("ft", "ff") if method in methods), None)
    crossed = cross_driving(records, ours) if ours else {}
    return {
        "about": about,
        "protocol": asdict(protocol),
        "counts": counts(by_shots),
        "left_out": left_out,
        "measures": {
            name: {"higher_is_better": None if sign == ONE else sign == HIGHER, "what": what}
            for name, (sign, what) in MEASURES.items()
        },
        "means": means,
        "far_third": far,
        "turns": {count: by_turn(of, methods, names) for count, of in by_shots.items()},
        "differences": {count: with_turns(of, methods, names, seed=protocol.seed) for count, of in by_shots.items()},
        "how_to_read_differences": HOW_TO_READ,
        "movement": moves,
        "driven_by_others": crossed,
        "people": {count: per_person(of, methods, names) for count, of in by_shots.items()},
    }


def counts(by_shots: dict[int, list[Record]]) -> dict[int, dict[str, int]]:
    """What each T rests on.

    `unconfirmed` targets do not count for landmarks and movement: the detector does not find in the true frame what was
    wanted of the result. `short_of_sources` videos had fewer than T frames to give.
    """
    return {
        shots: {
            "people": len({record.person for record in records}),
            "videos": len(records),
            "targets": sum(record.targets for record in records),
            "unconfirmed": int(sum((~confirmed(record)).sum() for record in records)),
            "short_of_sources": sum(record.sources < shots for record in records),
        }
        for shots, records in by_shots.items()
    }


def by_turn(records: Sequence[Record], methods: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """The table of each range of turns between target and nearest photo, and on how many frames it rests."""
    tables = {}
    for title, span in TURNS.items():
        where = turned(*span)
        tables[title] = {
            "targets": int(sum(where(record).sum() for record in records)),
            "people": len({record.person for record in records if where(record).any()}),
            "means": {method: row(records, method, names, where=where, sets=False) for method in methods},
        }
    return tables


def with_turns(records: Sequence[Record], methods: Sequence[str], names: Sequence[str], *, seed: int) -> dict[str, Any]:
    """Paired differences over all targets, and in each range of turns."""
    ranges = {"all": everywhere, **{title: turned(*span) for title, span in TURNS.items()}}
    return {title: differences(records, methods, names, where, seed=seed) for title, where in ranges.items()}


def per_person(records: Sequence[Record], methods: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Row]]:
    """The table of each person alone."""
    people = sorted({record.person for record in records})
    own = {person: [record for record in records if record.person == person] for person in people}
    return {person: {method: row(own[person], method, names, sets=False) for method in methods} for person in people}


def finite(value: Any) -> Any:
    """The same with nan as None, which JSON can hold."""
    if isinstance(value, dict):
        return {str(name): finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_markdown(results: Results) -> str:
    """The tables that a person reads."""
    lines = ["# Evaluation", "", *introduction(results), ""]
    for title, tables in (
        ("", results["means"]),
        (", the third of the targets farthest from every photo", results["far_third"]),
    ):
        for shots, rows in tables.items():
            lines += [f"## T = {shots}{title}", "", *method_table(rows), ""]
    lines += [*turn_tables(results), *difference_tables(results), *movement_table(results)]
    if results["driven_by_others"]:
        lines += [
            "",
            "## Driven by others",
            "",
            "Another person's motion, relative.",
            "",
            "| measure | value |",
            "|---|---|",
        ]
        lines += [f"| {name} | {number(value)} |" for name, value in results["driven_by_others"].items()]
    lines += ["", "## People", ""]
    for shots, people in results["people"].items():
        lines += [f"### T = {shots}", "", *people_table(people), ""]
    lines += ["## Measures", "", *legend(results), ""]
    return "\n".join(lines)


def movement_table(results: Results) -> list[str]:
    """How far mouth and eyes follow, and how much the face shakes."""
    lines = [
        "## Movement",
        "",
        "Correlation of openings between the landmarks that drive and those found in the result; jitter: acceleration "
        "of the landmarks found in consecutive frames, over that in the true frames.",
        "",
        "| T | method | mouth | eyes | jitter |",
        "|---|---|---|---|---|",
    ]
    for shots, rows in results["movement"].items():
        for method, values in rows.items():
            cells = " | ".join(number(values[name]) for name in ("mouth", "eyes", "jitter"))
            lines.append(f"| {shots} | {label(method)} | {cells} |")
    return lines


def turn_tables(results: Results) -> list[str]:
    """The tables of each range of turns."""
    lines = []
    for shots, ranges in results["turns"].items():
        for title, of in ranges.items():
            if of["targets"]:
                about = f"turned {title} from the nearest photo ({of['targets']} frames of {of['people']} people)"
                lines += [f"## T = {shots}, {about}", "", *method_table(of["means"]), ""]
    return lines


def difference_tables(results: Results) -> list[str]:
    """The paired differences and how they are read; over all targets, and over the most turned ones."""
    lines = ["## Paired differences", "", results["how_to_read_differences"], ""]
    for shots, ranges in results["differences"].items():
        for title in ("all", list(TURNS)[-1]):
            rows = [
                (f"{label(method)} − {label(reference)}", {name: Interval(**one) for name, one in measures.items()})
                for method, others in ranges[title].items()
                for reference, measures in others.items()
            ]
            if not any(one.people for _, measures in rows for one in measures.values()):
                continue
            names = list(rows[0][1])
            where = "" if title == "all" else f", turned {title}"
            lines += [f"### T = {shots}{where}", "", "| difference | " + " | ".join(names) + " |"]
            lines += ["|---" * (len(names) + 1) + "|"]
            lines += [
                f"| {what} | " + " | ".join(in_words(of[name], name) for name in names) + " |" for what, of in rows
            ]
            lines.append("")
    return lines


def in_words(interval: Interval, name: str) -> str:
    """A difference with its interval."""
    mean, low, high = (
        "–" if not math.isfinite(value) else f"{value:+.{_DIGITS.get(name, 3)}f}"
        for value in (interval.mean, interval.low, interval.high)
    )
    return mean if low == "–" else f"{mean} ({low} … {high}) {interval.verdict}".rstrip()


def introduction(results: Results) -> list[str]:
    """What was evaluated on what."""
    protocol = results["protocol"]
    lines = [
        f"Held-out frames: up to {protocol['held_out']} of each video, at least {protocol['gap']} s from every frame "
        f"that sources are taken from; seed {protocol['seed']}. Means are over people.",
        "",
        "| T | people | videos | held-out frames | not judged by landmarks | videos with fewer than T sources |",
        "|---|---|---|---|---|---|",
    ]
    for shots, of in results["counts"].items():
        columns = ("people", "videos", "targets", "unconfirmed", "short_of_sources")
        lines.append(f"| {shots} | " + " | ".join(str(of[name]) for name in columns) + " |")
    lines += ["", *(f"- {name}: {value}" for name, value in results["about"].items())]
    lines += [f"- left out: {video}, {why}" for video, why in results["left_out"].items()]
    return lines


def method_table(rows: dict[str, Row]) -> list[str]:
    """Methods as rows, measures as columns; the best of the contenders in bold."""
    names = list(next(iter(rows.values())))
    contenders = [method for method in rows if method != "truth"]
    best = {name: max((_good(name, rows[m][name]) for m in contenders), default=math.nan) for name in names}
    lines = ["| method | " + " | ".join(f"{n} {arrow(n)}" for n in names) + " |", "|---" * (len(names) + 1) + "|"]
    for method, values in rows.items():
        cells = []
        for name in names:
            text = number(values[name], name)
            wins = method != "truth" and _good(name, values[name]) == best[name]
            cells.append(f"**{text}**" if wins else text)
        lines.append(f"| {label(method)} | " + " | ".join(cells) + " |")
    return lines


def _good(name: str, value: float) -> float:
    return float(goodness(name, np.array(value, float)))


def people_table(people: dict[str, dict[str, Row]]) -> list[str]:
    """One line a person and method."""
    first = next(iter(people.values()))
    names = list(next(iter(first.values())))
    lines = ["| person | method | " + " | ".join(names) + " |", "|---" * (len(names) + 2) + "|"]
    for person, rows in people.items():
        for method, values in rows.items():
            if method != "truth":
                cells = " | ".join(number(values[name], name) for name in names)
                lines.append(f"| {person} | {label(method)} | {cells} |")
    return lines


def legend(results: Results) -> list[str]:
    """What the measures are."""
    used: Row = next(iter(next(iter(results["means"].values())).values()))
    return [f"- `{name}` {arrow(name)}: {MEASURES[name][1]}" for name in used]


def arrow(name: str) -> str:
    """Which way is better."""
    return {HIGHER: "↑", LOWER: "↓", ONE: "→1"}[MEASURES[name][0]]


def number(value: float | None, name: str = "") -> str:
    """A number as tables show it."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{_DIGITS.get(name, 3)}f}"
