"""Our safetensors files: tensors, and a header that says what they are. No code in such a file can run."""

from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open


def read_tensors(
    path: Path, expected: str | tuple[str, ...], *, framework: Literal["numpy", "pt"] = "numpy"
) -> tuple[dict[str, Any], dict[str, str]]:
    """The tensors and the header of a file whose header names the format that is expected.

    Args:
        path: the file.
        expected: the format's name, or several.
        framework: whether tensors are given as NumPy's or as PyTorch's.

    Raises:
        ValueError: if it is no safetensors file, or of another format; says which.
    """
    try:
        path.open("rb").close()  # safetensors calls a folder and a locked file missing
        with safe_open(path, framework=framework) as file:
            header = file.metadata() or {}
            found = header.get("format", "no format")
            known = (expected,) if isinstance(expected, str) else expected
            if found not in known:
                raise ValueError(f"it holds {found}, not {' or '.join(known)}")
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        riddle = isinstance(error, SafetensorError)  # "header too large", of a picture
        reason = ", or one that is cut off" if riddle else f": {error}"
        raise ValueError(f"not a readable safetensors file{reason}") from error
