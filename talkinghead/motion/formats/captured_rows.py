"""The rows of a captured take's CSV: found in whatever dialect, read as numbers, and put at their own times.

References:
    SMPTE ST 12-1 (hours:minutes:seconds:frames; how many frames make a second is not in the code).
"""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from talkinghead.errors import UserError
from talkinghead.media.files import read_text
from talkinghead.rig.arkit import canonical

DELIMITERS = ",;\t|"
HEADER_WITHIN = 10
"""Rows among which the header stands; programs put titles above it."""

TIMES = ("timecode", "time", "timestamp", "seconds", "smpte", "smptetimecode")
DEFAULT_FPS = Fraction(30)
FPS = (Fraction(1), Fraction(1000))
"""Frames a second that a take may have."""

BASES = (
    *map(Fraction, (24, 25, 30, 48, 50, 60, 72, 90, 100, 120, 144, 240)),
    *(Fraction(n, 1001) for n in (24000, 30000, 60000)),
)
"""Frames that make a second of a timecode."""

DAY = 86_400.0

LONGEST_GAP = 60.0
"""Seconds between two rows; more is a leap of the clock."""

MOST_HELD = 60
"""Frames for each row; a take of more is none."""

MILLISECONDS = 4.0
"""Plain numbers that rise by more than this from row to row are no seconds."""

_TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:[:;](\d{1,3}(?:[.,]\d+)?)|([.,]\d+))?")


@dataclass(frozen=True)
class Table:
    """A header and the rows below it, as texts."""

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    """Where each row ends in the file, counted from 1."""

    def column(self, names: Sequence[str]) -> int | None:
        """The first column that is called one of the names, written in whatever way."""
        for index, name in enumerate(self.header):
            if "".join(letter for letter in name.lower() if letter.isalnum()) in names:
                return index
        return None

    def numbers(self, columns: Sequence[int]) -> Float[np.ndarray, "t n"]:
        """Values of some columns; NaN where a cell is blank.

        Raises:
            UserError: naming row and column of what is no finite number.
        """
        values = np.full((len(self.rows), len(columns)), np.nan)
        for number, row in enumerate(self.rows):
            for place, column in enumerate(columns):
                text = row[column].strip()
                if not text:
                    continue
                try:
                    values[number, place] = float(text if "." in text else text.replace(",", "."))
                except ValueError:
                    raise UserError(f"{self._cell(number, column)} {text!r}: a frame lacks a number.") from None
                if not np.isfinite(values[number, place]):
                    raise UserError(f"{self._cell(number, column)} {text!r}, which is not finite.")
        return values

    def _cell(self, number: int, column: int) -> str:
        return f"{self.path}: line {self.lines[number]} has for {self.header[column]}"


def read_take(path: Path) -> Table:
    """The rows of a CSV below the header that names ARKit's expressions: commas, semicolons or tabs; UTF-8 or UTF-16.

    Raises:
        UserError: if it cannot be read, names no expression, has no row, or a row that ends early (the last one may: a
            recording that breaks off).
    """
    text = read_text(path, give="an ARKit CSV")
    lines = text.splitlines()
    found = max(
        ((sum(canonical(name) is not None for name in _split(line, mark)), -number, mark)
         for number, line in enumerate(lines[:HEADER_WITHIN]) for mark in DELIMITERS),
        default=(0, 0, ","),
    )  # fmt: skip
    if not found[0]:
        first = ", ".join(_split(lines[0], ",")[:4])[:80] if lines else ""
        raise UserError(f"{path}: no column is an ARKit expression; the first are {first}.")
    start, mark = -found[1], found[2]
    header = _split(lines[start], mark)
    reader = csv.reader(lines[start + 1 :], delimiter=mark)
    rows, numbers = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                numbers.append(start + 1 + reader.line_num)
    except csv.Error as error:
        raise UserError(f"{path}: it cannot be read ({error}); give an ARKit CSV.") from error
    if len(rows) > 1 and len(rows[-1]) < len(header):
        del rows[-1], numbers[-1]  # the recording breaks off
    if not rows:
        raise UserError(f"{path}: there is no frame in it; an ARKit CSV has a header and a row a frame.")
    for row, number in zip(rows, numbers, strict=True):
        if len(row) < len(header):
            raise UserError(f"{path}: line {number} has {len(row)} of {len(header)} cells: a frame lacks a number.")
    return Table(Path(path), header, rows, numbers)


def _split(line: str, mark: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=mark), [])
    except csv.Error:
        return []


def row_frames(table: Table, fps: Fraction | None) -> tuple[Int[np.ndarray, " t"], Fraction]:
    """Which frame each row is, counted from 0, and frames a second.

    Args:
        table: the rows.
        fps: rows are taken one after another at this rate; None puts them at their own times, and one after another at
            30 a second where there are none.

    Raises:
        UserError: if times run backwards, leap, or give a rate that no take has.
    """
    times = None if fps else _times(table)
    if times is None:
        return np.arange(len(table.rows)), fps or DEFAULT_FPS
    steps = np.diff(times)
    moving = steps[steps > 0]
    if not moving.size:
        return np.arange(len(table.rows)), DEFAULT_FPS
    usual = np.median(moving)
    rate = Fraction(float(np.rint(moving / usual).clip(1).sum() / moving.sum())).limit_denominator(1001)
    if not FPS[0] <= rate <= FPS[1]:
        raise UserError(
            f"{table.path}: its timecodes give {float(rate):g} frames a second; give them with export --fps."
        )
    frames = np.rint((times - times[0]) * float(rate)).astype(np.int64)
    if frames[-1] > MOST_HELD * len(frames):
        raise UserError(f"{table.path}: its {len(frames)} rows are spread over {frames[-1]} frames; cut the file.")
    return frames, rate


def _times(table: Table) -> Float[np.ndarray, " t"] | None:
    """Seconds of each row, rising; None where no row tells. Past midnight they go on."""
    column = table.column(TIMES)
    if column is None:
        return None
    texts = [row[column].strip() for row in table.rows]
    times = _from_timecodes(texts)
    if times is None:
        times = _from_numbers(texts)
    if times is None:
        return None
    known = np.flatnonzero(np.isfinite(times))
    for before, row in pairwise(known.tolist()):
        step = times[row] - times[before]
        if step < -DAY / 2:
            times[row:] += DAY
            step += DAY
        if step < 0 or step > LONGEST_GAP:
            way = "runs backwards" if step < 0 else f"leaps by {step:.0f} s"
            raise UserError(
                f"{table.path}: the time {way} from {texts[before]} to {texts[row]} in line {table.lines[row]}; cut "
                "the file there, or take its rows one after another: talkinghead export FILE --fps 30."
            )
    return np.interp(np.arange(len(times)), known, times[known])


def _from_timecodes(texts: list[str]) -> Float[np.ndarray, " t"] | None:
    """Seconds of hours:minutes:seconds, with frames or a fraction; NaN where a row has none."""
    whole, frames = np.full(len(texts), np.nan), np.zeros(len(texts))
    fractions = np.zeros(len(texts))
    for row, text in enumerate(texts):
        match = _TIMECODE.fullmatch(text)
        if match:
            hours, minutes, seconds = (int(part) for part in match.group(1, 2, 3))
            whole[row] = (hours * 60 + minutes) * 60 + seconds
            frames[row] = float((match.group(4) or "0").replace(",", "."))
            fractions[row] = float("0" + (match.group(5) or ".0").replace(",", "."))
    known = np.isfinite(whole)
    if not known.any():
        return None
    return np.asarray(whole + fractions + frames / float(_base(whole[known], frames[known])))


def _base(seconds: Float[np.ndarray, " t"], frames: Float[np.ndarray, " t"]) -> Fraction:
    """How many frames make a second: what is counted up to before a second is full, and one step more.

    In less than a second that cannot be known: as many as make 30 rows a second, or the next usual number above.
    """
    same, steps = np.diff(seconds) == 0, np.diff(frames)
    within = steps[same & (steps > 0)]
    step = float(np.median(within)) if within.size else 1.0
    full = frames[:-1][np.diff(seconds) == 1] + step - frames[1:][np.diff(seconds) == 1]
    if full.size and frames.max() < (counted := float(np.median(full))):
        nearest = min(BASES, key=lambda base: abs(base - counted))
        return nearest if abs(nearest - counted) < 0.002 * counted else Fraction(counted)
    least = max(float(DEFAULT_FPS) * step, frames.max() + step / 2)
    return next((base for base in sorted(BASES) if base >= least), Fraction(least))


def _from_numbers(texts: list[str]) -> Float[np.ndarray, " t"] | None:
    """Plain numbers as seconds, or as milliseconds where they rise too fast for that."""
    times = np.full(len(texts), np.nan)
    for row, text in enumerate(texts):
        try:
            times[row] = float(text.replace(",", "."))
        except ValueError:
            continue
    times[~np.isfinite(times) | (np.abs(times) > 1e12)] = np.nan
    known = times[np.isfinite(times)]
    if not known.size:
        return None
    return times / 1000 if len(known) > 1 and np.median(np.diff(known)) > MILLISECONDS else times
