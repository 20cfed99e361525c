"""Speech as it comes -> a moving face, a frame as soon as its sound is there (Pham's model)."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import soxr
from jaxtyping import Float

from talkinghead.motion.motion import Motion
from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.rig import Rig
from talkinghead.speech.features import PHAM_RATE
from talkinghead.speech.model import PhamModel, SpeechMotion
from talkinghead.speech.pham2017 import from_quaternion
from talkinghead.speech.speaking import head_motion
from talkinghead.speech.speaking.head_motion import LOUD_WINDOW, HeadMotion
from talkinghead.speech.speaking.to_motion import speak_motion

STANCE_SECONDS = 4.0
"""The pose that the model predicts counts as it differs from its mean over about this long."""

RESAMPLING = "LQ"
"""soxr's quality: from 16 kHz it delays by 2 ms, the better ones by up to 50."""

LOUD_SECONDS = 10.0
"""How long a loud passage is remembered as the measure of loudness."""


@dataclass(frozen=True, eq=False)
class LiveStyle:
    """How a head moves that speaks live."""

    still: bool = False
    """No head movement, no blinks."""
    seed: int = 0
    """Of the head movement."""
    strength: float = 1.0
    """Expressions are made this many times larger."""
    pose: Float[np.ndarray, " 3"] | None = None
    """Added to the head's: yaw, pitch, roll, radians."""
    blinks: Sequence[float] | None = None
    """Seconds from the start at which the lids begin to fall, in place of those that are made up."""


class LiveFace:
    """Sound in, motion out; keeps what it needs between calls."""

    def __init__(
        self,
        model: PhamModel,
        rig: Rig,
        *,
        rate: int,
        fps: Fraction = Fraction(30),
        style: LiveStyle | None = None,
    ) -> None:
        """Start with silence behind.

        Args:
            model: hears the sound.
            rig: the head that moves.
            rate: of the sound, Hz.
            fps: frames a second.
            style: how the head moves.
        """
        self.rig, self.fps, self.style = rig, fps, style or LiveStyle()
        self.frames = 0
        self._stream, self._mouth = model.stream(fps), model.mouth
        self._resampler = soxr.ResampleStream(rate, PHAM_RATE, 1, quality=RESAMPLING) if rate != PHAM_RATE else None
        self._recent = np.zeros(round(LOUD_WINDOW * PHAM_RATE), np.float32)
        self._loudest = 1e-3
        self._stance: Float[np.ndarray, " 3"] | None = None

    def feed(self, waveform: Float[np.ndarray, " s"], *, last: bool = False) -> Motion | None:
        """The frames that the new sound completes; None if there is none.

        Args:
            waveform: the next samples, -1..1, any number of them.
            last: no more sound will come.
        """
        heard = waveform.astype(np.float32)
        if self._resampler is not None:
            heard = self._resampler.resample_chunk(heard, last=last)
        found = list(self._stream.feed(heard))
        self._recent = np.concatenate([self._recent, heard])[-len(self._recent) :]
        if not found:
            return None
        rotation, expressions = (np.stack(part) for part in zip(*found, strict=True))
        spoken = SpeechMotion(self.fps, blendshapes=expressions, names=RIG_NAMES)
        if self._mouth is not None:
            spoken = spoken.within(self._mouth)
        head = self._head(len(found), from_quaternion(rotation))
        head = head_motion.edited(head, self.fps, pose=self.style.pose, blinks=self.style.blinks, first=self.frames)
        self.frames += len(found)
        return speak_motion(spoken, head, self.rig, strength=self.style.strength)

    def _head(self, count: int, pose: Float[np.ndarray, "t 3"]) -> HeadMotion:
        if self.style.still:
            return head_motion.still(count)
        loud = float(np.sqrt(np.mean(np.square(self._recent))))
        self._loudest = max(loud, self._loudest * 0.5 ** (count / float(self.fps) / LOUD_SECONDS), 1e-3)
        made = head_motion.generate(
            count, self.fps, loudness=np.full(count, loud / self._loudest), seed=self.style.seed, first=self.frames
        )
        if self._stance is None:
            self._stance = pose.mean(0)
        share = min(1.0, count / float(self.fps) / STANCE_SECONDS)
        self._stance = self._stance + share * (pose.mean(0) - self._stance)
        return HeadMotion((made.pose + pose - self._stance).astype(np.float32), made.blink)


class LiveSound:
    """Sound for a `VideoWriter` that arrives while the clip is written."""

    channels = 1

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._waiting: deque[Float[np.ndarray, "1 s"]] = deque()

    def add(self, waveform: Float[np.ndarray, " s"]) -> None:
        """The next samples, -1..1."""
        self._waiting.append(waveform.astype(np.float32)[None])

    def __iter__(self) -> Iterator[Float[np.ndarray, "1 s"]]:
        return self

    def __next__(self) -> Float[np.ndarray, "1 s"]:
        if not self._waiting:
            raise StopIteration
        return self._waiting.popleft()
