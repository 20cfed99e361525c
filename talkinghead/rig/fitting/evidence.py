"""What frames themselves say about their landmarks' noise and about which expressions occur in them.

A fit that always expects the noise of a tracker shrinks every weight, exact landmarks or not; one that believes its own
residuals makes up expressions until none are left. So noise is read only from what neither camera nor any expression
could explain, and an expression that moves clearly more than it is uncertain is no longer held to be rare (empirical
Bayes; reweighted L1, Candes et al. 2008, with one weight an expression for all frames).
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from talkinghead.rig.fitting.solver import Penalties, Points, State, linearise, robust
from talkinghead.rig.head_pose import outline_trust

UNSEEN = 4.0
"""Landmarks of trackers are wrong alike from frame to frame and in ways that expressions can make: noise is this many
times what no expression can make. On clips of people that is the noise that was chosen by hand."""

LEAST_NOISE = 0.0002
"""Metres."""

MOST_UNKNOWN = 0.8
"""Share of the landmarks' numbers that must be found from them, above which they say nothing of their noise."""

DOUBT = 0.5
"""An expression whose weight moves by this many of its standard errors is half as rare as one that does not move."""

LEAST_DOUBT = 0.01
MOST_DOUBT = 0.3
"""Standard error of a weight that landmarks do not show at all."""

SWING = (0.1, 0.9)
"""Quantiles between which a weight is said to move: what stays the same is the person."""


def learned(
    frames: Float[np.ndarray, "t 68 2"],
    trust: Float[np.ndarray, "t 68"],
    points: Points,
    state: State,
    *,
    prior: Penalties,
) -> Penalties:
    """Penalties for these frames: noise as small as it is, expressions that occur less rare.

    Args:
        frames: landmarks, fractions of the crop's side; enough that each expression of interest comes and goes.
        trust: in each landmark, 0..1.
        points: of the person.
        state: a first fit.
        prior: what is believed of any frames; its noise is the most that is believed.
    """
    parts = linearise(frames, points, state)
    trust = trust * outline_trust(state.rotation[:, 2, 0]) * robust(parts[2], prior.noise)
    known, unexplained = information(parts, np.concatenate([trust, trust], 1))
    noise = max(UNSEEN * unexplained, LEAST_NOISE)
    error = standard_errors(known / noise**2)
    low, high = np.quantile(state.weights, SWING, axis=0)
    doubt = np.maximum(LEAST_DOUBT, DOUBT * error)
    return replace(prior, noise=min(noise, prior.noise), rate=prior.rate * doubt / (doubt + high - low))


def standard_errors(information: Float[np.ndarray, "k k"]) -> Float[np.ndarray, " k"]:
    """Of each weight if all others are unknown, too; at most `MOST_DOUBT`."""
    return np.sqrt(np.diag(np.linalg.inv(information + np.eye(len(information)) / MOST_DOUBT**2)))


def information(
    parts: tuple[Float[np.ndarray, "t 136 6"], Float[np.ndarray, "t 136 k"], Float[np.ndarray, "t 136"]],
    trust: Float[np.ndarray, "t 136"],
) -> tuple[Float[np.ndarray, "k k"], float]:
    """Mean information of a frame on the weights at a noise of 1 m, the camera being unknown; and the noise, metres,
    infinite where it cannot be told."""
    camera, by_weight, residual = parts
    root = np.sqrt(trust)
    design = (np.concatenate([camera, by_weight], 2) * root[..., None]).astype(np.float64)
    left, unknowns = residual * root, design.shape[2]
    both = design.transpose(0, 2, 1) @ design
    held = both.copy()
    held[:, range(unknowns), range(unknowns)] += 1e-9 * np.trace(both, axis1=1, axis2=2)[:, None]
    explained = np.linalg.solve(held, design.transpose(0, 2, 1) @ left[..., None])
    unexplained = left - (design @ explained)[..., 0]
    reduced = both[:, 6:, 6:] - both[:, 6:, :6] @ np.linalg.solve(held[:, :6, :6], both[:, :6, 6:])
    unknown = unknowns / left.shape[1] + 1 / len(left)  # the person's own shape is found once in all frames
    if unknown > MOST_UNKNOWN:
        return reduced.mean(0), float("inf")
    freedom = (1 - unknown) * trust.sum()
    return reduced.mean(0), float(np.sqrt((unexplained**2).sum() / max(freedom, 1e-9)))
