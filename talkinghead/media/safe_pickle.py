"""Pickles that others distribute, read without running what they hold: arrays, numbers, texts, dicts, lists, tuples."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from talkinghead.errors import UserError

MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")


def load_pickle(path: Path) -> Any:
    """The content of a pickle file, of Python 2 or 3. Only arrays and plain values are made of it.

    Raises:
        UserError: if the file is absent, damaged, or names anything but arrays, dicts, lists, numbers and texts.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: it cannot be read ({error.strerror}).") from error
    try:
        return _ArraysOnly(io.BytesIO(data), encoding="latin1").load()
    except _ForbiddenError as error:
        raise UserError(f"{path}: it names {error}, which is not plain data; it was not read any further.") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise UserError(f"{path}: not a pickle of arrays ({type(error).__name__}: {error}).") from error


class _ForbiddenError(Exception):
    """Something that might run code."""


class _ArraysOnly(pickle.Unpickler):
    """Knows the few names that arrays and plain dicts are pickled with."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise _ForbiddenError(f"{module}.{name}") from None


def _array(_: object, shape: tuple[int, ...], kind: object) -> np.ndarray:
    """An empty array, which the pickle then fills."""
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _scalar(dtype: np.dtype, data: bytes | str) -> Any:
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise ValueError(f"a number of the type {dtype}")
    return np.frombuffer(raw, dtype, 1)[0]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"a text in {encoding!r}")
    return text.encode("latin1")


def _plain_dict(*_: object) -> dict[Any, Any]:
    """What a defaultdict or an ordered one becomes."""
    return {}


def _from_bytes(data: Any, dtype: np.dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    """An array of protocol 5."""
    if dtype.hasobject:
        raise ValueError("an array of objects")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")


_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _plain_dict,
    ("collections", "defaultdict"): _plain_dict,
    **{(module, "_reconstruct"): _array for module in MULTIARRAY},
    **{(module, "scalar"): _scalar for module in MULTIARRAY},
    **{(module, "_frombuffer"): _from_bytes for module in ("numpy.core.numeric", "numpy._core.numeric")},
    **{(module, "dict"): dict for module in ("builtins", "__builtin__")},
}
