"""Which arithmetic a machine computes fast with."""

import logging

import torch

log = logging.getLogger(__name__)

FULL, HALF = "32-true", "bf16-mixed"
"""Lightning's names of single precision, and of bfloat16 where that does no harm."""


def fast_dtype(device: torch.device) -> torch.dtype:
    """The arithmetic a device is fastest with: bfloat16 where it computes with it, else single precision."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if device.type == "cpu" and _cpu_has_bf16() else torch.float32


def _cpu_has_bf16() -> bool:
    """Whether PyTorch uses instructions for bfloat16 (ATEN_CPU_CAPABILITY may keep it from those that the CPU has).

    Older versions of PyTorch do not know of them.
    """
    if "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return False
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)


def chosen_precision(precision: str, accelerator: str) -> str:
    """Lightning's name of the arithmetic: `auto` is what the device is fast with; a word if what is given is slow.

    Args:
        precision: Lightning's name, or auto.
        accelerator: Lightning's name of the device.
    """
    device = _device(accelerator)
    fast = fast_dtype(device) == torch.bfloat16
    if precision == "auto":
        return HALF if fast else FULL
    if precision.startswith("bf16") and not fast:
        log.warning(
            "precision %s is slow here: this %s has no bfloat16 and imitates it, some 15 times slower; give auto or %s",
            *(precision, "GPU" if device.type == "cuda" else "CPU", FULL),
        )
    return precision


def _device(accelerator: str) -> torch.device:
    """What Lightning will take."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
