"""An avatar moved by a motion, from landmarks to a clip, a few frames at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from talkinghead.errors import UserError
from talkinghead.face.crop import crop_frame
from talkinghead.face.draw import draw_landmarks
from talkinghead.face.gaps import Missing, fill_gaps
from talkinghead.face.retarget import retarget
from talkinghead.face.smooth import one_euro
from talkinghead.media.video import VideoWriter, read_frames
from talkinghead.motion import Motion, Progress
from talkinghead.portrait.avatar import BATCH_SIZE, Avatar


@dataclass(frozen=True)
class ReenactmentConfig:
    """How a motion is carried over to a person."""

    motion: Literal["absolute", "relative"] = "absolute"
    """Hold the head as the driver does, or start at a source photo and add the driver's movement."""
    adapt_scale: bool = True
    """Keep the face as large in the picture as in the source photos."""
    keep_proportions: bool = True
    """Keep the person's own face, not the driver's."""
    reference: int | None = None
    """The driver's frame that relative motion starts from; None for the one most like a source photo."""
    smooth: float = 1.0
    """Strength of the One-Euro filter; 0 is off."""
    missing: Missing = "hold"
    """What to do where the driver's face is not seen: hold the last, fade over, or fail."""
    batch_size: int = BATCH_SIZE
    """Frames rendered at once."""


def steer(
    motion: Motion, source_landmarks: Float32[np.ndarray, "n 68 2"], config: ReenactmentConfig = ReenactmentConfig()
) -> Float32[np.ndarray, "t 68 2"]:
    """The landmarks that make the person of the source landmarks move as the motion does.

    Raises:
        UserError: if a face is missing and may not be, or the reference is not in the motion.
    """
    seen = motion.seen
    name = motion.video or "the motion"
    if config.missing == "fail" and not seen.all():
        first = float(int(seen.argmin()) / motion.fps)
        raise UserError(
            f"{name}: {int((~seen).sum())} of {len(seen)} frames show no face, the first at {first:.2f} s; "
            "choose --missing hold or --missing fade."
        )
    if not seen.any():
        raise UserError(f"{name}: no frame shows a face; give a driver in which one is seen.")
    if config.reference is not None and not 0 <= config.reference < len(motion):
        raise UserError(f"--reference is {config.reference}; {name} has the frames 0 to {len(motion) - 1}.")
    fps = float(motion.fps)
    return retarget(  # nested, so that what is done with is let go: each array is as long as the motion
        one_euro(fill_gaps(motion.landmarks, seen, fps=fps, how=config.missing), fps, strength=config.smooth),
        source_landmarks,
        mode=config.motion,
        adapt_scale=config.adapt_scale,
        keep_proportions=config.keep_proportions,
        reference=config.reference,
        confidence=seen.astype(np.float32),
    )


def reenact(
    avatar: Avatar,
    motion: Motion,
    output: Path,
    *,
    config: ReenactmentConfig = ReenactmentConfig(),
    compare: bool = False,
    sound: bool = True,
    device: str | torch.device = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write the clip of an avatar that moves as the motion does, at the motion's exact rate and with its sound.

    Frames are rendered, written and forgotten: memory does not grow with the length.

    Args:
        avatar: the person.
        motion: the movement.
        output: an mp4.
        config: how the motion is carried over.
        compare: put the driver and the landmarks to the left of the person; needs the video that the motion is from.
        sound: keep the motion's sound.
        device: where to render.
        overwrite: replace `output`.
        progress: called for each frame.

    Raises:
        UserError: if an input is missing or cannot be used, or `output` exists.
    """
    landmarks = steer(motion, avatar.source_landmarks, config)
    voice = motion.sound if sound else None
    if voice is not None and not voice.is_file():
        raise UserError(f"{voice}: the motion's sound is not there any more; bring it back or give --no-sound.")
    frames = avatar.render_landmarks(landmarks, batch_size=config.batch_size, device=device)
    if compare:
        frames = beside(driver_crops(motion, avatar.config.size), landmarks, frames)
    with VideoWriter(output, fps=motion.fps, sound=voice, overwrite=overwrite) as writer:
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
