"""Fine-tuning stopped by photos that it does not learn from."""

import copy
import logging
import math
from typing import Any

from pytorch_lightning import Callback, Trainer
from torch import Tensor

from talkinghead.portrait.data.photo_batches import Batch

_log = logging.getLogger(__name__)


class StopByHeldOut(Callback):
    """Keeps the weights that do best on held-out photos, and stops when they do no better for a while.

    Args:
        batch: the held-out photos.
        patience: steps without improvement.
        every: steps between looks.
    """

    def __init__(self, batch: Batch, *, patience: int, every: int = 5):
        self.batch, self.patience, self.every = batch, patience, every
        self.best = math.inf
        self.best_step = 0
        self._state: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self.look(module)

    def on_train_batch_end(self, trainer: Trainer, module: Any, *_: Any) -> None:
        if module.step % self.every == 0:
            self.look(module)
            trainer.should_stop = module.step - self.best_step >= self.patience

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        module.averaged.load_state_dict(self._state)
        _log.info(
            "kept step %d of %d: content loss %.3f on the held-out photos", self.best_step, module.step, self.best
        )

    def look(self, module: Any) -> None:
        """Measure, and keep the weights if they are the best so far."""
        loss = module.held_out_loss({name: value.to(module.device) for name, value in self.batch.items()})
        if loss < self.best:
            self.best, self.best_step = loss, module.step
            self._state = copy.deepcopy(module.averaged.state_dict())
