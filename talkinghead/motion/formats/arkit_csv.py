"""ARKit's blendshapes as a CSV, a row a frame: what Live Link Face records and animation tools read.

Columns: Timecode (hours:minutes:seconds:frames), BlendShapeCount, the 52 expressions with a capital first letter, and
nine angles in radians: HeadYaw, HeadPitch, HeadRoll, and the same of LeftEye and RightEye, which are 0 here, since gaze
is among the expressions. The head's angles have the signs of `Motion.pose`.

References:
    Epic Games, Live Link Face documentation (CSV recordings).
"""

import csv
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from talkinghead.errors import UserError
from talkinghead.media.files import atomic_path, read_table
from talkinghead.motion.from_rig import motion_of_weights
from talkinghead.motion.motion import Motion
from talkinghead.rig.arkit import ARKIT_NAMES, canonical, to_arkit, to_rig
from talkinghead.rig.files.own import default_rig

HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
EYES = tuple(f"{eye}Eye{angle}" for eye in ("Left", "Right") for angle in ("Yaw", "Pitch", "Roll"))
DEFAULT_FPS = Fraction(30)


def write_arkit_csv(motion: Motion, path: Path, *, overwrite: bool = False) -> None:
    """Write a motion's blendshapes, and its pose if it has one.

    Raises:
        UserError: if it has no blendshapes, none of a known name, or the file exists and `overwrite` is false.
    """
    if motion.blendshapes is None:
        raise UserError(f"{path}: the motion has no blendshapes, which an ARKit CSV is made of.")
    try:
        weights = to_arkit(to_rig(motion.blendshapes, motion.blendshape_names))
    except ValueError as error:
        raise UserError(f"{path}: {error}; an ARKit CSV holds ARKit's expressions.") from error
    pose = np.zeros((len(motion), 3), np.float32) if motion.pose is None else motion.pose
    with atomic_path(path, overwrite=overwrite) as temporary, temporary.open("w", newline="") as file:
        table = csv.writer(file)
        names = [name[0].upper() + name[1:] for name in ARKIT_NAMES]
        table.writerow(["Timecode", "BlendShapeCount", *names, *HEAD, *EYES])
        for frame, (row, angles) in enumerate(zip(weights, pose, strict=True)):
            numbers = [f"{number:.6f}" for number in (*row, *angles, *np.zeros(len(EYES)))]
            table.writerow([timecode(frame, motion.fps), len(ARKIT_NAMES) + len(HEAD + EYES), *numbers])


def read_arkit_csv(path: Path, *, fps: Fraction | None = None) -> Motion:
    """A CSV of expressions as a motion of the default rig's head. Columns go by their names, in any order.

    Args:
        path: the file.
        fps: frames a second; None takes it from the timecodes, and 30 where they do not tell: in less than a second.

    Raises:
        UserError: if it cannot be read, has no row, no column of a known expression, or a value that is no number.
    """
    rows = read_table(path, "the ARKit CSV")
    if not rows:
        raise UserError(f"{path}: there is no frame in it; an ARKit CSV has a header and a row a frame.")
    header = list(rows[0])
    known = [name for name in header if canonical(name)]
    if not known:
        raise UserError(f"{path}: no column is an ARKit expression; the first are {', '.join(header[:4])}.")
    weights = _numbers(path, rows, known)
    pose = _numbers(path, rows, HEAD) if all(name in header for name in HEAD) else None
    rate = fps or _rate([row["Timecode"] for row in rows] if "Timecode" in header else [])
    return motion_of_weights(to_rig(np.clip(weights, 0, 1), known), rate, default_rig(), pose=pose)


def timecode(frame: int, fps: Fraction) -> str:
    """Hours:minutes:seconds:frames of a frame, the frames with three decimals: what the rounded rate leaves over."""
    seconds, rest = divmod(frame / fps, 1)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{float(rest * fps):06.3f}"


def _numbers(path: Path, rows: list[dict[str, str]], columns: Sequence[str]) -> np.ndarray:
    try:
        values = np.array([[float(row[column]) for column in columns] for row in rows], np.float32)
    except ValueError as error:
        raise UserError(f"{path}: a frame lacks a number ({error}).") from error
    if not np.isfinite(values).all():
        raise UserError(f"{path}: a number in it is not finite.")
    return values


def _rate(codes: list[str]) -> Fraction:
    """Frames a second: frames between the first and the last timecode, without those counted inside a second, over the
    seconds between them."""
    try:
        parts = [[float(part) for part in code.split(":")] for code in (codes[0], codes[-1])]
        (first, begin), (last, end) = (
            ((hours * 60 + minutes) * 60 + whole, count) for hours, minutes, whole, count in parts
        )
        return Fraction((len(codes) - 1 - (end - begin)) / (last - first)).limit_denominator(1001)
    except (IndexError, ValueError, ZeroDivisionError):
        return DEFAULT_FPS
