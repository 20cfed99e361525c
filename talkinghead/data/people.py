"""Telling the people of one clip apart."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from talkinghead.data.cropping import read_part
from talkinghead.data.shards import Track

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
    tracks = [read_part(part) for part in parts]
    descriptors = [_descriptor(track) for track in tracks]
    known: list[Float[np.ndarray, " e"]] = []
    names = [""] * len(tracks)
    for number in sorted(range(len(tracks)), key=lambda number: (-len(tracks[number]), number)):
        distances = [float(np.linalg.norm(descriptors[number] - other)) for other in known]
        person = int(np.argmin(distances)) if distances and min(distances) < SAME_PERSON else len(known)
        if person == len(known):
            known.append(descriptors[number])
        names[number] = identity if person == 0 else f"{identity}#{person + 1}"
    return names


def _descriptor(track: Track) -> Float[np.ndarray, " e"]:
    """The mean face descriptor of a few frames spread over a track."""
    import torch

    from talkinghead.face.identity import embed_faces

    chosen = np.unique(np.linspace(0, len(track) - 1, FRAMES).round().astype(int))
    frames = torch.from_numpy(track.frames(chosen.tolist())).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        return embed_faces(frames, torch.from_numpy(track.landmarks[chosen])).mean(0).numpy()
