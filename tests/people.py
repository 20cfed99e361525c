"""A tiny head and a drawn person for the tests of avatars."""

from dataclasses import replace

import numpy as np
import torch

from talkinghead.portrait.data.photos import Photos
from talkinghead.portrait.networks.config import CompositingConfig, PortraitConfig
from talkinghead.portrait.networks.head import FewShotHead, folded
from talkinghead.rig.files.own import average_face
from talkinghead.testing.synthetic import draw_sequence, random_motion

TINY = PortraitConfig(size=64, min_channels=4, max_channels=16, embedding_dim=16, attention=False)

PAINTER = replace(TINY, compositing=CompositingConfig())
"""The same over a warped source."""


def tiny_head(*, seed: int = 0, config: PortraitConfig = TINY) -> FewShotHead:
    """A folded head with random weights, as one read from a file is."""
    torch.manual_seed(seed)
    return folded(FewShotHead(config)).eval()


def drawn_photos(count: int = 3, *, person: int = 1, size: int = TINY.size) -> Photos:
    """Photos of a drawn person."""
    frames, landmarks = draw_sequence(person, random_motion(10 * count, seed=person)[::10], size=size)
    return Photos(frames, landmarks, tuple(f"{i}.png" for i in range(count)), tuple("abcdefgh"[:count]))


def turned_face(degrees: float) -> np.ndarray:
    """The average face turned to the side, in the middle of a crop."""
    angle = np.radians(degrees)
    x, y, z = average_face().neutral.T
    return (np.stack([x * np.cos(angle) - z * np.sin(angle), -y], -1) * 3.4 + 0.5).astype(np.float32)
