"""Sound <-> arrays, streaming."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float

from talkinghead.errors import UserError
from talkinghead.media.decode import decodable

MOST_SECONDS = 24 * 3600.0
"""Silence longer than this before the sound begins is a broken time stamp."""


def read_sound(path: Path, *, sample_rate: int | None = None) -> tuple[Float[np.ndarray, " s"], int]:
    """The whole sound of a file as one channel, -1..1, and its sample rate.

    Args:
        path: any media file with sound.
        sample_rate: Hz wanted; None for the file's own.

    Raises:
        UserError: if there is no sound that can be read.
    """
    blocks = SoundBlocks(path, sample_rate=sample_rate, channels=1)
    parts = list(blocks)
    if not parts:
        raise UserError(f"{path}: its sound cannot be decoded; the file is damaged or cut off.")
    return np.concatenate(parts, axis=1)[0], blocks.sample_rate


class SoundBlocks:
    """The sound of a file, block by block, counted from the first frame of its video (or from its own start).

    Sound before that is dropped; silence fills the time until it begins. To be iterated once.
    """

    def __init__(self, path: Path, *, sample_rate: int | None = None, channels: int | None = None) -> None:
        """Open the file.

        Args:
            path: any media file with sound.
            sample_rate: Hz wanted; None for the file's own.
            channels: 1 or 2; None for one where the file has one, otherwise two.

        Raises:
            UserError: if the file cannot be opened or has no sound.
        """
        self.path = Path(path)
        try:
            with av.open(str(self.path), metadata_errors="ignore") as container:
                if not container.streams.audio:
                    raise UserError(f"{self.path}: there is no sound in it.")
                stream = container.streams.audio[0]
                self.sample_rate = sample_rate or stream.rate or 44100
                self.channels = channels or min(max(stream.channels, 1), 2)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise UserError(f"{self.path}: not a media file that can be opened ({error}).") from error

    def __iter__(self) -> Iterator[Float[np.ndarray, "c s"]]:
        layout = "mono" if self.channels == 1 else "stereo"
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=self.sample_rate)
        with av.open(str(self.path), metadata_errors="ignore") as container:
            stream = container.streams.audio[0]
            begin = _video_start(container)
            position: int | None = None
            for frame in decodable(container, stream):
                if position is None:
                    at = 0.0 if frame.time is None or begin is None else frame.time - begin
                    position = round(at * self.sample_rate)
                    if 0 < position < MOST_SECONDS * self.sample_rate:
                        yield np.zeros((self.channels, position), np.float32)
                for part in resampler.resample(frame):
                    position, block = _from(part.to_ndarray(), position)
                    if block.shape[1]:
                        yield block
            for part in resampler.resample(None) if position is not None else ():
                position, block = _from(part.to_ndarray(), position or 0)
                if block.shape[1]:
                    yield block


def _from(block: Float[np.ndarray, "c s"], position: int) -> tuple[int, Float[np.ndarray, "c _"]]:
    """The part of a block at or after time 0, and where the next block begins (samples)."""
    return position + block.shape[1], block[:, max(0, -position) :]


def _video_start(container: av.container.InputContainer) -> float | None:
    """Time stamp, seconds, of the first video frame; of the first sound where there is no moving video."""
    for stream in container.streams.video:
        attached = stream.disposition & av.stream.Disposition.attached_pic
        if not attached and stream.start_time is not None and stream.time_base is not None:
            return float(stream.start_time * stream.time_base)
    return None
