"""What a viewer notices in a face that speaks: lips that do not close, and a mood that changes nothing."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from talkinghead.face.frames import correlation
from talkinghead.rig.rig import Rig
from talkinghead.speech.model import KarrasModel

BILABIALS = frozenset("pbm")
VOWELS = frozenset("aeiouyɑɐæʌɒɔəɚɜɝɛɪʊʉɨøœɵɘɤɯɶ")
_MARKS = "ˈˌː"

SHUT = 1.5e-3
"""Metres: 3 % of the rig's mouth."""
SWEEP = 0.1
"""Seconds that one mouth is shifted against another to find how far apart their timing is."""


@dataclass(frozen=True)
class Phoneme:
    """A sound of speech and when it begins."""

    symbol: str
    """In the International Phonetic Alphabet; empty in pauses."""
    start: float
    """Seconds from the beginning."""
    end: float
    """Seconds: where the next one begins."""


@dataclass(frozen=True)
class Closure:
    """How well the lips close at p, b and m."""

    cases: int
    closed: int
    """Cases in which the mouth is, at its narrowest, less open than vowels are (median)."""
    closed_in_the_middle: int
    """The same, but half-way through the sound and not at its narrowest."""
    shut: int
    """Cases in which the lips meet: at its narrowest, the mouth is open by less than 3 % of its width."""
    bilabial: float
    """Median opening at p, b and m, metres."""
    vowel: float
    """Median opening in the middle of vowels, metres."""

    @property
    def share(self) -> float:
        """0..1; NaN without a case."""
        return self.closed / self.cases if self.cases else float("nan")


def check_bilabials(
    opening: Float[np.ndarray, " t"], fps: Fraction, phonemes: Sequence[Phoneme], *, slack: float = 0.0
) -> Closure:
    """Compare the mouth at p, b and m with the mouth in vowels.

    Args:
        opening: of the mouth, metres; frame `i` belongs to `i / fps` seconds.
        fps: frames a second.
        phonemes: what is said when.
        slack: seconds before and after the sound in which the lips may close.
    """
    rate, last = float(fps), len(opening) - 1
    vowels, middles, narrowest = [], [], []
    for phoneme in phonemes:
        symbol = phoneme.symbol.strip(_MARKS)
        middle = (phoneme.start + phoneme.end) / 2 * rate
        if symbol[:1] in VOWELS:
            vowels.append(_at(opening, middle))
        elif symbol[:1] in BILABIALS:
            middles.append(_at(opening, middle))
            start, end = (phoneme.start - slack) * rate, (phoneme.end + slack) * rate
            inside = opening[max(int(np.ceil(start)), 0) : int(np.floor(min(end, last))) + 1]
            narrowest.append(min([_at(opening, start), middles[-1], _at(opening, end), *inside.tolist()]))
    usual = float(np.median(vowels)) if vowels else float("nan")
    closed, in_the_middle = (sum(one < usual for one in cases) for cases in (narrowest, middles))
    shut = sum(one < SHUT for one in narrowest)
    typical = float(np.median(narrowest)) if narrowest else float("nan")
    return Closure(len(narrowest), closed, in_the_middle, shut, typical, usual)


@dataclass(frozen=True)
class EmotionEffect:
    """What another emotion changes at the same sound."""

    upper_face: float
    """Mean displacement of the upper face, metres."""
    mouth: float
    """Mean displacement of the lips, metres."""
    timing: float
    """Seconds that the mouth's movement comes later or earlier."""
    mouth_correlation: float
    """Of the speed of opening and closing, -1..1."""

    def __str__(self) -> str:
        upper, mouth, late = 1e3 * self.upper_face, 1e3 * self.mouth, 1e3 * self.timing
        return (
            f"another emotion at the same sound: upper face {upper:.3f} mm, lips {mouth:.3f} mm, the mouth's timing "
            f"{late:.0f} ms (its speed correlates with {self.mouth_correlation:.3f})"
        )


def compare_emotions(
    first: Float[np.ndarray, "t v 3"], second: Float[np.ndarray, "t v 3"], rig: Rig, *, fps: Fraction
) -> EmotionEffect:
    """Two predictions from the same sound with different emotions.

    Args:
        first: vertices of the rig, metres.
        second: the same with another emotion.
        rig: whose vertices they are.
        fps: frames a second.
    """
    away = np.linalg.norm(first - second, axis=-1).mean(0)
    speeds = [np.diff(rig.mouth_opening(one)) for one in (first, second)]
    reach = round(SWEEP * float(fps))
    scores = [correlation(speeds[0], speeds[1], lag=lag) for lag in range(-reach, reach + 1)]
    best = int(np.argmax(scores))
    return EmotionEffect(
        float(away[rig.upper_face_vertices].mean()),
        float(away[rig.lip_vertices].mean()),
        abs(best - reach) / float(fps),
        float(scores[reach]),
    )


def emotion_effect(
    model: KarrasModel, waveform: Float[np.ndarray, " s"], sample_rate: int, rig: Rig, *, fps: Fraction
) -> EmotionEffect | None:
    """What the model's other emotions change against its first at the same sound (mean); None if it has no other."""
    count = 0 if model.emotions is None else len(model.emotions)
    predictions = [model.predict(waveform, sample_rate, fps=fps, emotion=number).vertices for number in range(count)]
    faces = [vertices for vertices in predictions if vertices is not None]
    effects = [astuple(compare_emotions(faces[0], other, rig, fps=fps)) for other in faces[1:]]
    return EmotionEffect(*np.mean(effects, 0).tolist()) if effects else None


def _at(opening: Float[np.ndarray, " t"], frame: float) -> float:
    return float(np.interp(frame, np.arange(len(opening)), opening))
