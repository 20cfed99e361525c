"""Fitting a rig to tracked landmarks: who it is, once; then pose and expression of each frame.

The camera is a scaled orthographic one. Landmarks are explained by the rig's 68 points, moved by identity and by the
person's own shape beyond its modes; expression weights lie in 0..1, are rare rather than many, and change smoothly. How
noisy the landmarks are, and which expressions are not so rare in these frames, is learnt from a first pass.

References:
    Pham et al. 2017, section 3 (identity first, then pose and expression of each frame, from landmarks).
    Cao et al. 2014, Displaced dynamic expression regression (the two steps).
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int

from talkinghead.face.frames import evenly_spread, from_known
from talkinghead.rig.fitting.evidence import learned
from talkinghead.rig.fitting.person import FitSettings, PersonFit, fit_person, penalties_of
from talkinghead.rig.fitting.solver import Penalties, Points, State, solve, start
from talkinghead.rig.rig import Rig, pose_of_rotation, rotation_matrix

BLOCK, OVERLAP = 256, 8
"""Frames solved together, and how many of them on each side only lend their neighbourhood."""

EVIDENCE_FRAMES = 128
"""Frames that tell how noisy the landmarks are and which expressions occur."""

MORE_STEPS = 3
"""Gauss-Newton steps of each pass after the first."""

LIDS = ("eyeBlink", "eyeWide", "eyeLookDown")
"""Expressions that move fast."""


@dataclass(frozen=True)
class FitResult:
    """A rig that follows the landmarks of `t` frames."""

    pose: Float32[np.ndarray, "t 3"]
    """Yaw, pitch, roll, radians."""
    weights: Float32[np.ndarray, "t k"]
    """0..1."""
    person: PersonFit
    scale: Float32[np.ndarray, " t"]
    """Fractions of the crop's side per metre."""
    shift: Float32[np.ndarray, "t 2"]
    """Where the rig's origin is seen, fractions of the crop's side."""
    reprojection_error: Float32[np.ndarray, " t"]
    """Mean distance of fitted and given landmarks over the distance of the rig's outer eye corners."""

    @property
    def identity(self) -> Float32[np.ndarray, " m"]:
        """Standard deviations of the identity modes."""
        return self.person.identity


def fit_motion(
    landmarks: Float[np.ndarray, "t 68 2"],
    confidence: Float[np.ndarray, " t"],
    fps: float,
    rig: Rig,
    *,
    person: PersonFit | None = None,
    settings: FitSettings | None = None,
) -> FitResult:
    """The rig's pose and weights in each frame of one person. Frames without a face are bridged in a straight line.

    Args:
        landmarks: fractions of the crop's side; the head's size in the crop changes slowly, if at all.
        confidence: 0 where no face was seen.
        fps: frames a second.
        rig: the head; its expressions may be any.
        person: from `fit_person`, if it is known who it is; None finds it in these frames.
        settings: None for the defaults.

    Raises:
        ValueError: if no frame shows a face, or fps is not above 0.
    """
    if fps <= 0:
        raise ValueError(f"fps is {fps}; it must be above 0")
    settings = settings or FitSettings()
    seen = np.flatnonzero(confidence > 0)
    if not len(seen):
        raise ValueError(f"none of the {len(landmarks)} frames shows a face")
    person = person or fit_person(landmarks[seen], rig, settings=settings)
    points = person.points(rig)
    penalties = usual = _in_time(penalties_of(rig, settings), rig, settings, fps)
    frames, trust = landmarks[seen].astype(np.float64), np.clip(confidence[seen], 0.05, 1)[:, None].repeat(68, 1)
    solved = _solve_blocks(frames, trust, points, start(frames, points), penalties=usual, steps=settings.steps)
    some = evenly_spread(len(seen), EVIDENCE_FRAMES)
    for _ in range(settings.passes):
        penalties = learned(frames[some], trust[some], points, solved.part(some), prior=usual)
        solved = _solve_blocks(frames, trust, points, solved, penalties=penalties, steps=MORE_STEPS)
    state = _bridged(solved, seen, len(landmarks))
    return FitResult(
        pose_of_rotation(state.rotation).astype(np.float32),
        state.weights.astype(np.float32),
        person,
        state.scale.astype(np.float32),
        state.shift.astype(np.float32),
        _error(state, points, landmarks).astype(np.float32),
    )


def _in_time(penalties: Penalties, rig: Rig, settings: FitSettings, fps: float) -> Penalties:
    """The same for frames in order: little changes from one to the next."""
    longer = np.sqrt(30 / fps)
    quick = np.array([4.0 if name.startswith(LIDS) else 1.0 for name in rig.expression_names])
    return replace(penalties, step=settings.weight_step * longer * quick, turn=float(settings.turn_step * longer))


def _solve_blocks(
    frames: Float[np.ndarray, "t 68 2"],
    trust: Float[np.ndarray, "t 68"],
    points: Points,
    state: State,
    *,
    penalties: Penalties,
    steps: int,
) -> State:
    """All frames, a block at a time, so that working memory does not grow with the video."""
    parts = []
    for first in range(0, len(frames), BLOCK):
        begin, end = max(0, first - OVERLAP), min(len(frames), first + BLOCK + OVERLAP)
        block = slice(begin, end)
        solved = solve(frames[block], trust[block], points, state.part(block), penalties=penalties, steps=steps)
        parts.append(solved.part(slice(first - begin, min(first + BLOCK, len(frames)) - begin)))
    return State(
        np.concatenate([part.rotation for part in parts]),
        np.concatenate([part.scale for part in parts]),
        np.concatenate([part.shift for part in parts]),
        np.concatenate([part.weights for part in parts]),
    )


def _bridged(state: State, seen: Int[np.ndarray, " s"], frames: int) -> State:
    """The state in all frames, those unseen on a straight line between their neighbours."""
    if len(seen) == frames:
        return state

    angles = np.unwrap(pose_of_rotation(state.rotation), axis=0)
    arrays = (angles, state.scale, state.shift, state.weights)
    angles, scale, shift, weights = (from_known(values, seen, np.arange(frames)) for values in arrays)
    return State(rotation_matrix(angles), scale, shift, weights)


def _error(state: State, points: Points, landmarks: Float[np.ndarray, "t 68 2"]) -> Float[np.ndarray, " t"]:
    distance = np.linalg.norm(state.predict(points) - landmarks, axis=-1).mean(1)
    rest = np.linalg.norm(points.base[36] - points.base[45])
    return np.asarray(distance / (rest * state.scale))
