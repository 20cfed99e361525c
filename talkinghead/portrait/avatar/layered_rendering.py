"""Frames at the photos' own size: a small network corrects what the moved photo gets wrong.

The network paints at its own size and says where the photo stays; there the photo is shown as sharp as it is. Nothing
is painted where nothing may move, so that a head can be put back into its picture.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8
from torch import Tensor

from talkinghead.face.draw import draw_landmarks
from talkinghead.media.image import frame_to_tensor
from talkinghead.portrait.networks.compositing import CompositingGenerator
from talkinghead.portrait.warping.layered_photo import Composite, over
from talkinghead.portrait.warping.layered_sources import LayeredSources
from talkinghead.rig.fitting.solver import State

PAINTED_WHERE_MOVED = 3.0
"""The network paints fully where a third of the head's movement is left."""


Network = Callable[
    [Float[Tensor, "b 3 n n"], Float[Tensor, "b 6 n n"]], tuple[Float[Tensor, "b 3 n n"], Float[Tensor, "b 1 n n"]]
]
"""Landmark images and warped sources, -1..1, to raw frames, -1..1, and to where the sources stay, 0..1: in single
precision, on the CPU, whatever computes them."""


@dataclass(frozen=True)
class TorchNetwork:
    """A person's network in PyTorch.

    Args:
        generator: with its kernels frozen.
        adain_params: of the person.
        dtype: of the arithmetic.
    """

    generator: CompositingGenerator
    adain_params: Float[Tensor, "1 n"]
    dtype: torch.dtype

    def __call__(self, drawn: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
        seen = (one.to(self.adain_params.device, self.dtype) for one in (drawn, warped))
        raw, stays = self.generator.raw_and_mask(next(seen), self.adain_params.expand(len(drawn), -1), next(seen))
        return raw.float().cpu(), stays.float().cpu()


@dataclass(frozen=True)
class Painter:
    """A person's network, ready to paint.

    Args:
        network: what computes.
        size: of its pictures, pixels.
    """

    network: Network
    size: int

    @torch.inference_mode()
    def paint(
        self, landmarks: Float[np.ndarray, "b 68 2"], sources: UInt8[np.ndarray, "b n n 6"]
    ) -> tuple[UInt8[np.ndarray, "b n n 3"], Float32[np.ndarray, "b n n"]]:
        """Raw frames, and how far each of their pixels covers the warped source."""
        pictures = np.stack([draw_landmarks(one, self.size) for one in landmarks])
        raw, stays = self.network(frame_to_tensor(pictures), frame_to_tensor(sources))
        pixels = (raw + 1).mul_(127.5).round_().to(torch.uint8).permute(0, 2, 3, 1)
        return pixels.numpy(), (1 - stays)[:, 0].numpy()


def render_layers(
    painter: Painter,
    sources: LayeredSources,
    landmarks: Float[np.ndarray, "b 68 2"],
    states: State,
    *,
    background: int | None = None,
    among: Sequence[Int[np.ndarray, " n"]] | None = None,
) -> Iterator[Composite]:
    """Frames as large as the photos; their masks are what the network saw.

    Args:
        painter: the person's network.
        sources: the person's photos.
        landmarks: of the person, fractions of the side.
        states: pose and expression in each frame.
        background, among: as for `LayeredSources.to`, for each frame.
    """
    side = max(len(photo) for photo in sources.photos)
    moved = []
    for index, target in enumerate(landmarks):
        usable = None if among is None else among[index]
        state = states.part(slice(index, index + 1))
        moved.append(sources.to(target, state, side, background=background, among=usable))
    raw, covers = painter.paint(landmarks, np.stack([one.sized(painter.size) for one in moved]))
    for one, painted, cover in zip(moved, raw, covers, strict=True):
        yield corrected(one, painted, cover)


def corrected(moved: Composite, painted: UInt8[np.ndarray, "n n 3"], covers: Float32[np.ndarray, "n n"]) -> Composite:
    """A moved photo with what was painted over it; it is to the bit the photo where nothing may move.

    Args:
        moved: at its own size.
        painted: raw frame of the network.
        covers: how far it covers the photo, 0..1.
    """
    size = moved.frame.shape[1::-1]
    enlarged = cv2.resize(painted, size, interpolation=cv2.INTER_CUBIC)
    may = cv2.convertScaleAbs(moved.moved, alpha=PAINTED_WHERE_MOVED).astype(np.float32) / 255
    weight = cv2.resize(covers, size, interpolation=cv2.INTER_LINEAR) * may
    return Composite(over(enlarged, moved.frame, weight), moved.masks, moved.moved)
