"""Fitting a rig to tracked landmarks: who it is, once; then pose and expression of each frame.

The camera is a scaled orthographic one. Landmarks are explained by the rig's 68 points, moved by identity and by the
person's own shape beyond its modes; expression weights lie in 0..1, are rare rather than many, and change smoothly.

References:
    Pham et al. 2017, section 3 (identity first, then pose and expression of each frame, from landmarks).
    Cao et al. 2014, Displaced dynamic expression regression (the two steps).
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32

from talkinghead.face import landmarks as scheme
from talkinghead.face.rig import Rig, pose_of_rotation
from talkinghead.face.rig_solver import (
    Penalties,
    Points,
    State,
    linearise,
    outline_trust,
    robust,
    solve,
    start,
)

BLOCK, OVERLAP = 256, 8
"""Frames solved together, and how many of them on each side only lend their neighbourhood."""

BLINKS = ("eyeBlink", "eyeWide", "eyeLookDown")
UNSEEN = ("cheekPuff", "jawForward", "eyeLookLeft", "eyeLookRight", "mouthShrug")
"""What 68 points hardly show: it takes more to believe it."""


@dataclass(frozen=True)
class FitSettings:
    """How a rig is fitted."""

    noise: float | None = None
    """Standard deviation of a landmark on the head, metres; None finds it from what the fit cannot explain."""
    usual_weight: float = 0.15
    """Mean of an expression's weight when nothing is known."""
    weight_step: float = 0.10
    """Standard deviation of a weight's change in a thirtieth of a second; four times that for eyelids."""
    turn_step: float = 0.02
    """The same for the head's turn, radians."""
    own_shape: float = 0.002
    """Standard deviation of a point of the face beyond the identity modes, metres; twice that on the jaw's outline."""
    identity_frames: int = 24
    """Frames that the identity is taken from."""
    rounds: int = 4
    """Of identity and expressions in turn."""
    steps: int = 5
    """Gauss-Newton steps for each block of frames."""


@dataclass(frozen=True)
class PersonFit:
    """What stays the same in all frames of one person."""

    identity: Float32[np.ndarray, " m"]
    """Standard deviations."""
    own_shape: Float32[np.ndarray, "68 3"]
    """Offsets of the landmarks that no identity mode explains, metres."""
    noise: float
    """Standard deviation of a landmark around the fit, metres."""


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
    """Mean distance of fitted and given landmarks over the distance of the outer eye corners; NaN without a face."""

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
        landmarks: fractions of the crop's side; all crops of about the same size on the face.
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
    points = points_of(rig, person)
    penalties = _penalties(rig, settings, noise=person.noise, fps=fps)
    state = _fit_blocks(landmarks[seen], confidence[seen], points, penalties, settings)
    error = np.full(len(landmarks), np.nan, np.float32)
    error[seen] = _error(state, points, landmarks[seen])
    times = np.arange(len(landmarks))

    def bridged(values: np.ndarray) -> Float32[np.ndarray, "..."]:
        columns = values.reshape(len(seen), -1).T
        return np.stack([np.interp(times, seen, column) for column in columns], 1).astype(np.float32)

    pose = bridged(np.unwrap(pose_of_rotation(state.rotation), axis=0))
    return FitResult(pose, bridged(state.weights), person, bridged(state.scale)[:, 0], bridged(state.shift), error)


def fit_person(landmarks: Float[np.ndarray, "f 68 2"], rig: Rig, *, settings: FitSettings | None = None) -> PersonFit:
    """Who it is: identity and own shape from frames of one person, in any pose and with any expression.

    With few frames the answer leans to the average face.
    """
    settings = settings or FitSettings()
    frames = _various(landmarks, settings.identity_frames).astype(np.float64)
    person = PersonFit(
        np.zeros(len(rig.identity), np.float32), np.zeros((68, 3), np.float32), settings.noise or FIRST_NOISE
    )
    trust = np.ones((len(frames), 68))
    state = start(frames, points_of(rig, person))
    for _ in range(settings.rounds):
        penalties = _penalties(rig, settings, noise=person.noise, fps=None)
        state = solve(frames, trust, points_of(rig, person), state, penalties=penalties, steps=2)
        person, state = _shared_step(frames, rig, person, state, penalties=penalties, settings=settings)
        if settings.noise is None:
            person = replace(person, noise=_noise(frames, points_of(rig, person), state))
    return person


def points_of(rig: Rig, person: PersonFit) -> Points:
    """The rig's landmarks on this person's face."""
    small = _at_landmarks(rig)
    base = small.neutral + np.einsum("m,mni->ni", person.identity, small.identity) + person.own_shape
    return Points(base.astype(np.float64), small.expressions.astype(np.float64))


FIRST_NOISE = 0.002
"""Standard deviation of a landmark before anything is known, metres."""

LEAST_NOISE = 1e-4
"""Below this the numbers are rounding, metres."""

EXPRESSION_STRENGTH = 0.25
"""Standard deviation of a weight while the identity is sought."""


@lru_cache(maxsize=4)
def _at_landmarks(rig: Rig) -> Rig:
    return rig.at_landmarks()


def _fit_blocks(
    landmarks: Float[np.ndarray, "t 68 2"],
    confidence: Float[np.ndarray, " t"],
    points: Points,
    penalties: Penalties,
    settings: FitSettings,
) -> State:
    """All frames, a block at a time."""
    parts = []
    for first in range(0, len(landmarks), BLOCK):
        begin, end = max(0, first - OVERLAP), min(len(landmarks), first + BLOCK + OVERLAP)
        frames = landmarks[begin:end].astype(np.float64)
        trust = np.clip(confidence[begin:end], 0.05, 1)[:, None].repeat(68, 1)
        state = solve(frames, trust, points, start(frames, points), penalties=penalties, steps=settings.steps)
        parts.append(state.part(slice(first - begin, min(first + BLOCK, len(landmarks)) - begin)))
    return State(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("rotation", "scale", "shift", "weights"))
    )


def _shared_step(
    frames: Float[np.ndarray, "f 68 2"],
    rig: Rig,
    person: PersonFit,
    state: State,
    *,
    penalties: Penalties,
    settings: FitSettings,
) -> tuple[PersonFit, State]:
    """One Gauss-Newton step on identity and own shape; poses and weights of each frame are eliminated (Schur)."""
    small, modes = _at_landmarks(rig), len(rig.identity)
    camera, by_weight, residual = linearise(frames, points_of(rig, person), state)
    trust = (outline_trust(state.rotation) * robust(residual, penalties.noise)).repeat(2, 1)[..., None]
    trust = trust / penalties.noise**2
    own = np.concatenate([camera, by_weight], 2).astype(np.float64)
    seen = state.rotation[:, :2] * np.array([1.0, -1.0])[:, None]
    by_point = np.einsum("fij,nm->fnimj", seen, np.eye(68)).reshape(len(frames), 136, 204)
    by_mode = np.einsum("fij,knj->fnik", seen, small.identity).reshape(len(frames), 136, modes)
    shared = np.concatenate([by_mode, by_point], 2)
    kinds = by_weight.shape[2]
    prior = np.concatenate([np.full(6, 1e-3), np.full(kinds, EXPRESSION_STRENGTH**-2)])
    held = np.concatenate([np.zeros((len(frames), 6)), state.weights], 1)
    inner = own.transpose(0, 2, 1) @ (trust * own) + np.diag(prior)
    both = own.transpose(0, 2, 1) @ (trust * shared)
    pull = own.transpose(0, 2, 1) @ (trust * residual[..., None]) - (prior * held)[..., None]
    solved = np.linalg.solve(inner, np.concatenate([both, pull], 2))
    spread = np.full((68, 3), settings.own_shape)
    spread[scheme.JAW] *= 2
    known = np.concatenate([np.ones(modes), (spread**-2).ravel()])
    now = np.concatenate([person.identity, person.own_shape.ravel()])
    information = np.einsum("fan,fam->nm", shared, trust * shared) - np.einsum("fkn,fkm->nm", both, solved[..., :-1])
    evidence = np.einsum("fan,fa->n", trust * shared, residual) - np.einsum("fkn,fk->n", both, solved[..., -1])
    change = np.linalg.solve(information + np.diag(known), evidence - known * now)
    now = (now + change).astype(np.float32)
    weights = state.weights + (solved[..., -1] - solved[..., :-1] @ change)[:, 6:]
    return (
        PersonFit(now[:modes], now[modes:].reshape(68, 3), person.noise),
        replace(state, weights=np.clip(weights, 0, 1)),
    )


def _penalties(rig: Rig, settings: FitSettings, *, noise: float, fps: float | None) -> Penalties:
    """What the solver weighs; frames in no order (`fps` None) may differ as they like."""
    names = rig.expression_names
    rate = np.array([3.0 if name.startswith(UNSEEN) else 1.0 for name in names]) / settings.usual_weight
    if fps is None:
        return Penalties(noise, rate, np.full(len(names), np.inf), np.inf)
    longer = np.sqrt(30 / fps)
    quick = np.array([4.0 if name.startswith(BLINKS) else 1.0 for name in names])
    return Penalties(noise, rate, settings.weight_step * longer * quick, settings.turn_step * longer)


def _noise(landmarks: Float[np.ndarray, "t 68 2"], points: Points, state: State) -> float:
    """Standard deviation of a coordinate around the fit, metres; half of the landmarks decide."""
    left = (landmarks - state.predict(points)) / state.scale[:, None, None]
    inner = np.abs(left[:, scheme.JAW[-1] + 1 :])
    return float(max(1.48 * np.median(inner), LEAST_NOISE))


def _error(state: State, points: Points, landmarks: Float[np.ndarray, "t 68 2"]) -> Float[np.ndarray, " t"]:
    distance = np.linalg.norm(state.predict(points) - landmarks, axis=-1).mean(1)
    rest = np.linalg.norm(points.base[36] - points.base[45])
    return np.asarray(distance / (rest * state.scale))


def _various(landmarks: Float[np.ndarray, "t 68 2"], most: int) -> Float[np.ndarray, "f 68 2"]:
    """At most so many frames, evenly spread."""
    return landmarks[np.unique(np.linspace(0, len(landmarks) - 1, most).round().astype(int))]
