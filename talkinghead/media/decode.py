"""Media files opened as files and nothing else; packets -> frames, past damage."""

import logging
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

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
