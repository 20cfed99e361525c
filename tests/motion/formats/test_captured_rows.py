"""Takes as telephones and studios record them: rows at their own times, in whatever dialect."""

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.motion.formats.arkit_csv import read_arkit_csv
from talkinghead.rig.arkit import RIG_NAMES

JAW = RIG_NAMES.index("jawOpen")


def code(seconds: Fraction, base: int) -> str:
    whole, rest = divmod(seconds % 86400, 1)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{float(rest * base):06.3f}"


def take(
    path: Path,
    count: int = 90,
    *,
    fps: int = 30,
    base: int = 60,
    start: Fraction = Fraction(36000),
    without=(),
    blank=(),
) -> Path:
    """A jaw that opens a little more in each row."""
    lines = ["Timecode,BlendShapeCount,JawOpen,MouthPucker"]
    for row in range(count):
        value = "," if row in blank else f"{row / count:.6f},0.5"
        if row not in without:
            lines.append(f"{code(start + Fraction(row, fps), base)},{0 if row in blank else 2},{value}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("fps", "base", "start"),
    [(30, 60, Fraction(36000)), (30, 60, Fraction(72119, 2)), (30, 30, Fraction(5)), (24, 24, Fraction(0)),
     (25, 50, Fraction(1, 3)), (60, 60, Fraction(59)), (60, 120, Fraction(9)), (15, 30, Fraction(3600))],
)  # fmt: skip
def test_rows_lie_at_their_own_times_whatever_the_timecode_counts(tmp_path, fps, base, start):
    found = read_arkit_csv(take(tmp_path / "a.csv", 4 * fps, fps=fps, base=base, start=start))
    assert found.fps == fps
    assert len(found) == 4 * fps
    assert found.blendshapes[:, JAW] == pytest.approx(np.arange(4 * fps) / (4 * fps), abs=1e-5)


def test_a_take_goes_on_past_midnight(tmp_path):
    found = read_arkit_csv(take(tmp_path / "a.csv", 90, start=Fraction(86399)))
    assert (len(found), found.fps) == (90, 30)
    assert found.confidence.all()


def test_dropped_rows_are_held_and_counted_and_move_nothing_else(tmp_path, caplog):
    gone = (10, 11, 12, 40, 75)
    with caplog.at_level(logging.WARNING):
        found = read_arkit_csv(take(tmp_path / "a.csv", without=gone))
    assert "5 of 90 frames have no row or a blank one" in caplog.text
    assert (found.fps, len(found)) == (30, 90)
    assert np.flatnonzero(found.confidence == 0).tolist() == list(gone)
    assert found.blendshapes[12, JAW] == found.blendshapes[9, JAW]
    assert found.blendshapes[89, JAW] == pytest.approx(89 / 90, abs=1e-5)


def test_blank_rows_are_held_and_counted(tmp_path, caplog):
    gone = tuple(range(40, 60))
    with caplog.at_level(logging.WARNING):
        found = read_arkit_csv(take(tmp_path / "a.csv", 120, blank=gone))
    assert "20 of 120 frames" in caplog.text
    assert len(found) == 120
    assert np.flatnonzero(found.confidence == 0).tolist() == list(gone)


def test_blank_rows_at_the_start_show_the_first_face(tmp_path):
    found = read_arkit_csv(take(tmp_path / "a.csv", blank=(0, 1)))
    assert found.blendshapes[0, JAW] == found.blendshapes[2, JAW] > 0
    assert found.confidence[:3].tolist() == [0, 0, 1]


def test_a_take_without_any_face_is_refused(tmp_path):
    with pytest.raises(UserError, match="all of its 90 rows are blank"):
        read_arkit_csv(take(tmp_path / "a.csv", blank=range(90)))


def test_times_that_run_backwards_or_leap_are_refused_by_line(tmp_path):
    lines = take(tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "back.csv").write_text("\n".join([*lines[:50], *lines[20:50]]))
    with pytest.raises(UserError, match=r"runs backwards from 10:00:01:36.000 to 10:00:00:38.000 in line 51.*--fps"):
        read_arkit_csv(tmp_path / "back.csv")
    assert len(read_arkit_csv(tmp_path / "back.csv", fps=Fraction(30))) == 79
    late = take(tmp_path / "late.csv", start=Fraction(40000)).read_text().splitlines()
    (tmp_path / "leap.csv").write_text("\n".join([*lines, *late[1:]]))
    with pytest.raises(UserError, match="leaps by 3997 s"):
        read_arkit_csv(tmp_path / "leap.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_dialects_of_spreadsheets(tmp_path, encoding, mark):
    text = take(tmp_path / "a.csv").read_text()
    if mark != ",":
        text = text.replace(",", mark).replace("0.", "0,")
    (tmp_path / "b.csv").write_bytes(text.replace("Pucker", "Pucker").encode(encoding))
    found = read_arkit_csv(tmp_path / "b.csv")
    assert (len(found), found.fps) == (90, 30)
    assert found.blendshapes[45, JAW] == pytest.approx(0.5, abs=1e-5)


def test_titles_above_the_header_and_other_spellings(tmp_path):
    (tmp_path / "a.csv").write_text("sep=;\nTake 7;;\ntime;jaw_open;Eye Blink Left\n0;0,5;1\n0,04;0,25;0\n0,08;0;0\n")
    found = read_arkit_csv(tmp_path / "a.csv")
    assert (len(found), found.fps) == (3, 25)
    assert found.blendshapes[:, JAW].tolist() == [0.5, 0.25, 0]
    assert found.blendshapes[0, RIG_NAMES.index("eyeBlinkLeft")] == 1


@pytest.mark.parametrize(("header", "step"), [("Timestamp", 40), ("seconds", 0.04)])
def test_times_may_be_plain_numbers(tmp_path, header, step):
    rows = "\n".join(f"{1000 + step * row},0.{row:02d}" for row in range(50))
    (tmp_path / "a.csv").write_text(f"{header},JawOpen\n{rows}\n")
    assert read_arkit_csv(tmp_path / "a.csv").fps == 25


def test_hundredths_become_weights(tmp_path):
    (tmp_path / "a.csv").write_text("JawOpen,MouthPucker\n50,100\n0,0\n")
    assert read_arkit_csv(tmp_path / "a.csv").blendshapes[0, JAW] == 0.5


def test_a_recording_that_breaks_off_loses_its_last_row(tmp_path):
    text = take(tmp_path / "a.csv").read_text()
    (tmp_path / "b.csv").write_text(text[: text.rindex(",")])
    assert len(read_arkit_csv(tmp_path / "b.csv")) == 89


def test_a_cell_that_is_no_number_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("Timecode,JawOpen\n00:00:00:00,0.1\n00:00:00:01,wide\n")
    with pytest.raises(UserError, match="line 3 has for JawOpen 'wide'"):
        read_arkit_csv(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "frames", "seen"),
    [
        ("livelink_30rows_60base", 302, 302),
        ("livelink_midnight", 90, 90),
        ("livelink_untracked_rows", 120, 100),
        ("livelink_semicolon_decimal_comma", 60, 60),
    ],
)
def test_takes_that_once_failed(cases, name, frames, seen):
    found = read_arkit_csv(cases / f"{name}.csv")
    assert (len(found), found.fps, int((found.confidence > 0).sum())) == (frames, 30, seen)
