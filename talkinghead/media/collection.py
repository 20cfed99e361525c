"""A folder of videos: which files are videos, and whom they show."""

import csv
import re
from pathlib import Path

from talkinghead.errors import UserError

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp")
    + (".ogv", ".gif", ".mxf")
)

IDENTITY_COLUMNS = ("identity", "person", "speaker", "id")

PATH_COLUMNS = ("path", "video", "file", "clip")


def identity_of(video: str) -> str:
    """Who a video shows, by its path: VoxCeleb's `idNNNNN` folder, otherwise the top folder, otherwise its own name."""
    folders = Path(video).parts[:-1]
    voxceleb = [folder for folder in folders if re.fullmatch(r"id\d{5}", folder)]
    return voxceleb[-1] if voxceleb else folders[0] if folders else Path(video).stem


def read_identities(path: Path) -> dict[str, str]:
    """Video -> identity from a CSV with a header.

    Raises:
        UserError: if it cannot be read or has no such columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: the list of identities cannot be read ({error}).") from error
    columns = list(rows[0]) if rows else []
    video = next((name for name in PATH_COLUMNS if name in columns), None)
    identity = next((name for name in IDENTITY_COLUMNS if name in columns), None)
    if video is None or identity is None:
        raise UserError(f"{path}: columns path and identity are needed, it has {', '.join(columns) or 'none'}.")
    return {Path(row[video]).as_posix(): row[identity] for row in rows}
