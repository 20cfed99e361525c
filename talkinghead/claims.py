"""Who works on a file or a folder: one run at a time, and which of them are still alive."""

import hashlib
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from talkinghead.errors import UserError

try:
    import fcntl
except ImportError:  # Windows, where nothing is claimed
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
"""A claimed folder's; that of a file lies beside it as .NAME.lock."""

STRANGE_AFTER = 24 * 3600.0
"""Seconds after which what another machine's run left is taken for dead: nobody can ask whether that still runs."""

_ours: set[Path] = set()
"""What this process has claimed: the system's locks do not keep a process from itself."""


@contextmanager
def claimed(path: Path, *, folder: bool = False) -> Iterator[None]:
    """Keep other runs from a file, or from all in a folder, until the block ends.

    The lock file names process, machine and time. The lock itself is the system's and goes with the process, however
    that dies, so that the file of a killed run is no hindrance. Where a disk has no locks, nothing is claimed.

    Raises:
        UserError: if another run has claimed it, or the folder cannot be made.
    """
    path = Path(path)
    place = path.absolute() if folder else path.absolute().parent
    made = [one for one in (place, *place.parents) if not one.exists()]
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{place}: the folder cannot be made ({error.strerror}); choose another output.") from error
    lock = place / LOCK if folder else place / f".{path.name[:200]}{LOCK}"
    if lock in _ours:
        raise UserError(f"{path}: this program is writing it already; wait for that, or give another output.")
    held = _locked(lock, path)
    _ours.add(lock)
    try:
        yield
    finally:
        _ours.discard(lock)
        if held is not None:
            lock.unlink(missing_ok=True)
            os.close(held)
        for one in made:
            with suppress(OSError):
                one.rmdir()  # if nothing came of it


def _locked(lock: Path, path: Path) -> int | None:
    """The open, locked file; None where there are no locks.

    Raises:
        UserError: if another run holds it.
    """
    while fcntl is not None:
        try:
            held = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError:
            return None  # the folder is not to be written, or a link lies there; what writes will say so
        try:
            fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(held).st_nlink:  # nobody removed it while it was opened
                os.ftruncate(held, 0)
                os.pwrite(held, f"process {os.getpid()} on {platform.node()}, since {time.ctime()}\n".encode(), 0)
                return held
            os.close(held)
        except (BlockingIOError, PermissionError) as error:
            holder = os.pread(held, 500, 0).decode(errors="replace").strip() or "another process"
            os.close(held)
            raise UserError(
                f"{path} is being written by another run ({holder}); wait for it, or give another output."
            ) from error
        except OSError:
            os.close(held)
            return None
    return None


def process_token(pid: int | None = None) -> str:
    """A name of a process that no later one bears: its number, its machine, and when it began."""
    pid = os.getpid() if pid is None else pid
    return f"{pid}-{_hash(platform.node())}{_hash(_birth(pid))}"


def still_runs(token: str, *, since: float) -> bool:
    """Whether a process named by `process_token` is alive. One of another machine is believed to be for a day.

    Args:
        token: its name.
        since: seconds since the epoch at which it was last seen at work.
    """
    pid = int(token.partition("-")[0])
    if token[-8:-4] != _hash(platform.node()):
        return time.time() - since < STRANGE_AFTER
    if pid == os.getpid() or os.name != "posix":
        return token == process_token(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return token == process_token(pid)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:4]


@cache
def _machine_started() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text()
    return ""


def _birth(pid: int) -> str:
    """When a process began, where the system says it."""
    with suppress(OSError, IndexError):
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return _machine_started() + ticks
    return ""
