"""Sound <-> arrays, streaming."""

from collections.abc import Iterator
from io import BytesIO
from itertools import chain
from pathlib import Path

import av
import numpy as np
import soundfile
from jaxtyping import Float, Int16

from talkinghead.errors import UserError
from talkinghead.media.containers import decodable, open_media, promised_seconds, reason, say_if_short, say_once

MOST_SECONDS = 3600.0
"""Silence longer than this before the sound begins is a broken time stamp."""

RATES = (1000, 768_000)
"""Hz: what a microphone may have recorded at."""

LOUDEST = 64.0
"""Samples beyond this are no sound in -1..1: whole numbers stored as fractions, or damage."""

SILENT = 1e-4
"""Sound that never gets louder is silence: -80 dB."""

CANCELLED = 0.1
"""Channels whose mix has less than this of the louder one's level (-20 dB) undo each other."""


def read_sound(path: Path, *, sample_rate: int | None = None) -> tuple[Float[np.ndarray, " s"], int]:
    """The whole sound of a file as one channel, -1..1, and its sample rate.

    Channels are mixed; where they undo each other (one is the other turned over), the louder one is taken. That, and
    silence, is said in the log.

    Args:
        path: any media file with sound.
        sample_rate: Hz wanted; None for the file's own.

    Raises:
        UserError: if there is no sound that can be read, or it holds what is no sample.
    """
    mono = SoundBlocks(path, sample_rate=sample_rate, channels=1, strict=True)
    waveform = _whole(mono)[0]
    if mono.stored_channels > 1:
        both = _whole(SoundBlocks(path, sample_rate=sample_rate, channels=2, strict=True))
        levels = np.sqrt(np.square(both).mean(1))
        loudest = int(levels.argmax())
        if levels[loudest] > SILENT and np.sqrt(np.square(waveform).mean()) < CANCELLED * levels[loudest]:
            say_once(f"{path}: its two channels undo each other when mixed; the {('left', 'right')[loudest]} is taken")
            waveform = both[loudest]
    if np.abs(waveform).max() < SILENT:
        say_once(f"{path}: its sound is silence, for all of its {len(waveform) / mono.sample_rate:.1f} s")
    return waveform, mono.sample_rate


def _whole(blocks: "SoundBlocks") -> Float[np.ndarray, "c s"]:
    parts = list(blocks)
    if not parts:
        raise UserError(f"{blocks.path}: its sound cannot be decoded; the file is damaged or cut off.")
    return np.concatenate(parts, axis=1)


def write_sound(path: Path, samples: Float[np.ndarray, " s"] | Int16[np.ndarray, " s"], sample_rate: int) -> None:
    """Write sound as the suffix says; .wav and .flac with 16 bits.

    It is encoded in memory: libsndfile tells nobody when a disk is full as it closes a file.
    """
    encoded, kind = BytesIO(), path.suffix[1:].upper()
    subtype = "PCM_16" if kind in ("WAV", "FLAC") else None
    soundfile.write(encoded, samples, sample_rate, format=kind, subtype=subtype)
    path.write_bytes(encoded.getbuffer())


class SoundBlocks:
    """The sound of a file, block by block, counted from the first frame of its video (or from its own start).

    Sound before that is dropped; silence fills the time until it begins. To be iterated once.
    """

    def __init__(
        self, path: Path, *, sample_rate: int | None = None, channels: int | None = None, strict: bool = False
    ) -> None:
        """Open the file.

        Args:
            path: any media file with sound.
            sample_rate: Hz wanted; None for the file's own.
            channels: 1 or 2; None for one where the file has one, otherwise two.
            strict: refuse samples that are no sound (NaN, infinite, beyond `LOUDEST`); else they are silenced, and that
                is said: a clip is not given up for them.

        Raises:
            UserError: if the file cannot be opened or has no sound that can be decoded.
        """
        self.path, self.strict = Path(path), strict
        with open_media(self.path) as container:
            problem = _problem(container)
            if problem:
                raise UserError(f"{self.path}: {problem}.")
            stream = container.streams.audio[0]
            self.stored_channels = stream.channels
            self.sample_rate = sample_rate or stream.rate
            self.channels = channels or min(max(stream.channels, 1), 2)

    def __iter__(self) -> Iterator[Float[np.ndarray, "c s"]]:
        with open_media(self.path) as container:
            stream = container.streams.audio[0]
            frames = decodable(container, stream)
            first = next(frames, None)
            if first is None:
                return
            begin = _video_start(container)
            at = 0.0 if first.time is None or begin is None else first.time - begin
            position = round(at * self.sample_rate)
            yield from self._silence(position)
            read = 0
            for block in self._resampled(chain((first,), frames)):
                kept = block[:, max(0, -position) :]
                position += block.shape[1]
                read += block.shape[1]
                if kept.shape[1]:
                    yield kept
            say_if_short(self.path, "sound", read / self.sample_rate, promised_seconds(stream))

    def _resampled(self, frames: Iterator[av.AudioFrame]) -> Iterator[Float[np.ndarray, "c s"]]:
        """Blocks at the rate and with the channels wanted."""
        layout = "mono" if self.channels == 1 else "stereo"
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=self.sample_rate)
        try:
            for frame in chain(frames, (None,)):
                for part in resampler.resample(frame):
                    yield self._checked(part.to_ndarray())
        except (av.error.FFmpegError, ValueError) as error:  # its rate or channels change on the way
            say_once(f"{self.path}: its sound breaks off ({reason(error)})")

    def _silence(self, samples: int) -> Iterator[Float[np.ndarray, "c s"]]:
        """Before the sound begins: a second at a time."""
        if 0 < samples < MOST_SECONDS * self.sample_rate:
            for first in range(0, samples, self.sample_rate):
                yield np.zeros((self.channels, min(self.sample_rate, samples - first)), np.float32)

    def _checked(self, block: Float[np.ndarray, "c s"]) -> Float[np.ndarray, "c s"]:
        sound = np.abs(block) <= LOUDEST  # neither is NaN
        if sound.all():
            return block
        first = block[~sound][0]
        if self.strict:
            raise UserError(
                f"{self.path}: a sample of its sound is {first:g}; samples lie in -1..1 (whole numbers as fractions "
                "must be divided by their largest, such as 32768); write the file again."
            )
        say_once(f"{self.path}: samples of its sound that are none, such as {first:g}, are silenced")
        return np.where(sound, block, np.float32(0))


def has_sound(container: av.container.InputContainer, path: Path) -> bool:
    """Whether a file has sound that can be played; where it has some that cannot, the log says why."""
    problem = _problem(container)
    if problem and container.streams.audio:
        say_once(f"{path}: {problem}; it is taken as silent")
    return problem is None


def _problem(container: av.container.InputContainer) -> str | None:
    """Why the sound of a file cannot be played."""
    if not container.streams.audio:
        return "there is no sound in it"
    stream = container.streams.audio[0]
    if stream.codec_context is None:
        return "no decoder for its sound is installed; give a wav, flac, mp3 or m4a"
    if not RATES[0] <= (stream.rate or 0) <= RATES[1]:
        return f"its sound has {stream.rate or 0} samples a second; give sound with {RATES[0]} to {RATES[1]}"
    return None


def _video_start(container: av.container.InputContainer) -> float | None:
    """Time stamp, seconds, of the first video frame; of the first sound where there is no moving video."""
    for stream in container.streams.video:
        attached = stream.disposition & av.stream.Disposition.attached_pic
        if not attached and stream.start_time is not None and stream.time_base is not None:
            return float(stream.start_time * stream.time_base)
    return None
