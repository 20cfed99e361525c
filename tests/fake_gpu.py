"""A GPU for tests on machines that have none: meta tensors, which take every branch that a GPU's tensors take.

No number is computed. What is checked is what a GPU refuses (tensors of two devices together, normalisations of mixed
types), and what is counted is how often the host would wait for it. (PyTorch's own fake CUDA tensors cannot go
backwards where no driver is.)
"""

import traceback
from collections import Counter
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

GPU = "meta"

HALVED = {
    torch.conv2d, torch.nn.functional.conv2d, torch.conv1d, torch.conv_transpose2d,
    torch.nn.functional.conv_transpose2d,
    torch.nn.functional.linear, torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.Tensor.__rmatmul__,
    torch.bmm, torch.nn.functional.scaled_dot_product_attention,
}  # fmt: skip
"""Functions that CUDA's autocast computes in half precision, of those that the networks use."""

NORMS = ("native_group_norm", "native_layer_norm", "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit")


class RefusedError(Exception):
    """What a GPU does not do."""


class _Watch(TorchDispatchMode):
    """Refuses what a GPU refuses, answers what it is waited for, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.kernels = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.__name__.split(".")[0]
        flat = [one for one in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        devices = {one.device.type for one in flat}
        if name == "_local_scalar_dense" and GPU in devices:
            self._wait(name)
            return {torch.bool: True, torch.int64: 1, torch.int32: 1}.get(args[0].dtype, 1.0)
        if name in ("_to_copy", "copy_", "to"):
            target = kwargs.get("device")
            devices |= set() if target is None else {torch.device(target).type}
            if devices == {"cpu", GPU} and not kwargs.get("non_blocking"):
                self._wait("copy to the GPU" if args[0].device.type == "cpu" else "copy from the GPU")
            if target is not None and torch.device(target).type == "cpu" and args[0].device.type == GPU:
                return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
            return func(*args, **kwargs)
        if name in ("_unique2", "unique_dim", "nonzero", "masked_select") and GPU in devices:
            raise RefusedError(f"{name}: its size is not known before the GPU has finished, {_where()}")
        if GPU in devices and any(one.device.type != GPU and one.ndim > 0 for one in flat):
            raise RefusedError(f"{name} of tensors on {sorted(devices)}, {_where()}")
        if name in NORMS:
            kinds = {one.dtype for one in flat[:3]}
            if len(kinds) > 1 or (name == "native_group_norm" and not flat[0].is_contiguous()):
                raise RefusedError(f"{name} of {kinds}, strides {flat[0].stride()}, {_where()}")
        self.kernels += not func.is_view
        return func(*args, **kwargs)

    def _wait(self, why: str) -> None:
        self.waits[f"{why}, {_where()}"] += 1


class _Halves(TorchFunctionMode):
    """What CUDA's autocast does, for the functions that the networks use."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0  # of autocast switched off within

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in HALVED and not self.depth:
            args = torch.utils._pytree.tree_map(self._half, args)
            kwargs = torch.utils._pytree.tree_map(self._half, kwargs or {})
        return func(*args, **(kwargs or {}))

    @staticmethod
    def _half(value: Any) -> Any:
        halved = isinstance(value, torch.Tensor) and value.device.type == GPU and value.dtype == torch.float32
        return value.to(torch.bfloat16) if halved else value


def _where() -> str:
    """The line of ours that is at work."""
    frames = [
        one for one in traceback.extract_stack() if "talkinghead/" in one.filename and "-packages" not in one.filename
    ]
    frames = [one for one in frames if "/tests/" not in one.filename] or frames
    return f"{frames[-1].filename.rpartition('talkinghead/')[2]}:{frames[-1].lineno}" if frames else "elsewhere"


@contextmanager
def fake_gpu(*, bf16: bool = True):
    """Within it, tensors on `GPU` obey a GPU's rules; gives what counts. With `bf16`, autocast is on."""
    watch, halves = _Watch(), _Halves()

    @contextmanager
    def autocast(device: str, dtype: Any = None, enabled: bool = True, cache_enabled: Any = None):
        halves.depth += not enabled
        yield
        halves.depth -= not enabled

    enabled, dtype = torch.is_autocast_enabled, torch.get_autocast_dtype
    with (
        patch.object(
            torch, "is_autocast_enabled", lambda d="cuda": bf16 and not halves.depth if d == GPU else enabled(d)
        ),
        patch.object(torch, "get_autocast_dtype", lambda d: torch.bfloat16 if d == GPU else dtype(d)),
        patch.object(torch, "autocast", autocast),
        watch,
        halves if bf16 else nullcontext(),
    ):
        yield watch
