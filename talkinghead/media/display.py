"""A stored picture -> as it is meant to be seen: upright, in its proportions, of the usual dynamic range.

References:
    ITU-R BT.2100: the curves of HLG and PQ, and how bright a screen of 1000 cd/m2 shows HLG.
    ITU-R BT.2408: white paper lies at 203 cd/m2. BT.2087: from BT.2020's colours to BT.709's.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, Literal, cast

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from jaxtyping import Float32, UInt8, UInt16

Colour = Literal["rgb", "grey"]
"""What a frame is read as: (h, w, 3), or the brightness alone, (h, w)."""

PIXEL_FORMATS = {"rgb": "rgb24", "grey": "gray"}

PQ, HLG = 16, 18
"""Transfer characteristics as ITU-T H.273 numbers them, in video, HEIC, AVIF, PNG and ICC profiles."""

WHITE = 203.0
"""cd/m2 that become full white."""

SCREEN = 1000.0
"""cd/m2 of the screen that HLG is mastered for."""

KNEE = 0.9
"""Light above this share of white is bent so that what is brighter still keeps shape."""

BEND = 54.0
"""How fast, so that the curve has no corner at the knee."""

WIDEST_PIXEL = 4
"""Pixels further from square than this are a damaged header's."""

_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
_LUMINANCE = np.array([0.2627, 0.678, 0.0593], np.float32)


@dataclass(frozen=True)
class Display:
    """How the frames of a stream are to be shown."""

    turns: int = 0
    """Quarters, counterclockwise, after mirroring."""
    mirrored: bool = False
    pixel_aspect: Fraction = Fraction(1)
    """Width of a stored pixel over its height."""
    transfer: int = 0
    """PQ or HLG; anything else is shown as it is."""

    @classmethod
    def of(cls, frame: av.VideoFrame, stream: Any) -> "Display":
        """What the first frame and its stream say."""
        aspect = stream.sample_aspect_ratio or Fraction(1)
        if not Fraction(1, WIDEST_PIXEL) <= aspect <= WIDEST_PIXEL:
            aspect = Fraction(1)
        transfer = getattr(frame, "color_trc", stream.codec_context.color_trc)  # PyAV's older frames do not say it
        return cls(*orientation(frame), Fraction(aspect), int(transfer))

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Width and height of a frame when it is shown, pixels: the short side of a pixel is what grows."""
        width, height = self._stretched(frame)
        return (height, width) if self.turns % 2 else (width, height)

    def _stretched(self, frame: av.VideoFrame) -> tuple[int, int]:
        if self.pixel_aspect >= 1:
            return round(frame.width * self.pixel_aspect), frame.height
        return frame.width, round(frame.height / self.pixel_aspect)

    def array(
        self, frame: av.VideoFrame, *, colour: Colour = "rgb", max_side: int | None = None
    ) -> UInt8[np.ndarray, "h w *c"]:
        """A decoded frame as an array, RGB (h, w, 3) or grey (h, w), shrunk so that no side is above `max_side`."""
        width, height = self._stretched(frame)
        if max_side and max(width, height) > max_side:
            scale = max_side / max(width, height)
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
        high = self.transfer in (PQ, HLG)
        array = frame.to_ndarray(
            format="rgb48le" if high else PIXEL_FORMATS[colour],
            width=width,
            height=height,
            interpolation="AREA",
            threads=1,
        )
        if high:
            array = to_sdr(array, self.transfer)
            array = cv2.cvtColor(array, cv2.COLOR_RGB2GRAY) if colour == "grey" else array
        if self.mirrored:
            array = array[:, ::-1]
        return np.ascontiguousarray(np.rot90(array, self.turns))


def orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """How a stored frame is brought upright: mirrored first if need be, then turned counterclockwise by quarters."""
    stored = frame.side_data.get("DISPLAYMATRIX")
    if stored is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(bytes(cast(SideData, stored)), np.int32)[:5].astype(np.float64)
    mirrored = bool(a * d - b * c < 0)
    if mirrored:
        a, b = -a, -b
    return round(-np.degrees(np.arctan2(b, a)) / 90) % 4, mirrored


def to_sdr(
    picture: UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"], transfer: int
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture in BT.2020's colours and PQ or HLG as RGB for ordinary screens: white paper becomes white.

    Args:
        picture: RGB, 8 bits or 16.
        transfer: `PQ` or `HLG`.
    """
    light = _light(transfer)[picture if picture.dtype == np.uint16 else picture.astype(np.uint16) * 257]
    if transfer == HLG:  # the screen's own curve: BT.2100's OOTF
        light *= SCREEN / WHITE * np.maximum(cv2.transform(light, _LUMINANCE[None]), 1e-6)[..., None] ** np.float32(0.2)
    light = np.maximum(cv2.transform(light, _TO_709), 0)
    brightest = light.max(-1)
    over = brightest > KNEE
    light[over] *= (_bent(brightest[over]) / brightest[over])[:, None]
    return _encoded()[np.rint(np.minimum(light, 1) * (len(_encoded()) - 1)).astype(np.uint16)]


def _bent(light: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, " n"]:
    """Light above the knee, bent to reach 1 where the screen ends."""
    above = np.minimum(light, SCREEN / WHITE) - KNEE
    share = np.log1p(BEND * above) / np.log1p(BEND * (SCREEN / WHITE - KNEE))
    return (KNEE + (1 - KNEE) * share).astype(np.float32)


@cache
def _light(transfer: int) -> Float32[np.ndarray, "65536"]:
    """Light for each 16-bit value: PQ's over `WHITE`, HLG's of the scene."""
    value = np.linspace(0, 1, 2**16)
    if transfer == PQ:
        root = value ** (1 / 78.84375)
        light = (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
        return (light * 10_000 / WHITE).astype(np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12).astype(np.float32)


@cache
def _encoded() -> UInt8[np.ndarray, "16384"]:
    """sRGB's 8-bit value for light from 0 to 1."""
    light = np.linspace(0, 1, 2**14)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(255 * curve).astype(np.uint8)
