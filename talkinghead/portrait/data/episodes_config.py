"""Which episodes are drawn, and how. No PyTorch here, so that --help is quick."""

from dataclasses import dataclass
from pathlib import Path

from talkinghead.errors import refuse_low
from talkinghead.portrait.data.augment import NO_AUGMENTATION, AugmentConfig
from talkinghead.portrait.networks.config import CompositingConfig


@dataclass(frozen=True)
class EpisodeConfig:
    """What an episode is."""

    shots: int = 8
    """K, source frames of an episode."""
    size: int = 256
    """Side of the frames, pixels; the model's own size when training (set by the command)."""
    augment: AugmentConfig = NO_AUGMENTATION
    """Identity augmentation, drawn for each episode."""
    seed: int = 0
    """Of all draws."""
    balance: bool = True
    """Draw a person first, then a track, so that long-filmed people do not dominate."""
    min_confidence: float = 0.0
    """Frames whose landmarks are less sure are left out."""
    cache_gib: float = 2.0
    """Memory for decoded frames in each worker, GiB; the rest is decoded each time."""
    compositing: CompositingConfig | None = None
    """Move a source frame to the target's landmarks, as the model takes it (set by the command)."""


@dataclass(frozen=True, kw_only=True)
class EpisodeDataConfig(EpisodeConfig):
    """Training episodes from a folder of shards.

    Raises:
        UserError: if a number is too low.
    """

    shards: Path
    """Folder made by `talkinghead prepare`."""
    validation: Path | None = None
    """Shards of other people, for sample sheets and the validation figures."""
    batch_size: int = 2
    """Episodes a step and process."""
    workers: int = 0
    """Processes that decode; 0 decodes in the training process."""

    def __post_init__(self) -> None:
        refuse_low(vars(self), shots=1, batch_size=1, size=16, seed=0, workers=0)
