"""Blendshape weights with sound, as FACEGOOD published them: NAME.npy and NAME.flac (or .wav) side by side.

The folder holds, for each recording, an array of weights (frames, columns) at 30 frames a second; names.txt, the
names of the columns, a line each; and arkit.csv, which ARKit expression each column drives.

The published names stem from another export of the rig than the published weights: name `j` belongs to column `j + 1`.
(The authors' conversion script reorders them so; and only so do the left and right halves of the face move alike, and
does "mouth_stretch_c", which opens the jaw, follow the loudness.) `column_shift` finds that out and the report says it.

References:
    FACEGOOD-Audio2Face (MIT), https://github.com/FACEGOOD/FACEGOOD-Audio2Face.
"""

from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from talkinghead.errors import UserError
from talkinghead.media.audio import read_sound
from talkinghead.media.files import read_table
from talkinghead.motion.from_rig import motion_of_weights
from talkinghead.rig.arkit import to_rig
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.recordings import Recording, Source, Take, key_of

FPS = Fraction(30)
SOUNDS = (".flac", ".wav")
NAMES, MAPPING = "names.txt", "arkit.csv"

ROUNDED = {"mouth_oh_c": "mouthPucker", "mouth_oo_c": "mouthPucker"}
"""Columns that no ARKit expression was given, though they round the lips as much as `mouth_pucker` does, which some
recordings use in their stead."""

MOVES = 1e-3
"""Columns whose standard deviation is smaller are at rest."""


def find_facegood(folder: Path) -> Source:
    """The recordings of a folder; of each session (NAME without its last number) the last one is for validation.

    Raises:
        UserError: if the folder has no such files or their columns do not fit.
    """
    folder = Path(folder)
    weights = sorted(path for path in folder.glob("*.npy") if _sound(path))
    if not weights:
        raise UserError(f"{folder}: no NAME.npy with NAME.flac or NAME.wav beside it; give the folder that holds them.")
    names = _names(folder / NAMES, columns=_load(weights[0]).shape[1])
    drives = _mapping(folder / MAPPING) if (folder / MAPPING).is_file() else {name: [name] for name in names}
    unknown = sorted({column for columns in drives.values() for column in columns} - set(names))
    drives = {arkit: [column for column in columns if column in names] for arkit, columns in drives.items()}
    if not any(drives.values()):
        raise UserError(f"{folder / MAPPING}: none of its columns is in {NAMES}; correct one of the two.")
    shift = column_shift(np.concatenate([_load(path) for path in weights]), names)
    last = {session(path.stem): path.stem for path in weights}
    speaker = folder.resolve().name
    recordings = [
        Recording(
            name=path.stem,
            speaker=speaker,
            split="val" if path.stem in last.values() and len(weights) > 1 else "train",
            key=key_of("facegood 1", path, _sound(path), names, drives, shift),
            read=partial(_read, path, names, drives, shift),
        )
        for path in weights
    ]
    about = {"columns_after_their_names": shift, "unknown_columns": unknown}
    return Source("facegood", recordings, rig=default_rig().name, about=about)


def session(name: str) -> str:
    """What the recordings of one session have in common: the name without its last number."""
    return name.rpartition("_")[0]


def column_shift(weights: Float[np.ndarray, "t c"], names: list[str]) -> int:
    """How many columns after its name's place each column lies: 1 where left and right agree much better so, else 0.

    Args:
        weights: of all recordings.
        names: what the columns are; `_l` and `_r` at the end are two sides of one movement.
    """
    place = {name: column for column, name in enumerate(names)}
    pairs = [
        (i, place[name[:-2] + "_r"]) for name, i in place.items() if name.endswith("_l") and name[:-2] + "_r" in place
    ]
    apart = []
    for shift in (0, 1):
        both = [(weights[:, (i + shift) % len(names)], weights[:, (j + shift) % len(names)]) for i, j in pairs]
        both = [(left, right) for left, right in both if max(left.std(), right.std()) > MOVES]
        apart.append(np.mean([np.abs(a - b).mean() / (a.std() + b.std()) for a, b in both]) if both else 0.0)
    return int(apart[1] < 0.5 * apart[0])


def expressions(
    weights: Float[np.ndarray, "t c"], names: list[str], drives: dict[str, list[str]], shift: int
) -> Float32[np.ndarray, "t 46"]:
    """The rig's 46 weights, 0..1, of the columns; an expression driven by several columns takes the largest.

    Args:
        weights: as recorded.
        names: of the columns.
        drives: ARKit's name -> the columns that drive it.
        shift: see `column_shift`.
    """
    moved = np.roll(weights, -shift, axis=1)
    place = {name: column for column, name in enumerate(names)}
    pairs = [(arkit, column) for arkit, columns in drives.items() for column in columns]
    driven = {column for _, column in pairs}
    pairs += [(arkit, column) for column, arkit in ROUNDED.items() if column in place and column not in driven]
    chosen = moved[:, [place[column] for _, column in pairs]]
    return np.clip(to_rig(chosen.astype(np.float32), [arkit for arkit, _ in pairs]), 0, 1)


def _read(path: Path, names: list[str], drives: dict[str, list[str]], shift: int) -> list[Take]:
    weights = _load(path)
    if weights.shape[1] != len(names):
        raise UserError(f"{path}: it has {weights.shape[1]} columns, {NAMES} names {len(names)}.")
    sound = _sound(path)
    assert sound is not None
    waveform, rate = read_sound(sound)
    motion = motion_of_weights(expressions(weights, names, drives, shift), FPS, default_rig())
    return [Take(waveform, rate, motion, about={"sound_minus_motion": round(len(waveform) / rate - motion.seconds, 3)})]


def _sound(path: Path) -> Path | None:
    return next((sound for suffix in SOUNDS if (sound := path.with_suffix(suffix)).is_file()), None)


def _load(path: Path) -> Float[np.ndarray, "t c"]:
    try:
        weights = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not an array of weights ({error}).") from error
    if weights.ndim != 2 or weights.dtype.kind != "f" or not np.isfinite(weights).all():
        raise UserError(
            f"{path}: an array {weights.shape} of {weights.dtype}; finite floats (frames, columns) are needed."
        )
    return weights


def _names(path: Path, columns: int) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; put the names of the {columns} columns there, a line each.")
    names = path.read_text(encoding="utf-8-sig").lower().split()
    if len(names) != columns:
        raise UserError(f"{path}: {len(names)} names for {columns} columns; give a line for each column.")
    return names


def _mapping(path: Path) -> dict[str, list[str]]:
    """ARKit's name -> columns, from a CSV whose first column is `arkit` and whose second lists columns."""
    rows = read_table(path, "the table of columns")
    first, *others = rows[0] if rows else [""]
    if first != "arkit" or not others:
        raise UserError(f"{path}: a table with the columns arkit and columns is needed.")
    return {row["arkit"]: row[others[0]].lower().split() for row in rows if row[others[0]].split()}
