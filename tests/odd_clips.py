"""Clips with the oddities of real ones."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RED, GREEN, BLUE, WHITE = (200, 40, 40), (40, 200, 40), (40, 40, 200), (230, 230, 230)


def corners(width: int = 64, height: int = 48) -> np.ndarray:
    """A picture with red, green / blue, white quarters: it shows how it is turned."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[: height // 2, : width // 2], frame[: height // 2, width // 2 :] = RED, GREEN
    frame[height // 2 :, : width // 2], frame[height // 2 :, width // 2 :] = BLUE, WHITE
    return frame


def quarters(frame: np.ndarray) -> list[str]:
    """The colours of the quarters, from the top left, row by row."""
    height, width = frame.shape[:2]
    names = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE}
    points = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [min(names, key=lambda name: np.abs(frame[p].astype(int) - names[name]).sum()) for p in points]


def greys(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Frames that say by their brightness which they are: 20, 25, 30 ..."""
    return [np.full((height, width, 3), 20 + 5 * i, np.uint8) for i in range(count)]


def number(frame: np.ndarray) -> int:
    """Which of `greys` a frame is."""
    return round((float(frame.mean()) - 20) / 5)


def write(
    path: Path,
    frames: list[np.ndarray],
    *,
    fps: int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    times_ms: list[int] | None = None,
    faststart: bool = True,
    aspect: Fraction | None = None,
) -> Path:
    """Write frames, at the times given if any, with pixels of an aspect ratio."""
    options = {"movflags": "+faststart"} if faststart and path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps, options={"crf": "8"} if codec == "libx264" else {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        stream.codec_context.time_base = Fraction(1, 1000) if times_ms else Fraction(1, fps)
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = times_ms[i] if times_ms else i
            picture.time_base = stream.codec_context.time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Give an mp4 a display matrix, as a turned telephone does."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    values = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    data[start : start + 36] = struct.pack(">9i", *values)
    path.write_bytes(bytes(data))


def write_hdr(path: Path, light: np.ndarray, transfer: int, *, count: int = 3) -> Path:
    """A 10-bit clip of a picture given as light (1 is white paper, BT.709's colours), in PQ (16) or HLG (18)."""
    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.088, 0.8956]])
    nits = 203 * np.maximum(light @ to_2020.T, 0)
    if transfer == 16:
        power = (nits / 10_000) ** 0.1593017578125
        value = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        shown = nits / 1000
        luminance = np.maximum(shown @ [0.2627, 0.678, 0.0593], 1e-9)[..., None]
        scene = shown * luminance ** (1 / 1.2 - 1)
        high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        value = np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)
    picture = np.rint(np.clip(value, 0, 1) * 65535).astype(np.uint16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": "log-level=none:crf=8"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 9, transfer, 9, 1
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb48le")
            frame = frame.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)
            frame.color_trc, frame.color_primaries, frame.pts = transfer, 9, index
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
