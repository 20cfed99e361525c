"""Arithmetic of the networks, counted from their sizes: 2 operations a multiply-add, convolutions and products only.

"nominal" counts the layers as the paper describes them, each at its own resolution, so that shares of a machine's peak
can be compared with other implementations. "executed" counts what this package computes: a convolution fused with the
resampling beside it gives the same result with fewer multiplications.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from talkinghead.portrait.networks.config import LARGEST_DOWN_ATTENTION, LARGEST_UP_ATTENTION, PortraitConfig
from talkinghead.portrait.networks.layers import Resample

VGG19_BLOCKS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512,))
VGGFACE_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512,))
"""Convolutions up to relu5_1, the last layer that the content loss looks at; a pooling between blocks."""


class Work(NamedTuple):
    """Operations."""

    nominal: float
    executed: float

    def times(self, factor: float) -> "Work":
        """As often."""
        return Work(self.nominal * factor, self.executed * factor)


class Layer(NamedTuple):
    """Operations of one layer's pass over one frame."""

    work: Work
    reads_input: bool
    """Its input is the network's own, which needs no gradient while the network alone learns."""


def total(works: Iterable[Work]) -> Work:
    """The sum."""
    nominal, executed = zip(*works, strict=True)
    return Work(sum(nominal), sum(executed))


def forward(layers: Iterable[Layer]) -> Work:
    """A pass without gradients."""
    return total(layer.work for layer in layers)


def learning(layers: Iterable[Layer]) -> Work:
    """A pass forward and backward, with the gradient of every weight and of every map but the network's input."""
    return total(layer.work.times(2 if layer.reads_input else 3) for layer in layers)


def conv(
    side: int, inputs: int, outputs: int, *, kernel: int = 3, resample: Resample = "same", reads_input: bool = False
) -> Layer:
    """A convolution, described at the larger map beside its resampling; ``side`` is that map's."""
    nominal = 2.0 * side * side * inputs * outputs * kernel * kernel
    fewer = 1.0 if resample == "same" else 4.0 if kernel == 1 else 9 / 4
    return Layer(Work(nominal, nominal / fewer), reads_input)


def attention(side: int, channels: int) -> Layer:
    """Self-attention over the positions of a map, and its three 1 x 1 convolutions."""
    inner, places = max(1, channels // 8), side * side
    operations = 2.0 * places * channels * (2 * inner + channels) + 2.0 * places * places * (inner + channels)
    return Layer(Work(operations, operations), False)


def res_block(
    side: int, inputs: int, outputs: int, *, resample: Resample = "same", reads_input: bool = False
) -> Iterator[Layer]:
    """Two 3 x 3 convolutions and the skip; ``side`` is that of the larger map."""
    yield conv(side, inputs, outputs, resample="up" if resample == "up" else "same", reads_input=reads_input)
    yield conv(side, outputs, outputs, resample="down" if resample == "down" else "same")
    if inputs != outputs or resample != "same":
        yield conv(side, inputs, outputs, kernel=1, resample=resample, reads_input=reads_input)


def _down(config: PortraitConfig, inputs: int, widths: list[int]) -> Iterator[Layer]:
    side = config.size
    for level, width in enumerate(widths):
        yield from res_block(side, inputs, width, resample="down", reads_input=level == 0)
        inputs, side = width, side // 2
        if config.attention and side == LARGEST_DOWN_ATTENTION:
            yield attention(side, width)


def generator(config: PortraitConfig) -> Iterator[Layer]:
    """Landmark image to frame, given AdaIN parameters."""
    widths = [config.channels(level) for level in range(config.down_blocks)]
    yield from _down(config, 3 if config.compositing is None else 6, widths)
    inputs, side = widths[-1], config.size >> config.down_blocks
    for _ in range(config.residual_blocks):
        yield from res_block(side, inputs, inputs)
    passed = [*widths[-2::-1], 0]  # channels that a bridge brings beside each block's output
    for width, bridged in zip(reversed(widths), passed, strict=True):
        side *= 2
        yield from res_block(side, inputs, width, resample="up")
        if config.compositing is not None and config.compositing.bridges and bridged:
            yield conv(side, bridged, width, kernel=1)
        inputs = width
        if config.attention and side == LARGEST_UP_ATTENTION:
            yield attention(side, width)
    yield conv(side, inputs, 3 if config.compositing is None else 4)


def embedder(config: PortraitConfig) -> Iterator[Layer]:
    """Frame and landmark image to embedding."""
    widths = [config.channels(level) for level in range(config.embedder_blocks - 1)]
    yield from _down(config, 6, [*widths, config.embedding_dim])


def discriminator(config: PortraitConfig) -> Iterator[Layer]:
    """Frame and landmark image to realism."""
    yield from embedder(config)
    yield from res_block(config.size >> config.embedder_blocks, config.embedding_dim, config.embedding_dim)


def content(config: PortraitConfig) -> Iterator[Layer]:
    """VGG19 and VGGFace, up to the last layer that is compared."""
    for blocks in (VGG19_BLOCKS, VGGFACE_BLOCKS):
        inputs, side = 3, config.size
        for block in blocks:
            for width in block:
                yield conv(side, inputs, width)
                inputs = width
            side //= 2


def meta_learning_step(config: PortraitConfig, *, batch: int, shots: int, discriminator_steps: int = 2) -> Work:
    """A training step without waste: each gradient that is used, once; real frames pass without one where they can.

    Through the frozen networks the fake frames pass forward and back, the real ones forward.
    """
    frozen = total([forward(content(config)), forward(discriminator(config))])
    parts = [
        learning(embedder(config)).times(shots),
        learning(generator(config)),
        frozen.times(3),
        learning(discriminator(config)).times(2 * discriminator_steps),
    ]
    return total(parts).times(batch)
