"""Our safetensors files: tensors, and a header that says what they are. No code in such a file can run.

The header is looked at before anything is allocated: nothing in a file can ask for more memory than the file is long.
"""

import json
import re
from collections.abc import Mapping
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError, safe_open

from talkinghead.media.files import unreadable

LARGEST_HEADER = 16_000_000
"""Bytes; the header of 100,000 tensors is smaller."""

DEPTH = 32
"""Lists in lists, and so on, of a header."""

DTYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""What our files may hold, and bytes of each number. BF16, which NumPy does not know, is read as single precision."""

SLOWEST, FASTEST = 1, 1000
"""Frames a second of anything that moves."""

Shape = tuple[int, ...]


def read_tensors(
    path: Path, expected: str | tuple[str, ...], *, framework: Literal["numpy", "pt"] = "numpy"
) -> tuple[dict[str, Any], dict[str, str]]:
    """The tensors and the header of a file whose header names the format that is expected.

    Args:
        path: the file.
        expected: the format's name, or several.
        framework: whether tensors are given as NumPy's or as PyTorch's.

    Raises:
        ValueError: if it is no safetensors file, or of another format, or holds values that are not finite or a type
            that no file of ours has; says which.
    """
    try:
        header = read_header(path)
        found = header.words.get("format", "no format")
        known = (expected,) if isinstance(expected, str) else expected
        if found not in known:
            raise ValueError(f"it holds {found}, not {' or '.join(known)}")
        with safe_open(path, framework=framework) as file:
            tensors = {name: _finite(name, _read(file, header, name, framework)) for name in header.shapes}
    except (SafetensorError, OSError, RuntimeError) as error:
        riddle = isinstance(error, SafetensorError)  # "header too large", of a picture
        reason = ", or one that is cut off" if riddle else f": {error}"
        raise ValueError(f"not a readable safetensors file{reason}") from error
    return tensors, header.words


def _read(file: Any, header: "TensorsHeader", name: str, framework: str) -> Any:
    """One tensor; half the bits of single precision (BF16) are brought to all."""
    if name not in header.bfloats:
        return file.get_tensor(name)
    if framework == "pt":
        return file.get_tensor(name).float()
    with header.path.open("rb") as raw:
        raw.seek(header.data_at + header.bfloats[name])
        values = np.frombuffer(raw.read(2 * prod(header.shapes[name])), "<u2")
    return (values.astype(np.uint32) << 16).view(np.float32).reshape(header.shapes[name])


class TensorsHeader:
    """What the first bytes of a safetensors file say.

    Raises:
        ValueError: if they do not say it.
    """

    def __init__(self, path: Path, entries: Mapping[str, Any], data_at: int) -> None:
        self.path, self.data_at = path, data_at
        words = entries.get("__metadata__") or {}
        if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
            raise ValueError("its header's words are no texts")
        self.words: dict[str, str] = words
        self.shapes: dict[str, Shape] = {}
        self.bfloats: dict[str, int] = {}
        """Where the tensors in BF16 begin."""
        for name, entry in entries.items():
            if name != "__metadata__":
                self.shapes[name] = self._shape(name, entry)

    def _shape(self, name: str, entry: Any) -> Shape:
        try:
            kind, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"its header does not describe {name}") from error
        if not isinstance(begin, int) or not isinstance(end, int) or not isinstance(kind, str):
            raise ValueError(f"its header does not describe {name}")
        if kind not in DTYPES:
            raise ValueError(f"{name} is of the type {kind}, which no such file has")
        if not all(isinstance(size, int) and size >= 0 for size in shape) or prod(shape) * DTYPES[kind] != end - begin:
            raise ValueError(f"{name} has the shape {list(shape)}, which its {end - begin} bytes do not fill")
        if kind == "BF16":
            self.bfloats[name] = begin
        return shape


def read_header(path: Path) -> TensorsHeader:
    """The header of a safetensors file, nothing else of it.

    Raises:
        ValueError: if it is none.
        OSError: if it cannot be read.
    """
    problem = unreadable(path)
    if problem:
        raise ValueError(f"not a readable safetensors file, {problem}" if problem.startswith("is") else problem)
    with Path(path).open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > min(LARGEST_HEADER, Path(path).stat().st_size):
            raise ValueError("not a readable safetensors file, or one that is cut off")
        content = file.read(size)
    try:
        return TensorsHeader(Path(path), parse_words(content.decode()), 8 + size)
    except UnicodeDecodeError as error:
        raise ValueError("not a readable safetensors file") from error


def parse_words(text: str) -> dict[str, Any]:
    """Names and values from JSON that others wrote.

    Raises:
        ValueError: if it is none, or lists lie too deep in each other.
    """
    depth = deepest = 0
    for mark in re.findall(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        deepest = max(deepest, depth)
    if deepest > DEPTH:
        raise ValueError(f"its header has lists {deepest} deep")
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("its header is no table of names and values")
    return values


def words_of(header: Mapping[str, str], name: str) -> dict[str, Any]:
    """The names and values that a header keeps under a name.

    Raises:
        ValueError: if there are none.
    """
    try:
        return parse_words(header[name])
    except KeyError as error:
        raise ValueError(f"its header does not say its {name}") from error
    except ValueError as error:
        raise ValueError(f"its header does not say its {name} ({error})") from error


def frame_rate(text: str) -> Fraction:
    """A rate as files and people write it: 25, 29.97 or 30000/1001.

    Raises:
        ValueError: if it is no number, or lies outside of 1 to 1000.
    """
    if not re.fullmatch(r"\d{1,40}(\.\d{1,40})?|\d{1,40}/\d{1,40}", text.strip()):  # 1e999999999 would never end
        raise ValueError(f"fps is {text[:40]!r}; it is a number such as 25 or 30000/1001")
    top, _, bottom = text.partition("/")
    if bottom and not int(bottom):
        raise ValueError(f"fps is {text}, which divides by 0")
    rate = Fraction(top.strip()) / int(bottom or 1)
    if not SLOWEST <= rate <= FASTEST:
        raise ValueError(f"fps is {text}; it lies in {SLOWEST} to {FASTEST}")
    return rate


def refuse_misfit(network: Any, tensors: Mapping[str, Any]) -> None:
    """Raise ValueError unless the tensors are those of a network of PyTorch's, by name and shape.

    The network may have been made on the device "meta", where it takes no memory: then a file cannot ask for a larger
    one than it holds.
    """
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in tensors.items()}
    odd = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
    if odd:
        have, need = (shapes.get(odd[0], "no shape") for shapes in (given, wanted))
        raise ValueError(f"its sizes ask for other tensors: {odd[0]} has {have}, not {need}")


def _finite(name: str, values: Any) -> Any:
    finite = values.isfinite() if hasattr(values, "isfinite") else np.isfinite(values)
    if not finite.all():
        count = int((~finite).sum())
        raise ValueError(f"{count} of the {prod(values.shape)} values of {name} are not finite")
    return values


def as_single(name: str, array: np.ndarray) -> np.ndarray:
    """Fractions in single precision.

    Raises:
        ValueError: if the array holds whole numbers, which are in other units.
    """
    if array.dtype.kind != "f":
        raise ValueError(f"{name} holds {array.dtype}, not fractions")
    return np.ascontiguousarray(array, np.float32)
