"""The error that a user can put right."""

from collections.abc import Mapping
from typing import Any


class UserError(Exception):
    """Bad input: one sentence that names the file, the value and the fix. The CLI prints it and exits with 2."""


class DiskFullError(UserError):
    """A full disk, a quota or a largest file size: true of whatever is written next, so that a run cannot go on."""


def refuse_low(values: Mapping[str, Any], *, group: str = "", **least: float) -> None:
    """Raise UserError if a number is lower than it may be, or none: `refuse_low(vars(run), group="run.", steps=1)`."""
    for name, lowest in least.items():
        value = values[name]
        if not isinstance(value, int | float) or not value >= lowest:
            raise UserError(f"{group}{name} is {value}; it must be {lowest} or more.")
