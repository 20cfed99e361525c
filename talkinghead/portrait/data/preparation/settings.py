"""What `prepare` is told: sizes and thresholds, and which videos."""

from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from talkinghead.face.crop import MARGIN


@dataclass(frozen=True)
class PrepareSettings:
    """What decides the content of shards."""

    size: int = 256
    """Side of the stored frames, pixels."""
    quality: int = 95
    """JPEG quality of the stored frames."""
    fps: Fraction = Fraction(25, 2)
    """Frames a second kept at most; a slower video keeps its own."""
    min_face: float = 64
    """Narrowest face kept, pixels of the source."""
    min_confidence: float = 0.95
    """Frames whose landmarks are less sure are dropped."""
    min_frames: int = 16
    """Tracks with fewer frames are dropped."""
    max_frames: int = 1000
    """Longer tracks are cut there."""
    detect_every: int = 12
    """Kept frames between two searches for new faces."""
    margin: float = MARGIN
    """Side of the crop over the longer side of the landmarks' box."""
    detector: str = "auto"
    """The face detector."""
    device: str = "cpu"
    """Where a neural detector runs."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**asdict(self), "fps": str(self.fps)}


@dataclass(frozen=True)
class Clip:
    """A video of the collection."""

    path: Path
    video: str
    """Its path from the collection's folder, with slashes."""
    identity: str
