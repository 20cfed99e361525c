"""Files looked at before they are read, and written whole or not at all; texts and tables read."""

import codecs
import csv
import errno
import logging
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from uuid import uuid4

from talkinghead.errors import UserError

MOST_NAMED = 10
"""Files that one line names."""

_log = logging.getLogger(__name__)


def refuse_unreadable(path: Path, *, give: str = "a file") -> None:
    """Raise UserError unless `path` is a file with something in it. To be called before anything opens it."""
    problem = unreadable(path)
    if problem:
        raise UserError(f"{path}{'' if problem.startswith('is') else ':'} {problem}; give {give}.")


def unreadable(path: Path) -> str | None:
    """Why a path is no file with something in it; None where it is one. A pipe, a terminal or /dev/zero would be read
    without an end."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError) as error:
        return _ABSENT.get(getattr(error, "errno", None) or 0, f"it cannot be opened ({error})")
    if stat.S_ISDIR(found.st_mode):
        return "is a folder"
    if not stat.S_ISREG(found.st_mode):
        return "is a pipe or a device, which has no end"
    return "the file is empty (0 bytes)" if found.st_size == 0 else None


_ABSENT = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "there is no such file",
    errno.ELOOP: "it is a symbolic link that leads back to itself",
}


def say_left_out(folder: Path, names: Sequence[str], reason: str) -> None:
    """A line in the log with what a folder holds and nobody will read."""
    if names:
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        _log.warning("%s: left out, %s: %s%s", folder, reason, ", ".join(names[:MOST_NAMED]), more)


def resolved(path: Path) -> Path:
    """The path without symbolic links.

    Raises:
        UserError: if its links lead back to themselves.
    """
    try:
        return path.resolve()
    except (RuntimeError, OSError) as error:
        raise UserError(f"{path}: {_ABSENT[errno.ELOOP]}.") from error


LARGEST_TEXT = 500_000_000
"""Bytes of a text that are read: an hour of ARKit's curves is a quarter of it."""


def read_text(path: Path, *, most: int = LARGEST_TEXT, give: str = "a text file") -> str:
    """A text in UTF-8, or in UTF-16 as spreadsheets save it; in Windows' Latin letters where it is neither.

    Raises:
        UserError: if it is absent, empty, no file, or has more than `most` bytes.
    """
    refuse_unreadable(path, give=give)
    try:
        size = path.stat().st_size
        if size > most:
            raise UserError(f"{path}: it has {size / 1e6:.1f} MB, more than the {most / 1e6:g} MB that are read.")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: it cannot be read ({error.strerror}); give {give}.") from error
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return content.decode("utf-16", "replace")
    if content[1:2] == b"\0" or content[:1] == b"\0":  # UTF-16 that does not say so
        return content.decode("utf-16-le" if content[1:2] == b"\0" else "utf-16-be", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


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
