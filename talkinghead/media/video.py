"""Videos <-> frames, streaming."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream
from jaxtyping import UInt8

from talkinghead.errors import UserError
from talkinghead.media.audio import SoundBlocks, has_sound
from talkinghead.media.containers import (
    Sound,
    SoundMuxer,
    decodable,
    file_url,
    open_media,
    promised_seconds,
    reason,
    say_if_short,
)
from talkinghead.media.display import Colour, Display
from talkinghead.media.files import atomic_path
from talkinghead.provenance.origin import Origin

DEFAULT_FPS = Fraction(25)
"""Taken where a file does not say how fast it is."""

FASTEST_FPS = 480
"""A rate above this is a time base given as a rate, not a camera's."""

SLOWEST_FPS = Fraction(1)
"""Below this nothing moves."""

ROUNDING = Fraction(1, 200)
"""How far rounded time stamps move the average rate of a constant video."""


@dataclass(frozen=True)
class VideoInfo:
    """What a file says about its video."""

    path: Path
    width: int
    """Pixels, as it is shown: upright, of square pixels."""
    height: int
    """Pixels, as it is shown."""
    fps: Fraction
    """Frames a second: the average, where the rate varies."""
    frames: int | None
    """How many frames the header promises; None where it does not say."""
    seconds: float | None
    """How long the header says it lasts; None where it does not say."""
    has_sound: bool


def probe(path: Path) -> VideoInfo:
    """What the file's header and first frame say.

    Raises:
        UserError: if the file is absent, empty, not a video, or holds no frame that can be decoded.
    """
    with open_video(path) as (container, stream):
        first = next(timed_frames(container, stream), None)
        if first is None:
            raise UserError(f"{path}: no frame can be decoded; the file is damaged or cut off.")
        width, height = Display.of(first[1], stream).size(first[1])
        seconds = promised_seconds(stream)
        if seconds is None and container.duration:
            seconds = container.duration / av.time_base
        return VideoInfo(
            path=Path(path),
            width=width,
            height=height,
            fps=stream_fps(stream),
            frames=stream.frames or None,
            seconds=seconds,
            has_sound=has_sound(container, path),
        )


def read_frames(
    path: Path,
    *,
    fps: Fraction | None = None,
    max_side: int | None = None,
    colour: Colour = "rgb",
    repeat: bool = True,
    threads: int = 1,
) -> Iterator[tuple[float, UInt8[np.ndarray, "h w *c"]]]:
    """The frames of a video in order, upright, at a constant rate, one at a time.

    A video whose rate varies is brought to a constant one: each tick shows the frame that a player would show then,
    or the next where that is less than half a frame away. Only frames that are shown are converted.

    Args:
        path: the video.
        fps: frames a second wanted; None for the file's own (average) rate.
        max_side: frames are shrunk so that the longer side is at most this, pixels.
        colour: "rgb" gives (h, w, 3); "grey" the brightness alone, (h, w), which is several times cheaper.
        repeat: show a frame again where the source has no new one for a tick; if false such ticks are left out.
        threads: of the decoder.

    Yields:
        (seconds from the first frame, frame).

    Raises:
        UserError: if the file is unreadable. One that breaks off gives the frames before the break; the log says so.
    """
    with open_video(path, threads=threads) as (container, stream):
        own_step = 1 / stream_fps(stream)
        step = 1 / fps if fps else own_step
        early = min(own_step, step) / 2
        tick = 0
        held: av.VideoFrame | None = None
        display = Display()
        until = Fraction(0)
        for at, frame in timed_frames(container, stream):
            until = at + own_step - early
            if held is None:
                display = Display.of(frame, stream)  # asked of every frame, it would keep each until it is collected
            else:
                end = math.ceil((at - early) / step)
                yield from _show(held, display, range(tick, end), step, colour=colour, max_side=max_side, repeat=repeat)
                tick = max(tick, end)
            held = frame
        if held is None:
            raise UserError(f"{path}: no frame can be decoded; the file is damaged or cut off.")
        end = max(math.ceil(until / step), 1)
        yield from _show(held, display, range(tick, end), step, colour=colour, max_side=max_side, repeat=repeat)
        say_if_short(path, "video", float(until + early), promised_seconds(stream))


def _show(
    frame: av.VideoFrame,
    display: Display,
    ticks: range,
    step: Fraction,
    *,
    colour: Colour,
    max_side: int | None,
    repeat: bool,
) -> Iterator[tuple[float, UInt8[np.ndarray, "h w *c"]]]:
    if not ticks:
        return
    array = display.array(frame, colour=colour, max_side=max_side)
    for tick in ticks if repeat else ticks[:1]:
        yield float(tick * step), array


@contextmanager
def open_video(path: Path, *, threads: int = 1) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first moving video stream (a cover picture is not one).

    Raises:
        UserError: if the file is absent, empty, unreadable or has no video stream.
    """
    container = open_media(path, give="a video file")
    with container:
        streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if not streams:
            raise UserError(f"{path}: there is no video stream in it.")
        stream = streams[0]
        if stream.codec_context is None:
            raise UserError(f"{path}: no decoder for its video is installed.")
        stream.thread_type = "AUTO" if threads > 1 else "NONE"
        stream.thread_count = threads
        yield container, stream


def timed_frames(container: InputContainer, stream: VideoStream) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """Each frame that can be decoded with its time in seconds from the first; times rise strictly.

    Damaged packets are skipped; a file that breaks off ends there.
    """
    own_step = 1 / stream_fps(stream)
    start: Fraction | None = None
    last = -own_step
    for frame in decodable(container, stream):
        if frame.pts is None or frame.time_base is None:
            at = last + own_step
        else:
            absolute = frame.pts * frame.time_base
            start = absolute if start is None else start
            at = absolute - start
        if at > last:
            yield at, frame
            last = at


def stream_fps(stream: VideoStream) -> Fraction:
    """The stream's own rate: the average; the nominal one where that lies so near that rounded time stamps explain it.

    25 frames a second where the file says nothing sane; one where it is slower than that (frames are repeated).
    """
    average, nominal = (
        rate if rate and 0 < rate <= FASTEST_FPS else None for rate in (stream.average_rate, stream.guessed_rate)
    )
    if average and nominal and abs(average - nominal) <= ROUNDING * nominal:
        return max(Fraction(nominal), SLOWEST_FPS)
    return max(Fraction(average or nominal or DEFAULT_FPS), SLOWEST_FPS)


class VideoWriter:
    """An H.264 mp4 written frame by frame, with the sound of another file cut to its length.

    A context manager. The file appears under its name only when the block ends well.
    """

    def __init__(
        self,
        path: Path,
        *,
        fps: Fraction,
        sound: Path | Sound | None = None,
        origin: Origin | None = None,
        overwrite: bool = False,
        crf: int = 18,
    ) -> None:
        """Say what will be written.

        Args:
            path: the mp4.
            fps: frames a second, exact.
            sound: any media file, whose sound is kept, counted from its first video frame; or blocks of sound.
            origin: what the file says of how it was made; None for nothing.
            overwrite: replace `path` if it exists.
            crf: H.264's constant quality: 18 is visually lossless, 51 the worst.

        Raises:
            UserError: if `path` exists and may not be overwritten, or `sound` has no sound.
        """
        self.path = Path(path)
        self.fps = Fraction(fps)
        self.crf = crf
        self.frames = 0
        self._sound: Sound | None = SoundBlocks(sound) if isinstance(sound, Path) else sound
        self._overwrite, self._origin = overwrite, origin
        self._temporary: Path | None = None
        self._stack = ExitStack()
        self._container: OutputContainer | None = None
        self._video: VideoStream | None = None
        self._muxer: SoundMuxer | None = None

    def __enter__(self) -> "VideoWriter":
        self._temporary = self._stack.enter_context(atomic_path(self.path, overwrite=self._overwrite))
        self._container = av.open(file_url(self._temporary), "w", format="mp4", options={"movflags": "+faststart"})
        if self._origin is not None:
            self._container.metadata["comment"] = self._origin.line
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        except BaseException as late:
            self._drop()
            self._stack.__exit__(type(late), late, late.__traceback__)
            raise
        self._drop()
        self._stack.__exit__(kind, error, trace)

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Add a frame. All must have one size; an odd one is made even by repeating its last row or column."""
        container = self._opened()
        if self._video is None:
            self._start(container, *frame.shape[:2])
        video = self._video
        assert video is not None
        height, width = frame.shape[:2]
        if (height + height % 2, width + width % 2) != (video.height, video.width):
            raise ValueError(f"frame {self.frames} is {width}x{height}, the video is {video.width}x{video.height}")
        if height % 2 or width % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", interpolation="AREA")
        picture.pts, picture.time_base = self.frames, 1 / self.fps
        with self._refusals():
            container.mux(video.encode(picture))
            self.frames += 1
            if self._muxer is not None:
                self._muxer.write_until(self.frames / self.fps)

    def _start(self, container: OutputContainer, height: int, width: int) -> None:
        video = container.add_stream("libx264", rate=self.fps, options={"crf": str(self.crf), "preset": "veryfast"})
        video.width, video.height = width + width % 2, height + height % 2
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = 1 / self.fps
        video.codec_context.colorspace = av.video.reformatter.Colorspace.ITU709
        video.codec_context.color_range = av.video.reformatter.ColorRange.MPEG
        self._video = video
        if self._sound is not None:
            self._muxer = SoundMuxer(container, self._sound)

    def _finish(self) -> None:
        if self._video is None:
            raise UserError(f"{self.path}: there is no frame to write.")
        container = self._opened()
        with self._refusals():
            container.mux(self._video.encode(None))
            if self._muxer is not None:
                self._muxer.finish()
            self._close()  # writes the end of the file
        if self._origin is not None and self._temporary is not None:
            self._origin.sign(self._temporary)

    def _close(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def _drop(self) -> None:
        """Close what is not going to be kept."""
        with suppress(av.error.FFmpegError):
            self._close()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Turns what FFmpeg complains of (a full disk, a rate that no mp4 has) into one sentence."""
        try:
            yield
        except av.error.FFmpegError as error:
            about = f"frame {self.frames} at {self.fps} frames a second"
            raise UserError(f"{self.path}: {about} cannot be written ({reason(error)}).") from error

    def _opened(self) -> OutputContainer:
        if self._container is None:
            raise ValueError("a VideoWriter is written to inside its `with` block")
        return self._container
