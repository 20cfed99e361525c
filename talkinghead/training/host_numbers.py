"""Numbers of a training that stay on the host: to ask a GPU for one is to wait for all it has to do."""

from typing import Any

import torch
from pytorch_lightning import LightningModule


class HostNumbers(LightningModule):
    """A module with numbers that lie in its state dict as tensors, as buffers would, but never on a GPU.

    Args:
        numbers: their names and first values; they become attributes.
    """

    def __init__(self, **numbers: float):
        super().__init__()
        self._numbers = {name: type(value) for name, value in numbers.items()}
        for name, value in numbers.items():
            setattr(self, name, value)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in self._numbers:
            destination[prefix + name] = torch.tensor(getattr(self, name))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, metadata: Any, strict: bool, missing: list[str], *more: Any
    ) -> None:
        for name, kind in self._numbers.items():
            if prefix + name in state_dict:
                setattr(self, name, kind(state_dict.pop(prefix + name)))
            elif strict:
                missing.append(prefix + name)
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, *more)
