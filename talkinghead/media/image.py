"""Pictures <-> arrays, and sheets of pictures."""

import cv2
import numpy as np
from jaxtyping import UInt8


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
