"""Who it is: a person's identity on a rig, from landmarks of some frames in any pose and with any expression.

Poses, weights and identity depend on one another. Rounds alternate between the bounded fit of each frame
(`solver`) and a step on what all frames share, in which each frame's pose and weights follow along, as far as they
can: the rare expression's penalty is a parabola there, steeper the smaller its weight (iteratively reweighted least
squares), so that a weight near 0 stays where it is.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Float32

from talkinghead.face import landmarks as scheme
from talkinghead.face.frames import evenly_spread
from talkinghead.rig.fitting.evidence import learned
from talkinghead.rig.fitting.solver import Penalties, Points, State, linearise, robust, solve, start
from talkinghead.rig.head_pose import outline_trust
from talkinghead.rig.rig import Rig

LEAST_WEIGHT = 1e-3
"""A smaller weight is held as if it were this."""

SURE = 1e-3
"""Standard deviations that a mode may differ from one that is known."""

RARE = {"eyeLook": 8.0, "cheekPuff": 3.0, "jawForward": 3.0, "mouthShrug": 3.0}
"""What 68 points hardly show takes more to be believed. Gaze is not seen at all, only lids that go with it; a lowered
lid is a blink."""


@dataclass(frozen=True)
class FitSettings:
    """How a rig is fitted."""

    noise: float = 0.0012
    """Standard deviation of a landmark on the head, metres, at most: less where frames show less (`evidence`)."""
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
    rounds: int = 8
    """Of identity and expressions in turn."""
    steps: int = 5
    """Gauss-Newton steps for each block of frames."""
    passes: int = 2
    """Over all frames after the first, each with what the last one told of noise and of expressions; 0 for none."""


@dataclass(frozen=True)
class PersonFit:
    """What stays the same in all frames of one person."""

    identity: Float32[np.ndarray, " m"]
    """Standard deviations of the rig's modes."""
    own_shape: Float32[np.ndarray, "68 3"]
    """Offsets of the landmarks that no mode explains, metres."""

    def points(self, rig: Rig) -> Points:
        """The rig's landmarks on this person's face."""
        small = at_landmarks(rig)
        base = small.neutral + np.einsum("m,mni->ni", self.identity, small.identity) + self.own_shape
        return Points(base.astype(np.float64), small.expressions.astype(np.float64))


def fit_person(
    landmarks: Float[np.ndarray, "f 68 2"],
    rig: Rig,
    *,
    identity: Float[np.ndarray, " m"] | None = None,
    settings: FitSettings | None = None,
) -> PersonFit:
    """Identity and own shape from frames of one person. With few frames the answer leans to the average face.

    Args:
        landmarks: fractions of the crop's side.
        rig: the head.
        identity: modes that are known and kept; None seeks them.
        settings: None for the defaults.
    """
    settings = settings or FitSettings()
    frames = _spread_out(landmarks, settings.identity_frames)
    modes = np.zeros(len(rig.identity)) if identity is None else identity
    person = PersonFit(modes.astype(np.float32), np.zeros((68, 3), np.float32))
    prior = _Prior(modes, 1.0 if identity is None else SURE, settings.own_shape)
    trust = np.ones((len(frames), 68))
    state = start(frames, person.points(rig))
    penalties = usual = penalties_of(rig, settings)
    for finished in range(settings.rounds):
        state = solve(frames, trust, person.points(rig), state, penalties=penalties, steps=2)
        person, state = _shared_step(frames, rig, person, state, prior=prior, penalties=penalties)
        if settings.passes and finished:
            penalties = learned(frames, trust, person.points(rig), state, prior=usual)
    return person


def penalties_of(rig: Rig, settings: FitSettings) -> Penalties:
    """What the solver weighs, for frames in no order."""
    names = rig.expression_names
    rare = [next((times for start, times in RARE.items() if name.startswith(start)), 1.0) for name in names]
    rate = np.array(rare) / settings.usual_weight
    return Penalties(settings.noise, rate, np.full(len(names), np.inf), np.inf)


@lru_cache(maxsize=4)
def at_landmarks(rig: Rig) -> Rig:
    """`rig.at_landmarks()`, remembered."""
    return rig.at_landmarks()


@dataclass(frozen=True)
class _Prior:
    """What is believed of a person before a frame is seen."""

    modes: Float[np.ndarray, " m"]
    sigma: float
    """Of the modes."""
    own_shape: float

    @property
    def mean(self) -> Float[np.ndarray, " n"]:
        return np.concatenate([self.modes, np.zeros(204)])

    @property
    def precision(self) -> Float[np.ndarray, " n"]:
        spread = np.full((68, 3), self.own_shape)
        spread[scheme.JAW] *= 2
        return np.concatenate([np.full(len(self.modes), self.sigma**-2), (spread**-2).ravel()])


def _shared_step(
    frames: Float[np.ndarray, "f 68 2"],
    rig: Rig,
    person: PersonFit,
    state: State,
    *,
    prior: _Prior,
    penalties: Penalties,
) -> tuple[PersonFit, State]:
    """One Gauss-Newton step on identity and own shape; each frame's pose and weights are eliminated (Schur)."""
    camera, by_weight, residual = linearise(frames, person.points(rig), state)
    trust = outline_trust(state.rotation[:, 2, 0]) * robust(residual, penalties.noise) / penalties.noise**2
    trust = np.concatenate([trust, trust], 1)[..., None]
    own = np.concatenate([camera, by_weight], 2).astype(np.float64)
    given = (trust * own).transpose(0, 2, 1)
    steep = penalties.rate / np.maximum(state.weights, LEAST_WEIGHT)
    rarer = np.concatenate([np.zeros((len(frames), 6)), steep * state.weights], 1)
    held = np.concatenate([np.full((len(frames), 6), 1e-3), steep], 1)
    shape = _Shape(state, at_landmarks(rig))
    both, pull = shape.times(given), given @ residual[..., None] - rarer[..., None]
    solved = np.linalg.solve(given @ own + held[..., None] * np.eye(own.shape[2]), np.concatenate([both, pull], 2))
    reduced = both.reshape(-1, both.shape[2])
    information = shape.information(trust) - reduced.T @ solved[..., :-1].reshape(reduced.shape)
    wish = shape.times((trust * residual[..., None]).transpose(0, 2, 1))
    evidence = wish.sum((0, 1)) - reduced.T @ solved[..., -1].ravel()
    now, modes = np.concatenate([person.identity, person.own_shape.ravel()]), len(person.identity)
    change = np.linalg.solve(information + np.diag(prior.precision), evidence + prior.precision * (prior.mean - now))
    weights = state.weights + (solved[..., -1] - solved[..., :-1] @ change)[:, 6:]
    found = (now + change).astype(np.float32)
    person = PersonFit(found[:modes], found[modes:].reshape(68, 3))
    return person, replace(state, weights=np.clip(weights, 0, 1))


class _Shape:
    """Derivatives of the landmarks, first all x, then all y, by identity modes and own shape: (f, 136, m + 204). A
    point's own offset moves that point alone, so that the matrix is never written out."""

    def __init__(self, state: State, small: Rig):
        self.seen = state.pose.camera
        self.by_mode = np.einsum("fij,knj->fink", self.seen, small.identity, optimize=True)
        self.by_mode = self.by_mode.reshape(len(self.seen), 136, -1)

    def times(self, left: Float[np.ndarray, "f u 136"]) -> Float[np.ndarray, "f u n"]:
        """`left` @ derivatives."""
        frames, rows, _ = left.shape
        by_point = left.reshape(frames, rows, 2, 68).swapaxes(2, 3) @ self.seen[:, None]
        return np.concatenate([left @ self.by_mode, by_point.reshape(frames, rows, 204)], 2)

    def information(self, trust: Float[np.ndarray, "f 136 1"]) -> Float[np.ndarray, "n n"]:
        """Sum over frames of the transposed derivatives @ `trust` x derivatives."""
        counted = (trust * self.by_mode).transpose(0, 2, 1)
        modes = self.by_mode.shape[2]
        top = self.times(counted).sum(0)
        total = np.zeros((modes + 204, modes + 204))
        total[:modes], total[:, :modes] = top, top.T
        blocks = np.einsum("fin,fij,fik->njk", trust.reshape(-1, 2, 68), self.seen, self.seen, optimize=True)
        points = total[modes:, modes:].reshape(68, 3, 68, 3)
        points[range(68), :, range(68)] = blocks
        return total


def _spread_out(landmarks: Float[np.ndarray, "t 68 2"], most: int) -> Float[np.ndarray, "f 68 2"]:
    """At most so many frames, evenly spread."""
    return landmarks[evenly_spread(len(landmarks), most)].astype(np.float64)
