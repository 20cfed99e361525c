"""Files written whole or not at all, and tables read."""

import csv
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from uuid import uuid4

from talkinghead.errors import UserError


@contextmanager
def atomic_path(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary name beside `path` that becomes `path` when the block ends well, and is removed when it does not.

    The temporary name keeps the suffix, so that writers which go by it choose the right format. The folder is made if
    need be. Works for a file or a folder.

    Raises:
        UserError: if `path` exists and `overwrite` is false, or its folder cannot be made or written to.
    """
    path = Path(path)
    refuse_existing(path, overwrite=overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: the folder cannot be made ({error.strerror}); choose another output.") from error
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{uuid4().hex[:8]}{path.suffix}")
    try:
        temporary.touch()
        temporary.unlink()
    except OSError as error:
        raise UserError(f"{path}: nothing can be written there ({error.strerror}); choose another output.") from error
    try:
        yield temporary
        if path.is_dir() and temporary.is_dir():
            shutil.rmtree(path)
        elif path.is_dir():
            raise UserError(f"{path} is a folder; give another output.")
        temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def refuse_existing(path: Path, *, overwrite: bool, file: bool = False) -> None:
    """Raise UserError if `path` exists and may not be overwritten, or nothing can be written there.

    For commands: call it before the work starts. With `file`, a folder is refused too.
    """
    if path.exists() and not overwrite:
        raise UserError(f"{path} exists; give another output or --overwrite.")
    if file and path.is_dir():
        raise UserError(f"{path} is a folder; give the name of a file.")
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{path}: nothing can be written into {there}; choose another output.")


def read_table(path: Path, what: str) -> list[dict[str, str]]:
    """The rows of a CSV under its header: column -> text, "" where a row is short. Empty lines are left out.

    Args:
        path: UTF-8, with or without a byte-order mark.
        what: what it should be, for the message.

    Raises:
        UserError: if it cannot be read.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except OSError as error:
        raise UserError(f"{path}: {what} cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: {what} cannot be read ({error}); save it as CSV in UTF-8.") from error
    return [dict(zip_longest(header, row[: len(header)], fillvalue="")) for row in rows]
