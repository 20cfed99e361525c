"""Pictures <-> arrays, and sheets of pictures."""

import io
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from jaxtyping import UInt8
from pi_heif import register_heif_opener
from PIL import Image, ImageOps

from talkinghead.errors import UserError
from talkinghead.media.display import HLG, PQ, to_sdr
from talkinghead.media.files import atomic_path, refuse_unreadable

if TYPE_CHECKING:
    import torch

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif", ".mpo")
    + (".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".ppm", ".tga")
)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "AVIF", "HEIF", "JPEG2000", "PPM", "TGA")
"""Pillow's readers of photos (JPEG's reads MPO too). Others of its own start programs (EPS) or hold no photo."""

MOST_PIXELS = 50_000_000
"""More are never handed on; a head in them is larger than the networks look at."""

PIXELS_A_BYTE = 8
"""A file of more pixels than these for each byte holds no photo."""

HEADER_BYTES = 65_536
"""Where a file says how its colours are meant."""

register_heif_opener()
Image.init()

WIDE_MODES = ("I;16", "I;16B", "I;16L", "I", "F")
"""Pillow's modes with more than 8 bits, which it cuts off instead of scaling."""

FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.4
LABEL_HEIGHT = 18
GAP = 2


def read_image(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """A picture file as an upright RGB array: EXIF turned, 16 bit brought to 8, transparency laid over white.

    HLG and PQ are brought to ordinary screens. Of an animation, the first frame is read; a very large picture at a half
    or a quarter of its size.

    Raises:
        UserError: if the file is absent, not a picture that can be read, or larger than anything a camera makes.
    """
    path = Path(path)
    refuse_unreadable(path, give="a picture")
    try:
        with _any_size(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, on damage that it passes over
            with Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN]) as opened:
                _reduce_decoding(opened, path)
                opened.load()
                transfer = _transfer(path, opened.info)
                ImageOps.exif_transpose(opened, in_place=True)
                factor = _factor(opened)
                return _to_rgb(opened.reduce(factor) if factor > 1 else opened, transfer)
    except UserError:
        raise
    except Exception as error:  # a damaged picture may raise anything
        text = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not a picture that can be read ({text}).") from error


@contextmanager
def _any_size() -> Iterator[None]:
    """Without Pillow's limit, which refuses what telephones take: `_reduce_decoding` has its own."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _reduce_decoding(opened: Image.Image, path: Path) -> None:
    """Make a large JPEG decode at a half, a quarter or an eighth; of other formats refuse those that would fill the
    memory from a small file."""
    width, height = opened.size
    parts = 2 ** math.ceil(math.log2(_factor(opened)))
    if parts > 1:
        opened.draft("RGB", (width // parts, height // parts))
    pixels = opened.size[0] * opened.size[1]
    if pixels > min(MOST_PIXELS + PIXELS_A_BYTE * path.stat().st_size, 6 * MOST_PIXELS):
        raise UserError(
            f"{path}: the picture has {width} x {height} pixels in a file of {path.stat().st_size / 1e6:.1f} MB, too "
            f"many to be read; scale it to {MOST_PIXELS / 1e6:.0f} megapixels or fewer."
        )


def _factor(picture: Image.Image) -> int:
    """By how much a picture is shrunk."""
    return max(1, math.ceil(math.sqrt(picture.width * picture.height / MOST_PIXELS)))


def _to_rgb(picture: Image.Image, transfer: int) -> UInt8[np.ndarray, "h w 3"]:
    if picture.mode in WIDE_MODES:
        return cv2.cvtColor(_to_8_bits(np.asarray(picture, np.float64)), cv2.COLOR_GRAY2RGB)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        above = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", above.size, (255, 255, 255, 255)), above)
    array = np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))
    return to_sdr(array, transfer) if transfer in (PQ, HLG) else array


def _transfer(path: Path, info: dict[Any, Any]) -> int:
    """The curve that a picture's values follow, as ITU-T H.273 numbers it; 0 where the file does not say.

    HEIC and AVIF say it in a `colr` box, PNG in a `cICP` chunk, others in a tag of the ICC profile.
    """
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    profile = info.get("icc_profile") or b""
    for place, mark, offset in ((head, b"colrnclx", 3), (head, b"cICP", 1), (profile, b"cicp\0\0\0\0", 1)):
        at = place.find(mark)
        if 0 <= at < len(place) - len(mark) - offset:
            return place[at + len(mark) + offset]
    return 0


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    top = 1.0 if values.max(initial=0) <= 1 else 255.0 if values.max() <= 255 else 65535.0
    return np.clip(np.round(values * (255 / top)), 0, 255).astype(np.uint8)


def write_image(path: Path, picture: UInt8[np.ndarray, "h w *c"], *, overwrite: bool = False) -> None:
    """Write an RGB (or grey) picture; the suffix says how (.png, .jpg, .webp ...).

    Raises:
        UserError: if the file exists and may not be overwritten, or the suffix names no picture format.
    """
    path = Path(path)
    with atomic_path(path, overwrite=overwrite) as temporary:
        try:
            Image.fromarray(picture).save(temporary, quality=95)  # PNG has no quality and ignores it
        except (ValueError, OSError) as error:
            raise UserError(f"{path}: cannot be written as a picture ({error}); use .png or .jpg.") from error


def encode_jpeg(frame: UInt8[np.ndarray, "h w 3"], quality: int = 95) -> bytes:
    """An RGB frame as JPEG bytes."""
    ok, encoded = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"a frame of shape {frame.shape} cannot be encoded as JPEG")
    return encoded.tobytes()


def decode_jpeg(encoded: bytes | memoryview) -> UInt8[np.ndarray, "h w 3"]:
    """JPEG bytes as an RGB frame."""
    frame = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    if frame is None:
        raise ValueError(f"{len(encoded)} bytes are not a JPEG")
    return frame


def decode_photo(encoded: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """JPEG bytes of a file that others made as an RGB picture.

    Raises:
        ValueError: if they are none, or a larger picture than any photo.
    """
    try:
        width, height = Image.open(io.BytesIO(encoded), formats=["JPEG"]).size
        if width * height > MOST_PIXELS:
            raise ValueError(f"{width} x {height} pixels are no photo")
        return decode_jpeg(encoded)
    except (OSError, SyntaxError, cv2.error, Image.DecompressionBombError) as error:
        raise ValueError(f"{len(encoded)} bytes are not a JPEG") from error


def resize(frame: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """A frame brought to a square size; averaged where it shrinks."""
    if frame.shape[0] == size:
        return frame
    method = cv2.INTER_AREA if size < frame.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(frame, (size, size), interpolation=method)


def frame_to_tensor(frame: UInt8[np.ndarray, "*n h w c"]) -> "torch.Tensor":
    """Frames on disk (0..255, h w c) as the networks take them: float -1..1, (c, h, w), channels last in memory."""
    import torch

    return pixels_to_floats(torch.from_numpy(np.ascontiguousarray(frame)))


def pixels_to_floats(pixels: "torch.Tensor") -> "torch.Tensor":
    """The same for uint8 frames (*n, h, w, c) that lie in a tensor, on its device."""
    return pixels.movedim(-1, -3).float().div_(127.5).sub_(1)


def sheet(
    rows: Sequence[Sequence[UInt8[np.ndarray, "_ _ 3"]]],
    *,
    labels: Sequence[str] | None = None,
    column_labels: Sequence[str] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """A grid of pictures, with a line of text above each row and each column if wanted.

    Rows may differ in length and pictures in size; each column is as wide as its widest picture.
    """
    columns = max((len(row) for row in rows), default=0)
    widths = [max(row[j].shape[1] for row in rows if j < len(row)) for j in range(columns)]
    width = max(sum(widths) + GAP * max(columns - 1, 0), 1)
    bands = []
    if column_labels is not None:
        band = np.full((LABEL_HEIGHT, width, 3), 255, np.uint8)
        for j, text in enumerate(column_labels[:columns]):
            _write_text(band, text, sum(widths[:j]) + GAP * j, room=widths[j])
        bands.append(band)
    for i, row in enumerate(rows):
        if labels is not None:
            bands.append(text_band(labels[i], width))
        band = np.full((max((cell.shape[0] for cell in row), default=0) + GAP, width, 3), 255, np.uint8)
        for j, cell in enumerate(row):
            left = sum(widths[:j]) + GAP * j
            band[: cell.shape[0], left : left + cell.shape[1]] = cell
        bands.append(band)
    return np.concatenate(bands) if bands else np.full((1, 1, 3), 255, np.uint8)


def text_band(text: str, width: int) -> UInt8[np.ndarray, "h w 3"]:
    """A line of text on white, cut to the width."""
    band = np.full((LABEL_HEIGHT, width, 3), 255, np.uint8)
    _write_text(band, text, 0, room=width)
    return band


def _write_text(band: UInt8[np.ndarray, "h w 3"], text: str, left: int, *, room: int) -> None:
    """Draw text from `left`, cut to `room` pixels. OpenCV's fonts know ASCII alone."""
    text = text.encode("ascii", "replace").decode()
    while text and cv2.getTextSize(text, FONT, FONT_SCALE, 1)[0][0] > room - 4:
        text = text[:-1]
    place = (left + 2, LABEL_HEIGHT - 5)
    cv2.putText(band, text, place, FONT, FONT_SCALE, (0, 0, 0), thickness=1, lineType=cv2.LINE_AA)
