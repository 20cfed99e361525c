"""The heads that tracks show: pose and expression of their frames, and source frames moved by them, for episodes."""

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from talkinghead.portrait.warping.head_mesh import Person
from talkinghead.portrait.warping.layered_sources import LayeredSources
from talkinghead.rig.fitting.solver import State

KEPT = 1024
"""Tracks whose heads are kept."""

FITTED_ON = (1, 2, 4, 8)
"""A person's shape is taken from one of these numbers of frames, as avatars have one photo or several."""

MOST_TURNED = 50.0
"""Degrees between source and target beyond which a pair is not sought."""


@dataclass(frozen=True)
class TrackHead:
    """The head that a track shows."""

    person: Person
    states: State

    def turns(self, target: int) -> Float[np.ndarray, " t"]:
        """Degrees between the head's direction in each frame and in the target frame."""
        ahead = self.states.rotation[:, :, 2]
        return np.degrees(np.arccos(np.clip(ahead @ ahead[target], -1, 1)))

    def moved(
        self,
        photo: UInt8[np.ndarray, "h h 3"],
        landmarks: Float[np.ndarray, "68 2"],
        target: Float[np.ndarray, "68 2"],
        frames: tuple[int, int],
        size: int,
    ) -> UInt8[np.ndarray, "{size} {size} 6"]:
        """A frame of the track moved to another of its frames, with masks.

        Args:
            photo: the frame, at its own size.
            landmarks: in it.
            target: wanted landmarks.
            frames: indices of the frame and of the other one.
            size: side of the result, pixels.
        """
        here, there = (self.states.part(slice(index, index + 1)) for index in frames)
        sources = LayeredSources([photo], landmarks[None], person=self.person, states=here)
        return sources.moved(target[None], size, states=there, background=0)[0]


class TrackHeads:
    """Heads by track, fitted when they are first asked for; the last ones asked for are kept.

    Args:
        seed: of the choice of frames that a person's shape is taken from.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self._heads: OrderedDict[int, TrackHead] = OrderedDict()

    def of(self, track: int, landmarks: Float[np.ndarray, "t 68 2"]) -> TrackHead:
        """The head of a track with these landmarks."""
        if track not in self._heads:
            self._heads[track] = self._fitted(track, landmarks)
        self._heads.move_to_end(track)
        if len(self._heads) > KEPT:
            self._heads.popitem(last=False)
        return self._heads[track]

    def _fitted(self, track: int, landmarks: Float[np.ndarray, "t 68 2"]) -> TrackHead:
        rng = np.random.default_rng([self.seed, track])
        count = min(int(rng.choice(FITTED_ON)), len(landmarks))
        person = Person.fitted(landmarks[rng.choice(len(landmarks), count, replace=False)])
        return TrackHead(person, person.states(landmarks))


def turned_source(turns: Float[np.ndarray, " t"], among: Int[np.ndarray, " n"], rng: np.random.Generator) -> int:
    """One of some frames, the farther it is turned away from the target the likelier, but not beyond `MOST_TURNED`."""
    turned = turns[among]
    weight = np.where(turned <= MOST_TURNED, turned, 0) ** 2 + 1e-3
    return int(rng.choice(among, p=weight / weight.sum()))
