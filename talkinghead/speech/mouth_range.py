"""How far a mouth that speaks opens: as far as people's do, and shut at p, b and m.

A network that learns means moves the mouth less than people do, and rests between open and shut. What is missing is
measured after training, on the training data, as two numbers: the opening that the network says for lips that are
shut, and how many times larger people's openings are. The jaw is then moved by what is missing. Where hama hears a
sound that lips are shut for, they are shut: the networks smooth these sounds away, which are as short as two frames.
"""

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Float, Float32
from scipy.ndimage import binary_opening, gaussian_filter1d

from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.phonetics import ARTICULATORY, PHONETIC_RATE

LEAST_GAIN, MOST_GAIN = 1.0, 2.0
"""Bounds of how much larger openings are made, when that is measured."""
LARGEST_GAIN = 5.0
"""What a file may ask for."""

LARGEST_MOUTH = 0.1
"""Metres."""
QUIET_WINDOW, QUIETEST, QUIET_SHARE = 0.03, 1e-3, 0.06
"""Seconds to either side whose loudness counts; what is silent (full scale 1), or beside the voice's loud parts."""
LONG_PAUSE, FADE = 0.25, 0.05
"""Seconds of silence from which lips come to rest, and over which they do."""
LIPS_SHUT = tuple(list(ARTICULATORY).index(name) for name in ("bilabial stop", "bilabial nasal"))
"""Columns of the phonetic scores: p, b and m."""
HEARD, SURE = 0.05, 0.2
"""Probabilities from which a sound counts, and counts fully."""
EARLY = 0.04
"""Seconds that lips are shut before hama hears it: it hears the release (measured on 61 sounds by espeak-ng)."""
FULLY, NO_MORE = 0.02, 0.06
"""Seconds around that time within which the lips are fully shut, and beyond which the sound shuts them no more."""


REST = 0.05
"""The share of a person's frames that are taken as shut."""
SHARES_SHUT = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
"""Shares of the frames in which a network's mouth may be taken as shut."""
MOST_REST = 4e-3
"""Metres."""


@dataclass(frozen=True)
class MouthRange:
    """How openings are changed: `gain` times what they exceed `shut` by.

    Args:
        shut: the opening that stands for shut lips, metres.
        gain: 1 leaves the movement as large as it is.

    Raises:
        ValueError: if the numbers are out of all reason.
    """

    shut: float
    gain: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.shut) and abs(self.shut) < LARGEST_MOUTH and 0 < self.gain <= LARGEST_GAIN):
            raise ValueError(f"a mouth's range of {self.shut} m and {self.gain} times is none")

    def wanted(
        self, opening: Float[np.ndarray, " t"], closing: Float[np.ndarray, " t"] | None = None
    ) -> Float[np.ndarray, " t"]:
        """Openings of the lips, metres.

        Args:
            opening: as a network says them.
            closing: how surely the lips are shut, 0..1.
        """
        wider = np.maximum(self.gain * (opening - self.shut), 0.0)
        return wider if closing is None else wider * (1 - closing)

    def weights(
        self, weights: Float32[np.ndarray, "t 46"], closing: Float[np.ndarray, " t"] | None = None
    ) -> Float32[np.ndarray, "t 46"]:
        """The rig's expressions with the jaw opened or closed by what is missing; what it cannot close, the lips do."""
        opening = opening_of_weights(weights)
        by_jaw, by_lips = _effects()
        changed = weights.copy()
        jaw = weights[:, _JAW] + (self.wanted(opening, closing) - opening) / by_jaw
        changed[:, _JAW] = np.clip(jaw, 0, 1)
        changed[:, _CLOSE] = np.clip(weights[:, _CLOSE] + np.minimum(jaw, 0) * by_jaw / by_lips, 0, 1)
        return changed

    def vertices(
        self, vertices: Float32[np.ndarray, "t v 3"], closing: Float[np.ndarray, " t"] | None = None
    ) -> Float32[np.ndarray, "t v 3"]:
        """Vertices of the default rig with the jaw opened or closed by what is missing."""
        opening = opening_of_vertices(vertices)
        jaw = default_rig().expressions[_JAW] / _effects()[0]
        return (vertices + (self.wanted(opening, closing) - opening)[:, None, None] * jaw).astype(np.float32)


def matched(predicted: list[Float[np.ndarray, " t"]], truth: list[Float[np.ndarray, " t"]]) -> MouthRange:
    """The range that brings what a network says to how far people open their mouths.

    Openings are to spread as far as people's do; of all ranges that do so, it is the one nearest to the truth. Each
    person's rest is taken out of the truth: trackers see the shut lips of some people as open.

    Args:
        predicted: openings of each sequence, metres, as the network says them.
        truth: of the same sequences; where one is longer, its end is left out.

    Raises:
        ValueError: if there is no sequence.
    """
    if not predicted:
        raise ValueError("no sequence to measure the mouth on")
    lengths = [min(len(said), len(seen)) for said, seen in zip(predicted, truth, strict=True)]
    said = [one[:length] for one, length in zip(predicted, lengths, strict=True)]
    people = [np.maximum(one - np.quantile(one, REST), 0)[:length] for one, length in zip(truth, lengths, strict=True)]
    spread = np.mean([one.std() for one in people])
    found = []
    for share in SHARES_SHUT:
        shut = float(np.quantile(np.concatenate(said), share))
        moved = np.mean([np.maximum(one - shut, 0).std() for one in said])
        mouth = MouthRange(shut, float(np.clip(spread / max(float(moved), 1e-6), LEAST_GAIN, MOST_GAIN)))
        errors = [np.mean((mouth.wanted(one) - seen) ** 2) for one, seen in zip(said, people, strict=True)]
        found.append((float(np.mean(errors)), share, mouth))
    return min(found, key=lambda one: one[:2])[2]


def on_unseen(
    mouth: MouthRange, predicted: list[Float[np.ndarray, " t"]], truth: list[Float[np.ndarray, " t"]]
) -> MouthRange:
    """The same range with the gain that lets openings spread as far as those of people who were not learnt from.

    A network moves the mouths of unseen people otherwise than of those it knows, and lips that shut at p, b and m and
    rest in pauses spread the opening, too.

    Args:
        mouth: the range.
        predicted: openings of each sequence, metres, as they are with this range.
        truth: of the same sequences; where one is longer, its end is left out.
    """
    lengths = [min(len(said), len(seen)) for said, seen in zip(predicted, truth, strict=True)]
    pairs = [(said[:length], seen[:length]) for said, seen, length in zip(predicted, truth, lengths, strict=True)]
    spread = float(np.average([said.std() / max(seen.std(), 1e-6) for said, seen in pairs], weights=lengths))
    return replace(mouth, gain=float(np.clip(mouth.gain / max(spread, 1e-6), LEAST_GAIN, MOST_GAIN)))


def shut_at_rest(weights: Float32[np.ndarray, "t 46"]) -> Float32[np.ndarray, "t 46"]:
    """Tracked expressions of one person with the mouth shut where it is shut most: trackers see some lips as open.

    No more than 4 mm are taken: who never shuts the mouth in a clip keeps it open.
    """
    rest = float(np.clip(np.quantile(opening_of_weights(weights), REST), 0, MOST_REST))
    return MouthRange(rest, 1.0).weights(weights)


def closing_of(scores: Float32[np.ndarray, "n 29"], times: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """How surely the lips are shut at these seconds, 0..1, from hama's phonetic scores."""
    if not len(scores):
        return np.zeros(len(times))
    probability = np.exp(scores - scores.max(1, keepdims=True))
    probability = probability[:, LIPS_SHUT].sum(1) / probability.sum(1)
    rows = np.flatnonzero(probability >= HEARD)
    if not len(rows):
        return np.zeros(len(times))
    away = np.abs(np.asarray(times)[:, None] - (rows / PHONETIC_RATE - EARLY))
    near = np.clip((NO_MORE - away) / (NO_MORE - FULLY), 0, 1)
    return (near * np.minimum(probability[rows] / SURE, 1)).max(1)


def quiet_of(waveform: Float[np.ndarray, " s"], rate: int, times: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
    """How surely nobody speaks at these seconds, 0..1: pauses that are long enough for the lips to rest."""
    reach = max(round(QUIET_WINDOW * rate), 1)
    power = np.concatenate([[0.0], np.cumsum(np.asarray(waveform, np.float64) ** 2)])
    middle = np.round(np.asarray(times) * rate).astype(int)
    first, last = (np.clip(middle + edge, 0, len(waveform)) for edge in (-reach, reach))
    loud = np.sqrt((power[last] - power[first]) / np.maximum(last - first, 1))
    if not len(loud):
        return np.zeros(0)
    quiet = loud < max(QUIETEST, QUIET_SHARE * float(np.quantile(loud, 0.95)))
    frame = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    long = max(round(LONG_PAUSE / frame), 1)
    resting = binary_opening(np.pad(quiet, long, constant_values=True), np.ones(long))[long:-long] & quiet
    return np.asarray(gaussian_filter1d(resting.astype(np.float64), FADE / frame, mode="nearest")) * quiet


def opening_of_weights(weights: Float32[np.ndarray, "t 46"]) -> Float[np.ndarray, " t"]:
    """The lips' opening, metres, negative where they would cross."""
    rest, added = default_rig().lip_gap()
    return (rest + weights @ added) @ _direction()


def opening_of_vertices(vertices: Float32[np.ndarray, "t v 3"]) -> Float[np.ndarray, " t"]:
    """The same, of vertices of the default rig."""
    points = default_rig().landmarks_3d(vertices)
    return (points[:, 62] - points[:, 66]) @ _direction()


@cache
def _direction() -> Float32[np.ndarray, " 3"]:
    """Which way the jaw opens the lips."""
    opened = default_rig().lip_gap()[1][_JAW]
    return opened / np.linalg.norm(opened)


@cache
def _effects() -> tuple[float, float]:
    """Metres by which the jaw opens the lips, and (negative) by which `mouthClose` closes them."""
    added = default_rig().lip_gap()[1] @ _direction()
    return float(added[_JAW]), float(added[_CLOSE])


_JAW, _CLOSE = RIG_NAMES.index("jawOpen"), RIG_NAMES.index("mouthClose")
