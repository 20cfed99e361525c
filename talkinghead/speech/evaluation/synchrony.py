"""How far a clip's sound lies from its picture, by what speech models make of the sound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from talkinghead.errors import UserError
from talkinghead.face.frames import correlation
from talkinghead.motion.motion import Motion
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.recordings import Take
from talkinghead.speech.evaluation.evaluation import motion_vertices
from talkinghead.speech.model import SpeechModel

RATE = 50
"""Frames a second at which mouths are compared."""

REACH = 0.5
"""Seconds that a mouth is shifted either way."""

LATE = {"karras": 0.04}
"""Seconds by which the mouth of a shipped model comes after that of people who talk: its speaker was filmed so."""

QUICK, SLOW = 0.03, 0.3
"""Seconds: what changes faster is noise, what changes slower is posture, and neither is compared."""

LEAST_SECONDS = 2.0
"""In less, chance correlations are as high as true ones."""

LEAST_CORRELATION = 0.25
LEAST_LEAD = 0.15
"""By how much the best lag must be better than any that is not its neighbour."""

_NEIGHBOURS = 0.12


@dataclass(frozen=True)
class Synchrony:
    """Where a mouth fits the sound best."""

    lag: float
    """Seconds that the mouth comes after the sound."""
    correlation: float
    """Of the mouth with the models' at that lag, their mean, -1..1."""
    lead: float
    """How much better that is than any lag further away."""

    @property
    def sure(self) -> bool:
        """Whether this mouth says this."""
        return self.correlation >= LEAST_CORRELATION and self.lead >= LEAST_LEAD

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {
            "sync_correlation": round(self.correlation, 3),
            "sync_lead": round(self.lead, 3),
        }


def synchrony(
    motion: Motion, waveform: Float[np.ndarray, " s"], rate: int, models: Sequence[SpeechModel]
) -> Synchrony | None:
    """Compare a mouth with those that models predict, at lags every 20 ms; None where there is too little to compare.

    Args:
        motion: the face, as weights of the default rig's expressions.
        waveform: -1..1, starting with the motion.
        rate: Hz.
        models: what they say is averaged, so that chance has to fool all of them.

    Raises:
        UserError: if the motion has no expressions of the default rig.
    """
    rig = default_rig()
    if motion.blendshapes is None or motion.blendshape_names != rig.expression_names:
        raise UserError(f"to compare a mouth with a model's, expressions of the rig {rig.name} are needed.")
    if motion.seconds < LEAST_SECONDS or len(waveform) / rate < LEAST_SECONDS:
        return None
    seen = rig.mouth_opening(rig.vertices(motion.blendshapes))
    count = int(min(motion.seconds, len(waveform) / rate) * RATE)
    truth = _syllables(np.interp(np.arange(count) / RATE, np.arange(len(seen)) / float(motion.fps), seen))
    if truth.std() < 1e-9:
        return None
    reach = round(REACH * RATE)
    curves = []
    for model in models:
        said = _syllables(rig.mouth_opening(motion_vertices(model.predict(waveform, rate, fps=Fraction(RATE)), rig)))
        late = round(LATE.get(model.kind, 0) * RATE)
        lags = range(-reach - late, reach + 1 - late)
        curves.append([correlation(said, truth, lag=lag) for lag in lags])
    curve = np.mean(curves, 0)
    best = int(curve.argmax())
    far = np.abs(np.arange(len(curve)) - best) > round(_NEIGHBOURS * RATE)
    return Synchrony((best - reach) / RATE, float(curve[best]), float(curve[best] - curve[far].max()))


def delay_by(models: Sequence[SpeechModel]) -> Callable[[Take], tuple[float, dict[str, Any]] | None]:
    """What gives a take's delay (seconds that its sound comes after its picture) and figures, or None if its mouth does
    not follow the sound."""

    def measure(take: Take) -> tuple[float, dict[str, Any]] | None:
        found = take.motion and synchrony(take.motion, take.waveform, take.sample_rate, models)
        return (-found.lag, found.to_dict()) if found and found.sure else None

    return measure


def _syllables(opening: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """What opens and shuts a few times a second."""
    opening = np.asarray(opening, np.float64)
    return gaussian_filter1d(opening, QUICK * RATE) - gaussian_filter1d(opening, SLOW * RATE)
