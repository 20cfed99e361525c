"""Telling the people of one clip apart."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import dlib
import numpy as np
from jaxtyping import Float

from talkinghead.face.frames import evenly_spread
from talkinghead.portrait.data.preparation.cropping import read_part
from talkinghead.portrait.data.shards import Track
from talkinghead.weights.shipped import FACE_MODEL, dlib_model

SAME_PERSON = 0.6
"""Distance of dlib's face descriptors under which two tracks of a clip show one person: dlib's own threshold."""

FRAMES = 5
"""Frames of a track that are compared."""


def name_people(identity: str, parts: Sequence[Path]) -> list[str]:
    """Who each track of a clip shows: `identity` for the person seen longest, `identity#2` ... for the others.

    A folder says who a clip is about, not who else is in it. Clips with one track cost nothing.

    Args:
        identity: who the clip shows.
        parts: the tracks, as `cropping.store_tracks` wrote them.
    """
    if len(parts) < 2:
        return [identity] * len(parts)
    tracks = [_summary(read_part(part)) for part in parts]
    known: list[Float[np.ndarray, " e"]] = []
    names = [""] * len(tracks)
    for number in sorted(range(len(tracks)), key=lambda number: (-tracks[number][0], number)):
        descriptor = tracks[number][1]
        distances = [float(np.linalg.norm(descriptor - other)) for other in known]
        person = int(np.argmin(distances)) if distances and min(distances) < SAME_PERSON else len(known)
        if person == len(known):
            known.append(descriptor)
        names[number] = identity if person == 0 else f"{identity}#{person + 1}"
    return names


def _summary(track: Track) -> tuple[int, Float[np.ndarray, " e"]]:
    """The length of a track, and the mean face descriptor of a few frames spread over it."""
    chosen = evenly_spread(len(track), FRAMES)
    whole = dlib.rectangle(0, 0, track.side - 1, track.side - 1)
    descriptors = []
    for frame, landmarks in zip(track.frames(chosen.tolist()), track.landmarks[chosen], strict=True):
        points = [dlib.point(round(float(x)), round(float(y))) for x, y in landmarks * track.side - 0.5]
        shape = dlib.full_object_detection(whole, points)
        descriptors.append(np.array(_network().compute_face_descriptor(frame, shape)))
    return len(track), np.mean(descriptors, 0)


@cache
def _network() -> Any:
    """dlib's face network, read once in a process. (`face.identity` has it in torch, which workers do without.)"""
    return dlib.face_recognition_model_v1(str(dlib_model(FACE_MODEL)))
