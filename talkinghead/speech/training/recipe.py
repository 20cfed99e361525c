"""How a kind of speech model learns. No PyTorch here, so that --help is quick."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from talkinghead.speech.corpora.sequences import Track
    from talkinghead.speech.training.base import Batches, SpeechTraining


@dataclass(frozen=True)
class Recipe:
    """How a kind of model learns: KarrasRecipe, PhamRecipe or VocaRecipe."""

    kind: ClassVar[str]

    lr: float = 1e-4
    """Learning rate at its highest."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 for any."""
    ema: float = 0.0
    """Decay of the averaged weights that are shipped; 0 ships the last ones."""

    def training(self, tracks: "list[Track]", steps: int, seed: int) -> "SpeechTraining":
        """The LightningModule that learns from these tracks."""
        raise NotImplementedError

    def batches(self, tracks: "list[Track]", seed: int) -> "Batches":
        """What it learns from."""
        raise NotImplementedError
