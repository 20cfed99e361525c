"""Files looked at before they are read, and written whole or not at all; texts and tables read."""

import codecs
import csv
import errno
import logging
import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from itertools import zip_longest
from pathlib import Path
from uuid import uuid4

from talkinghead.claims import claimed, process_token, still_runs
from talkinghead.errors import DiskFullError, UserError

_waiting: ContextVar[list[tuple[Path, Path, bool]] | None] = ContextVar("_waiting", default=None)
"""What a command has written and will show when all of it is there: temporary, path, whether it may replace."""

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
    """A temporary name that becomes `path` when the block ends well, and is removed when it does not.

    It lies in a hidden folder beside `path`, so that what libraries make on their way is removed with it, and has the
    name of `path`, because writers go by the suffix. What a killed run left of the same path is removed first. The
    folder of `path` is made if need be. Works for a file or a folder; inside `outputs`, all appear together.

    Raises:
        UserError: if `path` exists and `overwrite` is false, its folder cannot be made or written to, or the disk is
            full before the block ends.
    """
    path = Path(path)
    refuse_existing(path, overwrite=overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: the folder cannot be made ({error.strerror}); choose another output.") from error
    remove_leftovers(path)
    temporary = path.parent / f".{path.name[:100]}.{process_token()}{uuid4().hex[:6]}" / path.name
    try:
        temporary.parent.mkdir()
        temporary.touch()
        mode = temporary.stat().st_mode
        temporary.unlink()
    except OSError as error:
        _remove(temporary.parent)
        raise UserError(f"{path}: nothing can be written there ({error.strerror}); choose another output.") from error
    waiting, done = _waiting.get(), False
    try:
        with said_when_full(path, temporary):
            yield temporary
            if temporary.is_file():
                temporary.chmod(mode)  # as the umask has it: safetensors would keep others from reading
        if waiting is None:
            _show(temporary, path, overwrite=overwrite)
        else:
            waiting.append((temporary, path, overwrite))
            done = True
    finally:
        if not done:
            _remove(temporary.parent)


@contextmanager
def outputs(*paths: Path | None, overwrite: bool = False) -> Iterator[None]:
    """The files of one command: claimed for it, and shown together when the block ends well, the first one last.

    A command that is stopped leaves none of them, so that it can be given again.

    Raises:
        UserError: if one exists and `overwrite` is false, cannot be written, or another run is at it.
    """
    wanted = [Path(path) for path in paths if path is not None]
    for path in wanted:
        refuse_existing(path, overwrite=overwrite)
    waiting: list[tuple[Path, Path, bool]] = []
    with ExitStack() as claims:
        for path in wanted:
            claims.enter_context(claimed(path))
            remove_leftovers(path)
        before = _waiting.set(waiting)
        try:
            yield
            for temporary, path, may in sorted(waiting, key=lambda one: one[1] == wanted[0]):
                _show(temporary, path, overwrite=may)
        finally:
            _waiting.reset(before)
            for temporary, *_ in waiting:
                _remove(temporary.parent)


@contextmanager
def run_folder(folder: Path) -> Iterator[None]:
    """A folder that a run fills while it goes: claimed for it; a full disk is one sentence.

    Raises:
        UserError: if another run is at it, it cannot be made, or the disk is full.
    """
    with claimed(folder, folder=True), said_when_full(folder):
        yield


def _show(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Give a finished file or folder its name. What appeared there meanwhile stays, unless it may be overwritten."""
    if path.is_dir() and not path.is_symlink():
        if not temporary.is_dir():
            raise UserError(f"{path} is a folder; give another output.")
        refuse_existing(path, overwrite=overwrite)
        path.replace(temporary.parent / "before")
    if temporary.is_dir() or overwrite:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        refuse_existing(path, overwrite=False)
    except OSError:  # a disk that knows no links
        refuse_existing(path, overwrite=False)
        temporary.replace(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove what killed runs left of their work on `path`; what a run of today is at, stays."""
    pattern = re.compile(re.escape(f".{path.name[:100]}.") + r"(?P<token>\d+-[0-9a-f]{8})[0-9a-f]{6}")
    with suppress(OSError):
        for entry in os.scandir(path.parent):
            found = pattern.fullmatch(entry.name)
            if found and not still_runs(found["token"], since=entry.stat(follow_symlinks=False).st_mtime):
                _remove(Path(entry.path))


def is_hidden(path: Path, below: Path) -> bool:
    """Whether a path, or a folder between it and the one that it was found in, has a name that begins with a dot."""
    return any(part.startswith(".") for part in path.relative_to(below).parts)


@contextmanager
def said_when_full(path: Path, written: Path | None = None) -> Iterator[None]:
    """Turns a full disk into one sentence, whatever library stumbled over it and however it puts that.

    Args:
        path: what was to be written, for the sentence.
        written: where; the disk is tried there when an error does not say what it is of.

    Raises:
        DiskFullError: if the disk, a quota or the largest size of a file was reached.
    """
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        number = _number_of(error)
        if number is None and written is not None and not isinstance(error, UserError):
            number = _tried(written)
        if number is None:
            raise
        reason = os.strerror(number)
        raise DiskFullError(
            f"{path}: it cannot be written whole ({reason}); make room or give another output."
        ) from error


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""A disk that is full, a quota, a largest size of files."""


def _number_of(error: BaseException) -> int | None:
    """Which of `FULL` an error speaks of, or one that it followed from."""
    seen: BaseException | None = error
    while seen is not None:
        number = getattr(seen, "errno", None)
        told = re.search(r"os error (\d+)", str(seen))  # safetensors'
        for one in (number, int(told[1]) if told else None):
            if one in FULL:
                return one
        seen = seen.__cause__ or seen.__context__
    return None


def _tried(written: Path) -> int | None:
    """Which of `FULL` stops a file from growing; None if it grows."""
    try:
        with (written / "more" if written.is_dir() else written).open("ab") as file:
            file.write(bytes(1 << 16))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno if error.errno in FULL else None
    return None


def refuse_existing(path: Path, *, overwrite: bool, file: bool = False) -> None:
    """Raise UserError if `path` exists and may not be overwritten, or nothing can be written there.

    For commands: call it before the work starts. With `file`, a folder is refused too.
    """
    if os.path.lexists(path) and not overwrite:
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
