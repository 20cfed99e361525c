"""Media files opened as files and nothing else: packets -> frames, past damage; sound beside the frames of a clip."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.container import InputContainer, OutputContainer
from jaxtyping import Float

from talkinghead.errors import UserError
from talkinghead.media.files import refuse_unreadable

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf,flv,live_flv,swf,ogg,gif,mxf,nut,rm,dv,ivf,"
    "h264,hevc,vvc,obu,av1,m4v,h263,yuv4mpegpipe,mjpeg,wtv,gxf,nsv,apng,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,"
    "wav,w64,aiff,au,caf,mp3,aac,ac3,eac3,flac,amr,amrnb,amrwb,wv,ape,tta,tak,voc,dts,truehd,mp2,opus,spx,gsm,loas,sds"
)
"""FFmpeg's demuxers of files that hold what they show. Its others are lists of further files and addresses (HLS, DASH,
SDP, concat), which a text under a video's name would make it open."""

SHORT_BY = 0.02
"""A file whose frames end this much of its length before the end that its header names is cut off."""

SHORT_BY_SECONDS = 0.2
"""And this much, seconds: headers count a frame or an edit more or less."""

_log = logging.getLogger(__name__)


def open_media(path: Path, *, give: str = "a video or a sound file") -> InputContainer:
    """A media file, opened by its path alone: a name such as `12:30.mp4` is no address.

    Raises:
        UserError: if it is absent, empty, no file, or no media file.
    """
    path = Path(path)
    refuse_unreadable(path, give=give)
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
    try:
        return av.open(file_url(path), metadata_errors="ignore", options=options)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a media file that can be opened ({reason(error)}).") from error


def file_url(path: Path) -> str:
    """A path as FFmpeg takes for a file, whatever stands in its name."""
    return f"file:{Path(path).absolute()}"


def reason(error: Exception) -> str:
    """What FFmpeg complains of, without the path."""
    return (getattr(error, "strerror", None) or str(error)).strip().rstrip(".") or type(error).__name__


def decodable(container: InputContainer, stream: Any) -> Iterator[Any]:
    """The frames of a stream that can be decoded: damaged packets are skipped, a file that breaks off ends there."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.error.FFmpegError, OSError):
            return  # the file breaks off here
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            continue


def promised_seconds(stream: Any) -> float | None:
    """How long the file's header says a stream lasts; None where it does not say."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    try:  # Matroska keeps it among the words
        hours, minutes, seconds = stream.metadata.get("DURATION", "").split(":")
        return (int(hours) * 60 + int(minutes)) * 60 + float(seconds)
    except ValueError:
        return None


def say_if_short(path: Path, what: str, read: float, promised: float | None) -> None:
    """A line in the log, once for each file, where what could be read ends before what the header promised."""
    if promised is not None and promised - read > max(SHORT_BY_SECONDS, SHORT_BY * promised):
        say_once(f"{path}: the file is cut off or damaged: its {what} can be read for {read:.1f} of {promised:.1f} s")


@lru_cache(maxsize=1024)
def say_once(text: str) -> None:
    """Warn, but not again of the same: a file is read several times."""
    _log.warning("%s", text)


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
