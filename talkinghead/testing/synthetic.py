"""Drawn people as data: poses over time, clips with sound, tracks, shards. For tests and runs that need no footage."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from talkinghead.face.draw import draw_many
from talkinghead.media.image import encode_jpeg, frame_to_tensor
from talkinghead.media.video import VideoWriter
from talkinghead.portrait.data.shards import Track, write_shards
from talkinghead.testing.drawing import draw_person
from talkinghead.testing.drawn_person import Pose

FPS = Fraction(25)
SAMPLE_RATE = 16_000

__all__ = [
    "Pose",
    "draw_person",
    "draw_sequence",
    "drawn_track",
    "episode_batch",
    "random_motion",
    "write_clip",
    "write_drawn_shards",
]


def random_motion(frames: int, *, seed: int = 0, travel: float = 0.0) -> list[Pose]:
    """Poses of somebody talking: the head sways, the mouth opens a few times a second, the eyes blink now and then.

    Args:
        frames: how many, at 25 a second.
        seed: the same number gives the same poses, and a longer motion begins like a shorter one.
        travel: how far the head wanders, fractions of the side.
    """
    random = np.random.default_rng(seed)
    seconds = np.arange(frames) / float(FPS)
    names = ("yaw", "pitch", "roll", "x", "y", "smile", "brow_raise")
    sways = {name: _sway(seconds, random, slowest=0.15, fastest=0.6) for name in names}
    talk = np.clip(0.35 + 0.65 * _sway(seconds, random, slowest=1.5, fastest=4.0), 0, 1)
    pauses = _sway(seconds, random, slowest=0.1, fastest=0.4) > -0.6
    since_blink = (seconds + random.uniform(0, 3)) % random.uniform(2.5, 4.5)
    blink = np.clip(1 - np.abs(since_blink - 0.12) / 0.12, 0, 1)
    return [
        Pose(
            yaw=0.35 * sways["yaw"][i],
            pitch=0.15 * sways["pitch"][i],
            roll=0.15 * sways["roll"][i],
            shift=(travel * sways["x"][i], travel * sways["y"][i]),
            mouth_open=0.8 * talk[i] * pauses[i],
            smile=0.7 * sways["smile"][i],
            brow_raise=0.7 * sways["brow_raise"][i],
            blink=blink[i],
        )
        for i in range(frames)
    ]


def draw_sequence(
    seed: int, poses: list[Pose], *, size: int = 128
) -> tuple[UInt8[np.ndarray, "t {size} {size} 3"], Float32[np.ndarray, "t 68 2"]]:
    """Frames of one drawn person and their landmarks, as fractions of the side."""
    frames, landmarks = zip(*(draw_person(seed, pose, size=size) for pose in poses), strict=True)
    return np.stack(frames), np.stack(landmarks)


def write_clip(
    path: Path,
    person: int,
    *,
    frames: int = 25,
    fps: Fraction = FPS,
    size: int = 256,
    sound: bool = True,
    poses: list[Pose] | None = None,
) -> Float32[np.ndarray, "t 68 2"]:
    """Write a clip of a drawn person who talks, with a hum as loud as the mouth is open; gives its landmarks.

    Args:
        path: an .mp4 to write.
        person: which drawn person; it also seeds the motion.
        frames: how many.
        fps: frames a second.
        size: side of the square picture, pixels.
        sound: whether the clip has a sound track.
        poses: the motion, one pose a frame; by default a random one.
    """
    poses = poses or random_motion(frames, seed=person)
    landmarks = []
    with TemporaryDirectory() as folder:
        hum = _write_hum(Path(folder) / "hum.wav", poses, fps) if sound else None
        with VideoWriter(path, fps=fps, sound=hum) as writer:
            for pose in poses:
                frame, points = draw_person(person, pose, size=size)
                writer.write(frame)
                landmarks.append(points)
    return np.stack(landmarks)


def drawn_track(person: int, *, frames: int = 12, side: int = 64, motion_seed: int | None = None) -> Track:
    """A track of one drawn person, as `prepare` would make of a clip."""
    poses = random_motion(frames, seed=person if motion_seed is None else motion_seed)
    pictures, landmarks = draw_sequence(person, poses, size=side)
    jpegs = [encode_jpeg(picture) for picture in pictures]
    return Track(
        jpegs=b"".join(jpegs),
        offsets=np.cumsum([0, *map(len, jpegs)]),
        landmarks=landmarks,
        confidence=np.ones(frames, np.float32),
        times=np.arange(frames) / float(FPS),
        identity=f"person{person:03d}",
        video=f"person{person:03d}/drawn.mp4",
        track=0,
        side=side,
    )


def write_drawn_shards(folder: Path, *, people: int = 4, frames: int = 12, side: int = 64) -> int:
    """Write shards of drawn people, one track each, into a new folder; gives the number of tracks."""
    tracks: Iterator[Track] = (drawn_track(person, frames=frames, side=side) for person in range(people))
    return write_shards(tracks, folder)


def episode_batch(*, batch: int = 2, shots: int = 3, size: int = 64, seed: int = 0) -> dict[str, Tensor]:
    """A batch of episodes of drawn people, in the form of `data.episodes`; the i-th episode shows person `seed + i`."""
    episodes = []
    for index in range(batch):
        poses = random_motion(40 * (shots + 1), seed=seed + index)[::40]
        frames, landmarks = draw_sequence(seed + index, poses, size=size)
        tensors = frame_to_tensor(frames)
        pictures = draw_many(landmarks, size)
        episode = {
            "source_frames": tensors[:-1],
            "source_landmark_images": pictures[:-1],
            "target_frame": tensors[-1],
            "target_landmark_image": pictures[-1],
            "target_landmarks": torch.from_numpy(landmarks[-1]),
            "video_index": torch.tensor(index),
        }
        episodes.append(episode)
    return {name: torch.stack([episode[name] for episode in episodes]) for name in episodes[0]}


def _sway(
    seconds: Float[np.ndarray, " t"], random: np.random.Generator, *, slowest: float, fastest: float
) -> Float[np.ndarray, " t"]:
    """A smooth curve within -1..1 made of four waves, Hz."""
    rates, phases = random.uniform(slowest, fastest, 4), random.uniform(0, 2 * np.pi, 4)
    return np.sin(2 * np.pi * rates * seconds[:, None] + phases).sum(1) / 4


def _write_hum(path: Path, poses: list[Pose], fps: Fraction) -> Path:
    seconds = np.arange(round(len(poses) / fps * SAMPLE_RATE)) / SAMPLE_RATE
    at = np.arange(len(poses)) / float(fps)
    loudness = np.interp(seconds, at, [pose.mouth_open for pose in poses])
    voice = sum(np.sin(2 * np.pi * 120 * harmonic * seconds) / harmonic for harmonic in range(1, 6))
    soundfile.write(path, 0.3 * loudness * voice, SAMPLE_RATE)
    return path
