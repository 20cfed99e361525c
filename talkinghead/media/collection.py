"""A folder of videos: which files are videos, and whom they show."""

import re
from pathlib import Path

from talkinghead.errors import UserError
from talkinghead.media.files import read_table

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


def read_listing(path: Path) -> list[tuple[str, str, dict[str, str]]]:
    """A CSV of videos: each one's path, whom it shows, and its whole row.

    Raises:
        UserError: if it cannot be read or has no column for either.
    """
    rows = read_table(path, "the list of videos")
    columns = list(rows[0]) if rows else []
    video = next((name for name in PATH_COLUMNS if name in columns), None)
    person = next((name for name in IDENTITY_COLUMNS if name in columns), None)
    if video is None or person is None:
        raise UserError(f"{path}: columns path and person are needed, it has {', '.join(columns) or 'none'}.")
    return [(Path(row[video]).as_posix(), row[person], row) for row in rows]
