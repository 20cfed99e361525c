"""How a head that talks is held and when it blinks: generated, or taken from a video of somebody.

The movement is a function of time alone (one for each seed) and of how loud the voice is: a clip at another frame rate,
a longer one and a live stream show the same movement.

Figures:
    Size and speed: measured on 14 clips of 4 to 6 s of people who talk into a camera (medians of the standard
    deviations: yaw 2.7, pitch 2.5, roll 1.7 degrees; 11, 8 and 6 degrees a second, which holds the tracker's jitter).
    Blinks: 17 a minute at rest and 26 in conversation (Bentivoglio et al. 1997, Movement Disorders 12); the lid falls
    about twice as fast as it rises (Evinger et al. 1991, J. Neurophysiology 65).
    How far a loud syllable lowers the head, and what silence leaves of the quick movements, are choices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import gaussian_filter1d

from talkinghead.face.frames import between, evenly_spread, from_known
from talkinghead.face.landmarks import EYELID_PAIRS
from talkinghead.motion.motion import Motion
from talkinghead.motion.retarget import hold, study
from talkinghead.rig.fitting.resting_face import resting_face
from talkinghead.rig.head_pose import estimate_pose
from talkinghead.rig.rig import pose_of_rotation

SPREAD = np.radians([2.7, 2.5, 1.7])
"""Standard deviation of yaw, pitch and roll."""

QUICK_SHARE = 0.3
"""Share of the quick movements in the variance while talking; with the two widths below, about 3 radians a second of
change for each radian of spread, a little below what was measured."""

SLOW, QUICK = 0.7, 0.13
"""Seconds: widths of the Gaussians that noise is smoothed by for the drift and for the nods that go with the voice."""

SILENT = 0.25
"""What is left of the quick movements in silence."""

NOD = np.radians(1.0)
"""How far a stressed syllable lowers the head."""

BLINKS_A_MINUTE = 20.0
"""Between rest and conversation."""

BLINK_SPREAD = 0.5
"""Standard deviation of the logarithm of the time between blinks."""

LEAST_BETWEEN_BLINKS = 0.7
"""Seconds."""

CLOSING, CLOSED, OPENING = 0.1, 0.05, 0.2
"""Seconds of a blink's three parts."""

PERIOD = 300.0
"""Seconds after which the generated movement repeats itself, without a seam."""

LOUD_WINDOW = 0.3
"""Seconds that loudness is measured over."""

_TICKS = 50
"""Of the stored movement, a second."""

_WIDE = np.radians([30, 20, 25])
"""Poses from a reference are kept within this: beyond it 68 landmarks say little."""


@dataclass(frozen=True)
class HeadMotion:
    """How a head is held, and its blinks."""

    pose: Float32[np.ndarray, "t 3"]
    """Yaw, pitch, roll in radians (`rig.rig`), around how the person usually holds the head."""
    blink: Float32[np.ndarray, " t"]
    """0 open .. 1 closed."""

    def __len__(self) -> int:
        return len(self.pose)


def still(frames: int) -> HeadMotion:
    """A head that is held still and does not blink."""
    return HeadMotion(np.zeros((frames, 3), np.float32), np.zeros(frames, np.float32))


def generate(
    frames: int,
    fps: Fraction,
    *,
    loudness: Float[np.ndarray, " t"] | None = None,
    seed: int = 0,
    strength: float = 1.0,
    first: int = 0,
) -> HeadMotion:
    """Natural movement made up.

    Args:
        frames: how many.
        fps: frames a second.
        loudness: of the voice in each frame, 0..1 (`loudness_of`); None for silence.
        seed: another number, another movement.
        strength: of the head's movement; 1 is natural.
        first: number of the first frame: parts made one after the other are those of the whole.

    Raises:
        ValueError: if there is not one loudness a frame.
    """
    if loudness is not None and len(loudness) != frames:
        raise ValueError(f"{len(loudness)} values of loudness for {frames} frames")
    times = (first + np.arange(frames)) / float(fps)
    loud = np.zeros(frames) if loudness is None else np.asarray(loudness, np.float64)
    slow, quick = (between(noise, times * _TICKS, wrap=True) for noise in _noise(seed))
    pose = SPREAD * (np.sqrt(1 - QUICK_SHARE) * slow + np.sqrt(QUICK_SHARE) * _liveliness(loud)[:, None] * quick)
    pose[:, 1] += NOD * (loud - 0.35) * (loud > 0)
    return HeadMotion((strength * pose).astype(np.float32), _blinks_at(times, seed).astype(np.float32))


def edited(
    head: HeadMotion,
    fps: Fraction,
    *,
    pose: Float[np.ndarray, "*t 3"] | None = None,
    blinks: Sequence[float] | None = None,
    first: int = 0,
) -> HeadMotion:
    """The head held otherwise, or with other blinks.

    Args:
        head: the movement.
        fps: frames a second.
        pose: added to the movement: yaw, pitch, roll, radians, for all frames or for each.
        blinks: seconds at which the lids begin to fall, in place of the head's own blinks; they fall, stay and rise at
            a steady pace. None keeps those it has.
        first: number of the first frame, which `blinks` count from: parts edited one after the other are the whole.

    References:
        Cudeiro et al. 2019, section 6 (pose and blinks of a mesh that speaks are edited afterwards).
    """
    if pose is not None:
        head = replace(head, pose=(head.pose + np.asarray(pose)).astype(np.float32))
    if blinks is not None:
        since = (first + np.arange(len(head)))[:, None] / float(fps) - np.asarray(blinks, np.float64)[None]
        head = replace(head, blink=_trapezoid(since).max(1, initial=0).astype(np.float32))
    return head


def loudness_of(
    waveform: Float[np.ndarray, " s"], sample_rate: int, fps: Fraction, *, frames: int
) -> Float32[np.ndarray, " t"]:
    """How loud a voice is around the middle of each frame: 0 is silence, 1 its loudest parts.

    Args:
        waveform: one channel.
        sample_rate: Hz.
        fps: frames a second.
        frames: how many; silence follows the sound.
    """
    energy = np.concatenate([[0], np.cumsum(np.square(waveform, dtype=np.float64))])
    middle = (np.arange(frames) + 0.5) / float(fps)
    start, end = (
        np.clip(np.round((middle + side * LOUD_WINDOW / 2) * sample_rate), 0, len(waveform)).astype(int)
        for side in (-1, 1)
    )
    root = np.sqrt((energy[end] - energy[start]) / (LOUD_WINDOW * sample_rate))
    top = np.quantile(root, 0.95) if frames else 0
    return np.clip(root / max(float(top), 1e-4), 0, 1).astype(np.float32)


def follow(reference: Motion, frames: int, fps: Fraction) -> HeadMotion:
    """The head movement and the blinks of somebody in a video; to and fro where the video is shorter.

    Args:
        reference: tracked; frames without a face are bridged.
        frames: how many.
        fps: frames a second.

    Raises:
        ValueError: if the reference never shows a face.
    """
    seen = np.flatnonzero(reference.confidence > 0)
    if not len(seen):
        raise ValueError("the reference never shows a face")
    landmarks = reference.landmarks[seen].astype(np.float64)
    person = study(landmarks)
    face = resting_face(landmarks[evenly_spread(len(seen), 32)])
    turns = pose_of_rotation(estimate_pose(landmarks, face).rotation)
    turns = np.clip(turns - np.median(turns, 0), -_WIDE, _WIDE)
    points = hold(person, landmarks).points
    gaps = np.linalg.norm(points[:, EYELID_PAIRS[:, 0]] - points[:, EYELID_PAIRS[:, 1]], axis=-1)
    usual = np.linalg.norm(person.face[EYELID_PAIRS[:, 0]] - person.face[EYELID_PAIRS[:, 1]], axis=-1)
    blink = np.clip((0.85 - (gaps / np.maximum(usual, 1e-6)).mean(1)) / 0.35, 0, 1)
    own = float(reference.fps)
    smooth = gaussian_filter1d(turns, 0.06 * own, axis=0, mode="nearest")
    last = (len(reference) - 1) / own
    times = np.arange(frames) / float(fps)
    if last > 0:
        times = last - np.abs(last - times % (2 * last))
    pose = from_known(smooth, seen / own, times)
    return HeadMotion(pose.astype(np.float32), np.interp(times, seen / own, blink).astype(np.float32))


def _liveliness(loud: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    return SILENT + (1 - SILENT) * np.sqrt(loud)


@cache
def _noise(seed: int) -> tuple[Float[np.ndarray, "p 3"], Float[np.ndarray, "p 3"]]:
    """Slow and quick noise of spread 1 over one period, whose end meets its beginning."""
    random = np.random.default_rng([seed, 1])
    made = []
    for width in (SLOW, QUICK):
        noise = gaussian_filter1d(random.normal(size=(round(PERIOD * _TICKS), 3)), width * _TICKS, axis=0, mode="wrap")
        made.append((noise - noise.mean(0)) / noise.std(0))
    return made[0], made[1]


@cache
def _blink_starts(seed: int) -> Float[np.ndarray, " n"]:
    """When the blinks of one period begin, seconds."""
    random = np.random.default_rng([seed, 2])
    mean = 60 / BLINKS_A_MINUTE
    gaps = mean * np.exp(random.normal(-(BLINK_SPREAD**2) / 2, BLINK_SPREAD, 4 * round(PERIOD / mean)))
    starts = np.cumsum(np.maximum(gaps, LEAST_BETWEEN_BLINKS))
    return starts[starts < PERIOD - LEAST_BETWEEN_BLINKS]


def _blinks_at(times: Float[np.ndarray, " t"], seed: int) -> Float[np.ndarray, " t"]:
    starts = _blink_starts(seed)
    within = times % PERIOD
    last = np.searchsorted(starts, within, side="right") - 1
    share = _trapezoid(np.where(last >= 0, within - starts[last], np.inf))
    return share * share * (3 - 2 * share)


def _trapezoid(since: Float[np.ndarray, "*t"]) -> Float[np.ndarray, "*t"]:
    """How far the lids are shut so many seconds after they began to fall: 0..1."""
    return np.clip(since / CLOSING, 0, 1) - np.clip((since - CLOSING - CLOSED) / OPENING, 0, 1)
