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
) -> Path:
    """Write frames, at the times given if any."""
    options = {"movflags": "+faststart"} if faststart and path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=fps, options={"crf": "8"} if codec == "libx264" else {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
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
