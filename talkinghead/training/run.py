"""What a run is told: where it lives, how long it goes."""

from dataclasses import dataclass
from pathlib import Path

from talkinghead.errors import refuse_low


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where a run lives and how long it goes."""

    folder: Path
    """Checkpoint, model, logs and sheets; a checkpoint in it is resumed."""
    steps: int = 100_000
    """Batches to learn from, counted from the run's beginning."""
    precision: str = "auto"
    """Lightning's name of the arithmetic; auto is bf16-mixed where that is fast, else 32-true."""
    accelerator: str = "auto"
    """Lightning's name of the device: auto, cpu or gpu."""
    devices: int = 1
    """GPUs, or processes on a CPU, that train together."""
    threads: int = 0
    """CPU threads; 0 leaves PyTorch's choice."""
    save_every: int = 500
    """Steps between checkpoints."""
    show_every: int = 1000
    """Steps between sheets and figures of held-out data."""
    log_every: int = 50
    """Steps between lines of the log; 0 for none."""
    seed: int = 0
    """Of the initial weights; of the batches, too, where data has no seed of its own."""

    def __post_init__(self) -> None:
        every = {"save_every": 1, "show_every": 1, "log_every": 0}
        refuse_low(vars(self), group="run.", steps=1, devices=1, threads=0, seed=0, **every)
