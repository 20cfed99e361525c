"""Sizes of the few-shot head."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from talkinghead.errors import UserError

LARGEST_DOWN_ATTENTION = 32
LARGEST_UP_ATTENTION = 64


@dataclass(frozen=True)
class CompositingConfig:
    """A generator that paints over a warped source instead of an empty canvas; see `networks.compositing`.

    Not in the paper, whose generator knows a person by AdaIN parameters alone, learnt from 146,000 videos.
    """

    bridges: bool = True
    """Hand fine maps past the generator's bottleneck, from the way down to the way up."""
    layers: bool = False
    """The photos are moved in layers, at their own size, by a head in three dimensions, and come with three masks
    (`warping.layered_sources`); if not, they are moved flat, at the generator's size."""

    @property
    def channels(self) -> int:
        """Channels of the warped source: a picture, and its masks."""
        return 6 if self.layers else 3

    def __post_init__(self) -> None:
        for field in fields(self):
            if not isinstance(getattr(self, field.name), bool):
                value = getattr(self, field.name)
                raise UserError(f"portrait.compositing.{field.name} is {value!r}; it is true or false")


@dataclass(frozen=True)
class PortraitConfig:
    """Sizes shared by the embedder, the generator and the discriminator.

    Raises:
        UserError: if the frame size is not a power of two from 32 up, or a width is not a whole number within reason.

    References:
        Zakharov et al. 2019, section 4 and the layer tables of the authors' published code.
    """

    size: int = 256
    """Side of the frames, pixels."""
    min_channels: int = 64
    """Channels at full resolution."""
    max_channels: int = 512
    """Most channels of any layer."""
    embedding_dim: int = 512
    """Length of the identity embedding, N in the paper."""
    down_blocks: int = 4
    """Downsampling blocks of the generator; as many upsampling blocks follow."""
    embedder_blocks: int = 6
    """Downsampling blocks of the embedder and the discriminator."""
    residual_blocks: int = 4
    """Residual blocks at the generator's bottleneck: 4 gives the paper's 38 M parameters, 5 does not."""
    attention: bool = True
    """Self-attention at 32 x 32 on the way down and 64 x 64 on the way up."""
    compositing: CompositingConfig | None = None
    """Composite the painted frame over a photo warped to the target's landmarks; null for the paper's generator."""

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or self.size < 32 or self.size & (self.size - 1):
            raise UserError(f"portrait.size is {self.size}; take a power of two from 32 up, such as 128 or 256")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "compositing":
                continue
            if field.type is bool:
                if not isinstance(value, bool):
                    raise UserError(f"portrait.{field.name} is {value!r}; it is true or false")
            elif isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST[field.name]:
                raise UserError(
                    f"portrait.{field.name} is {value}; it must be at least 1, at most {_MOST[field.name]}, and whole"
                )

    @property
    def photo_side(self) -> int | None:
        """Side of the photos that a person is made of, pixels; None for their own."""
        return None if self.compositing is not None and self.compositing.layers else self.size

    def channels(self, level: int) -> int:
        """Channels after ``level`` halvings of the frame, counted from 0 at the first block's output."""
        return min(self.min_channels * 2**level, self.max_channels)

    def to_dict(self) -> dict[str, Any]:
        """The sizes as plain numbers, for a file's header."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PortraitConfig":
        """Sizes read from a file's header.

        Raises:
            UserError: if a name is unknown.
        """
        values = dict(values)
        if values.pop("warped_photo", False):  # the name in files of before `compositing`
            values["compositing"] = {}
        _refuse_unknown(values, cls)
        if values.get("compositing") is not None:
            _refuse_unknown(values["compositing"], CompositingConfig)
            values["compositing"] = CompositingConfig(**values["compositing"])
        return cls(**values)


_MOST = {
    "size": 4096,
    "min_channels": 8192,
    "max_channels": 8192,
    "embedding_dim": 65_536,
    "down_blocks": 16,
    "embedder_blocks": 16,
    "residual_blocks": 256,
}
"""Sizes that no network has; more would fill the memory before a file is known to be damaged."""


def _refuse_unknown(names: Any, known: type[PortraitConfig] | type[CompositingConfig]) -> None:
    if not isinstance(names, dict):
        raise UserError(f"the file's portrait sizes are {names!r}, not names and values")
    unknown = sorted(set(names) - {field.name for field in fields(known)})
    if unknown:
        raise UserError(f"the file's portrait sizes name {', '.join(unknown)}, which this version does not know")


PAPER = PortraitConfig()
"""256 x 256, 64 to 512 channels, self-attention: the paper's sizes."""

LIGHT = PortraitConfig(
    size=128,
    min_channels=32,
    max_channels=192,
    embedding_dim=192,
    attention=False,
    compositing=CompositingConfig(layers=True),
)
"""The same layout, narrower, over photos moved in layers at their own size: two CPU cores render it."""
