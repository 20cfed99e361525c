"""Batches of a person's photos, each time changed a little, for fine-tuning."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from talkinghead.data.augment import AugmentConfig, EpisodeAugmentation
from talkinghead.data.photos import Photos
from talkinghead.face.draw import draw_many
from talkinghead.media.image import frame_to_tensor

Batch = dict[str, Tensor]
"""frame (b,3,h,w), landmark_image (b,3,h,w), landmarks (b,68,2)."""


class PhotoBatches:
    """Batches by number; batch i is a function of the seed and i.

    Args:
        photos: of one person.
        steps: how many batches.
        batch_size: photos a batch; all of them where there are fewer.
        augment: changes, drawn for each photo of each batch.
        seed: of all draws.
    """

    def __init__(self, photos: Photos, *, steps: int, batch_size: int, augment: AugmentConfig, seed: int = 0):
        self.photos, self.steps, self.augment, self.seed = photos, steps, augment, seed
        self.batch_size = min(batch_size, len(photos))

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        return map(self.batch, range(self.steps))

    def indices(self, number: int) -> list[int]:
        """The photos of batch ``number``: in random order, each once before any comes again."""
        chosen = []
        for place in range(number * self.batch_size, (number + 1) * self.batch_size):
            epoch, index = divmod(place, len(self.photos))
            order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.photos))
            chosen.append(int(order[index]))
        return chosen

    def batch(self, number: int) -> Batch:
        """Batch ``number``."""
        rng = np.random.default_rng([self.seed, 1, number])
        frames, landmarks = [], []
        for index in self.indices(number):
            change = EpisodeAugmentation(self.augment, self.photos.frames.shape[1], rng)
            frames.append(change.frames(self.photos.frames[index, None])[0])
            landmarks.append(change.landmarks(self.photos.landmarks[index, None])[0])
        noise = rng.normal(0, self.augment.landmark_noise, (len(frames), 68, 2)).astype(np.float32)
        return to_batch(np.stack(frames), np.stack(landmarks), noise=noise)


def to_batch(
    frames: UInt8[np.ndarray, "b s s 3"],
    landmarks: Float[np.ndarray, "b 68 2"],
    *,
    noise: Float[np.ndarray, "b 68 2"] | None = None,
) -> Batch:
    """Frames and landmarks as the networks take them; noise shakes the drawn landmarks alone."""
    drawn = landmarks if noise is None else landmarks + noise
    return {
        "frame": frame_to_tensor(frames),
        "landmark_image": draw_many(drawn, frames.shape[1]),
        "landmarks": torch.from_numpy(landmarks),
    }
