"""The whole picture that a head was cut from, and the head put back into it."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from talkinghead.face.crop import CropWindow

LARGEST_PICTURE = 3840
"""Pixels of its longer side, at most."""


@dataclass(frozen=True)
class WholePicture:
    """A picture, and where in it the head's crop lies."""

    pixels: UInt8[np.ndarray, "h w 3"]
    window: CropWindow
    photo: int = 0
    """Which of a person's photos it is."""

    def fitted(self, most: int = LARGEST_PICTURE) -> "WholePicture":
        """The same, shrunk where its longer side has more pixels."""
        height, width = self.pixels.shape[:2]
        scale = most / max(height, width)
        if scale >= 1:
            return self
        size = max(1, round(width * scale)), max(1, round(height * scale))
        x, y = ((middle + 0.5) * scale - 0.5 for middle in (self.window.x, self.window.y))
        window = whole_window(CropWindow(x, y, self.window.side * scale))
        return replace(self, pixels=cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA), window=window)

    def with_head(
        self, head: UInt8[np.ndarray, "s s 3"], touched: Float32[np.ndarray, "s s"]
    ) -> UInt8[np.ndarray, "h w 3"]:
        """The picture with the head in its place; where `touched` is 0 it stays as it is, bit for bit.

        Args:
            head: the crop, as rendered.
            touched: how far each of its pixels replaces the picture's, 0..1.
        """
        whole = self.pixels.copy()
        rows, columns, cut = self._place(len(head))
        part = np.ascontiguousarray(whole[rows, columns])
        if not part.size:
            return whole
        head, touched = self._sized(head)[cut], self._sized(touched)[cut]
        weight = np.ascontiguousarray(touched)
        mixed = cv2.blendLinear(np.ascontiguousarray(head), part, weight, 1 - weight)
        whole[rows, columns] = np.where((weight > 0)[..., None], mixed, part)
        return whole

    def _place(self, side: int) -> tuple[slice, slice, tuple[slice, slice]]:
        """Rows and columns of the picture that the crop covers, and which of the crop's those are."""
        height, width = self.pixels.shape[:2]
        left, top = (round(middle + 0.5 - self.window.side / 2) for middle in (self.window.x, self.window.y))
        size = round(self.window.side)
        rows, columns = slice(max(top, 0), min(top + size, height)), slice(max(left, 0), min(left + size, width))
        cut = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        return rows, columns, cut

    def _sized(self, picture: np.ndarray) -> np.ndarray:
        size = round(self.window.side)
        if len(picture) == size:
            return picture
        between = cv2.INTER_AREA if size < len(picture) else cv2.INTER_CUBIC
        if picture.dtype == np.float32:
            between = cv2.INTER_LINEAR
        return cv2.resize(picture, (size, size), interpolation=between)


def whole_window(window: CropWindow) -> CropWindow:
    """A window moved and sized by less than a pixel so that it holds whole pixels: a crop of its own size is exact."""
    side = max(round(window.side), 1)
    x, y = (round(middle + 0.5 - side / 2) + side / 2 - 0.5 for middle in (window.x, window.y))
    return CropWindow(x, y, side)
