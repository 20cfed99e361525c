"""What the options of speak that hold numbers and names mean."""

from typing import TYPE_CHECKING

from talkinghead.errors import UserError

if TYPE_CHECKING:
    import numpy as np


def choice(text: str | None) -> "int | str | np.ndarray | dict[int | str, float] | None":
    """What --emotion and --style name: a number, a name, numbers with commas between, or names and numbers with their
    weights, like 2=0.5,7=0.5."""
    import numpy as np

    if text is None:
        return None
    if text.isdigit():
        return int(text)
    parts = text.split(",")
    try:
        if "=" in text:
            pairs = [part.rsplit("=", 1) for part in parts]
            return {int(name) if name.strip().isdigit() else name.strip(): float(weight) for name, weight in pairs}
        return np.array([float(part) for part in parts], np.float32)
    except ValueError:
        return text


def numbers(option: str, text: str | None) -> "np.ndarray | None":
    """An option's numbers with commas between; "none" is an empty list of them.

    Raises:
        UserError: if they are no numbers.
    """
    import numpy as np

    if text is None:
        return None
    try:
        found = np.array([float(part) for part in text.split(",") if text != "none"])
    except ValueError:
        found = np.array([np.nan])
    if not np.isfinite(found).all():
        raise UserError(f"{option} is {text!r}; give numbers with commas between, like 1.5,-1.")
    return found


def turn(text: str | None) -> "np.ndarray | None":
    """--pose in radians.

    Raises:
        UserError: if it is not three angles within 90 degrees.
    """
    import numpy as np

    degrees = numbers("--pose", text)
    if degrees is not None and (degrees.shape != (3,) or np.abs(degrees).max() > 90):
        raise UserError(f"--pose is {text}; give yaw, pitch and roll in degrees, within 90, like 20,0,0.")
    return None if degrees is None else np.radians(degrees)
