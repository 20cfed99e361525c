"""An avatar moved by a motion, written as a clip with the motion's rate and sound."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from talkinghead.errors import UserError
from talkinghead.face.crop import crop_frame
from talkinghead.face.draw import draw_landmarks
from talkinghead.media.video import VideoWriter, read_frames
from talkinghead.motion.motion import Motion, Progress
from talkinghead.portrait.avatar.avatar import Avatar
from talkinghead.portrait.avatar.retargeting import DEFAULTS, ReenactmentConfig


@dataclass(frozen=True)
class Clip:
    """The clip to write."""

    path: str | Path
    """An mp4."""
    compare: bool = False
    """Put the driver and the landmarks to the left of the person; needs the video that the motion is from."""
    sound: bool = True
    """Keep the motion's sound."""
    provenance: bool = True
    """Write into the file that it was made by AI, of whom and with whose consent, signed where c2pa is installed."""
    overwrite: bool = False
    """Replace the file if it exists."""


def reenact(
    avatar: Avatar,
    motion: Motion,
    clip: Clip,
    *,
    config: ReenactmentConfig = DEFAULTS,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> None:
    """Write the clip of an avatar that moves as the motion does, at the motion's exact rate and with its sound.

    Frames are rendered, written and forgotten: memory does not grow with the length.

    Args:
        avatar: the person.
        motion: the movement.
        clip: what to write, and where.
        config: how the person is moved.
        device: where to render.
        progress: called for each frame.

    Raises:
        UserError: if an input is missing or cannot be used, or the clip exists.
    """
    animation = avatar.animate(motion, config, device=device)
    voice = motion.sound if clip.sound else None
    if voice is not None and not voice.is_file():
        raise UserError(f"{voice}: the motion's sound is not there any more; bring it back or give --no-sound.")
    frames = iter(animation)
    if clip.compare:
        frames = beside(driver_crops(motion, avatar.side), animation.landmarks, frames)
    origin = avatar.origin(motion.video) if clip.provenance else None
    with VideoWriter(Path(clip.path), fps=motion.fps, sound=voice, origin=origin, overwrite=clip.overwrite) as writer:
        for done, frame in enumerate(frames, 1):
            writer.write(frame)
            if progress:
                progress(done, len(motion))


def driver_crops(motion: Motion, size: int) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
    """The driver's face in each frame of the motion, decoded as they are taken.

    Raises:
        UserError: if the motion is not from a video or that is not there any more.
    """
    if motion.video is None or motion.windows is None:
        raise UserError("--compare needs a driver that is a video, or a motion that was tracked in one.")
    if not motion.video.is_file():
        raise UserError(f"{motion.video}: the driver's video is not there any more; leave --compare out.")
    return _crops(motion, motion.video, size)


def _crops(motion: Motion, video: Path, size: int) -> Iterator[UInt8[np.ndarray, "s s 3"]]:
    for index, (_, frame) in zip(range(len(motion)), read_frames(video, threads=2), strict=False):
        yield crop_frame(frame, motion.window(index), size)


def beside(
    crops: Iterator[UInt8[np.ndarray, "s s 3"]],
    landmarks: Float32[np.ndarray, "t 68 2"],
    frames: Iterator[UInt8[np.ndarray, "s s 3"]],
) -> Iterator[UInt8[np.ndarray, "s w 3"]]:
    """Driver, landmarks and result side by side; black where the driver's video ends early."""
    for points, frame in zip(landmarks, frames, strict=True):
        driver = next(crops, np.zeros_like(frame))
        yield np.concatenate([driver, draw_landmarks(points, frame.shape[0]), frame], axis=1)
