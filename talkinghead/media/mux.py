"""Sound beside the frames of a clip."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol, runtime_checkable

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.container import OutputContainer
from jaxtyping import Float


@runtime_checkable
class Sound(Protocol):
    """What a clip's sound can be taken from, block by block; a block may come late, after the iteration paused."""

    sample_rate: int
    """Hz."""
    channels: int
    """1 or 2."""

    def __iter__(self) -> Iterator[Float[np.ndarray, "c s"]]: ...


AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Hz: what an mp4's sound may have."""


def aac_rate(rate: int) -> int:
    """The rate that loses nothing of sound at `rate`; the highest there is where there is none."""
    return next((known for known in AAC_RATES if known >= rate), AAC_RATES[-1])


class SoundMuxer:
    """Puts sound beside the frames, no further than they have come; at another rate where AAC has not its own."""

    def __init__(self, container: OutputContainer, sound: Sound) -> None:
        self.container = container
        self.rate = sound.sample_rate
        self.layout = "mono" if sound.channels == 1 else "stereo"
        rate = aac_rate(self.rate)
        self.stream = container.add_stream("aac", rate=rate, layout=self.layout)
        self.resampler = None if rate == self.rate else av.AudioResampler(format="fltp", layout=self.layout, rate=rate)
        self.blocks: Iterator[Float[np.ndarray, "c s"]] = iter(sound)
        self.fifo = AudioFifo()
        self.rest: Float[np.ndarray, "c s"] | None = None
        self.samples = 0

    def write_until(self, seconds: Fraction) -> None:
        """Mux sound up to a time."""
        wanted = round(seconds * self.rate)
        while self.samples < wanted:
            block = self.rest if self.rest is not None else next(self.blocks, None)
            if block is None:
                return
            now, later = np.split(block, [wanted - self.samples], axis=1)
            self.rest = later if later.shape[1] else None
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(now), format="fltp", layout=self.layout)
            frame.sample_rate, frame.pts, frame.time_base = self.rate, self.samples, Fraction(1, self.rate)
            self.samples += now.shape[1]
            self._encode(frame)

    def _encode(self, frame: av.AudioFrame | None) -> None:
        """Mux as much as fills AAC's blocks; None brings what the resampler still holds."""
        for part in [frame] if self.resampler is None else self.resampler.resample(frame):
            if part is not None:
                self.fifo.write(part)
        for packed in self.fifo.read_many(self.stream.codec_context.frame_size or 1024):
            self.container.mux(self.stream.encode(packed))

    def finish(self) -> None:
        """Mux what is left."""
        self._encode(None)
        if (last := self.fifo.read(0, partial=True)) is not None:
            self.container.mux(self.stream.encode(last))
        self.container.mux(self.stream.encode(None))
