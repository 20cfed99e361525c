"""ARKit's blendshapes as a CSV, a row a frame: what Live Link Face records and animation tools read.

Columns: Timecode (hours:minutes:seconds:frames), BlendShapeCount, the 52 expressions with a capital first letter, and
nine angles in radians: HeadYaw, HeadPitch, HeadRoll, and the same of LeftEye and RightEye, which are 0 here, since gaze
is among the expressions. The head's angles have the signs of `Motion.pose`.

References:
    Epic Games, Live Link Face documentation (CSV recordings).
"""

import csv
import logging
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32

from talkinghead.errors import UserError
from talkinghead.media.files import atomic_path
from talkinghead.motion.formats.captured_rows import read_take, row_frames
from talkinghead.motion.from_rig import motion_of_weights
from talkinghead.motion.motion import Motion
from talkinghead.rig.arkit import ARKIT_NAMES, canonical, to_arkit, to_rig
from talkinghead.rig.files.own import default_rig

HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
EYES = tuple(f"{eye}Eye{angle}" for eye in ("Left", "Right") for angle in ("Yaw", "Pitch", "Roll"))

PERCENT = 10.0
"""Weights lie in 0..1, some a little above; a column that reaches this counts hundredths."""

_log = logging.getLogger(__name__)


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

    Rows lie at their own times. Where rows are missing or blank (no face was seen) the face before is held, with
    confidence 0, as in a video; how many is said in the log.

    Args:
        path: the file.
        fps: rows are taken one after another at this rate; None goes by their timecodes, and where there are none by
            30 frames a second.

    Raises:
        UserError: if it cannot be read, has no row, no column of a known expression, a value that is no number, or
            times that run backwards.
    """
    table = read_take(path)
    known = [column for column, name in enumerate(table.header) if canonical(name)]
    weights = table.numbers(known)
    tracked = np.isfinite(weights).any(1)
    if not tracked.any():
        raise UserError(f"{path}: all of its {len(tracked)} rows are blank; record a take in which the face is seen.")
    frames, rate = row_frames(table, fps)
    row_of = np.full(frames[-1] + 1, -1)
    row_of[frames[tracked]] = np.flatnonzero(tracked)
    seen = row_of >= 0
    rows = _held(np.where(seen, row_of, np.nan)[:, None])[:, 0].astype(np.int64)
    if not seen.all():
        _log.warning("%s: %d of %d frames have no row or a blank one; the face before is held", path, *_count(~seen))
    angles = [table.column((name.lower(),)) for name in HEAD]
    pose = None if None in angles else table.numbers([column for column in angles if column is not None])
    found = to_rig(_scaled(_held(weights), path)[rows], [table.header[column] for column in known])
    held_pose = None if pose is None or np.isnan(pose).all(0).any() else _held(pose)[rows].astype(np.float32)
    motion = motion_of_weights(found, rate, default_rig(), pose=held_pose)
    return replace(motion, confidence=seen.astype(np.float32))


def _count(which: Bool[np.ndarray, " t"]) -> tuple[int, int]:
    return int(which.sum()), len(which)


def _held(values: Float[np.ndarray, "t n"]) -> Float[np.ndarray, "t n"]:
    """NaN replaced by the value above it; before the first, by that; 0 in a column without any."""
    filled = np.isfinite(values)
    last = np.maximum.accumulate(np.where(filled, np.arange(len(values))[:, None], -1), 0)
    last = np.where(last < 0, filled.argmax(0), last)
    return np.asarray(np.nan_to_num(np.take_along_axis(values, last, 0)))


def _scaled(weights: Float[np.ndarray, "t n"], path: Path) -> Float32[np.ndarray, "t n"]:
    """Weights of 0..1, from hundredths if need be."""
    if weights.max() >= PERCENT:
        _log.warning("%s: values reach %g; they are taken as hundredths", path, weights.max())
        weights = weights / 100
    return np.clip(weights, 0, 1).astype(np.float32)


def timecode(frame: int, fps: Fraction) -> str:
    """Hours:minutes:seconds:frames of a frame, the frames with three decimals: what the rounded rate leaves over."""
    seconds, rest = divmod(frame / fps, 1)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{float(rest * fps):06.3f}"
