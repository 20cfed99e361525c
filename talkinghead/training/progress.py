"""How far a training is, for those who watch it."""

import time
from collections.abc import Callable
from typing import Any

from pytorch_lightning import Callback, Trainer

LOSSES = ("train/total", "train/content", "content")
"""Whichever is logged is shown: the sum where a training has one, else the term that says most."""


class ShowSteps(Callback):
    """Tells after each step how many are done, of how many, and the loss.

    Args:
        report: takes steps done, steps in all, and a note.
        steps: in all; None asks the module.
    """

    def __init__(self, report: Callable[..., None], steps: int | None = None):
        self.report, self.steps = report, steps
        self._note, self._looked = "", 0.0

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if not trainer.is_global_zero:
            return
        now = time.monotonic()
        if now - self._looked > 1:  # a GPU must be waited for
            self._looked = now
            found = [trainer.callback_metrics[name] for name in LOSSES if name in trainer.callback_metrics]
            self._note = f"loss {float(found[0]):.3f}" if found else ""
        self.report(pl_module.step, self.steps or pl_module.steps, self._note)
