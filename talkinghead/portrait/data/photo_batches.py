"""Batches of a person's photos, each time changed a little, for fine-tuning."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from talkinghead.face.draw import draw_many
from talkinghead.media.image import frame_to_tensor
from talkinghead.portrait.data.augment import AugmentConfig, EpisodeAugmentation
from talkinghead.portrait.data.photos import Photos
from talkinghead.portrait.warping.layered_sources import LayeredSources
from talkinghead.portrait.warping.source_photos import MOST, SourcePhotos, blend, source_distances
from talkinghead.portrait.warping.warp import Warp

Batch = dict[str, Tensor]
"""frame (b,3,h,w), landmark_image (b,3,h,w), landmarks (b,68,2), warped_source (b,c,h,w) where asked for: see
`CompositingConfig.channels`."""


class PhotoBatches:
    """Batches by number; batch i is a function of the seed and i.

    Args:
        photos: of one person.
        steps: how many batches.
        batch_size: photos a batch; all of them where there are fewer.
        augment: changes, drawn for each photo of each batch.
        seed: of all draws.
        warped_source: warp photos to the landmarks of each.
    """

    def __init__(
        self,
        photos: Photos,
        *,
        steps: int,
        batch_size: int,
        augment: AugmentConfig,
        seed: int = 0,
        warped_source: bool = False,
    ):
        self.photos, self.steps, self.augment, self.seed = photos, steps, augment, seed
        self.warped_source = warped_source
        self.batch_size = min(batch_size, len(photos))
        self.sources = SourcePhotos(photos.frames, photos.landmarks)

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
        frames, landmarks, drawn, warped = [], [], [], []
        for index in self.indices(number):
            change = self._change(rng)
            frame, points = (part[0] for part in self._changed(np.array([index]), change))
            shaken = points + rng.normal(0, self.augment.landmark_noise, (68, 2)).astype(np.float32)
            frames.append(frame)
            landmarks.append(points)
            drawn.append(shaken)
            if self.warped_source:
                sources = zip(*self._sources(index, change, rng), strict=True)
                warped.append(blend([Warp(photo, points) for photo, points in sources], shaken))
        return to_batch(
            np.stack(frames), np.stack(landmarks), drawn=np.stack(drawn), warped=np.stack(warped) if warped else None
        )

    def _change(self, rng: np.random.Generator) -> EpisodeAugmentation:
        return EpisodeAugmentation(self.augment, self.photos.frames.shape[1], rng)

    def _changed(
        self, indices: Int[np.ndarray, " k"], change: EpisodeAugmentation
    ) -> tuple[UInt8[np.ndarray, "k s s 3"], Float[np.ndarray, "k 68 2"]]:
        """Photos and their landmarks after a change."""
        return change.frames(self.photos.frames[indices]), change.landmarks(self.photos.landmarks[indices])

    def _sources(
        self, index: int, change: EpisodeAugmentation, rng: np.random.Generator
    ) -> tuple[UInt8[np.ndarray, "k s s 3"], Float[np.ndarray, "k 68 2"]]:
        """The photos that draw photo ``index``: others of its scene, changed alike; an only one, changed otherwise.

        Of the others it is a random half, so that each photo is drawn from several, far and near. A photo of another
        scene would teach to paint the mean of all backgrounds, so a photo that has no like is drawn from itself.
        """
        if len(self.photos) == 1:
            again = self._change(rng)
            again.mirror = change.mirror
            return self._changed(np.array([index]), again)
        others = self.sources.others(index)
        half = rng.choice(others, (len(others) + 1) // 2, replace=False)
        nearest = np.argsort(source_distances(self.photos.landmarks[index], self.photos.landmarks[half]))
        return self._changed(half[nearest[: MOST + 1]], change)


def to_batch(
    frames: UInt8[np.ndarray, "b s s 3"],
    landmarks: Float[np.ndarray, "b 68 2"],
    *,
    drawn: Float[np.ndarray, "b 68 2"] | None = None,
    warped: UInt8[np.ndarray, "b s s c"] | None = None,
) -> Batch:
    """Frames and landmarks as the networks take them.

    Args:
        frames: of a person.
        landmarks: in them.
        drawn: landmarks to draw instead.
        warped: a photo moved to the landmarks, for each frame; with its masks where the head takes them.
    """
    batch = {
        "frame": frame_to_tensor(frames),
        "landmark_image": draw_many(landmarks if drawn is None else drawn, frames.shape[1]),
        "landmarks": torch.from_numpy(landmarks),
    }
    return batch if warped is None else batch | {"warped_source": frame_to_tensor(warped)}


class LayeredBatches(PhotoBatches):
    """Batches for a head that takes its warped source in layers: photos are moved at their own size, then changed.

    Args:
        photos: of one person, at their own size.
        size: side of the frames, pixels.
        steps, batch_size, augment, seed: as for `PhotoBatches`.
    """

    def __init__(
        self, photos: Photos, size: int, *, steps: int, batch_size: int, augment: AugmentConfig, seed: int = 0
    ):
        super().__init__(photos.at(size), steps=steps, batch_size=batch_size, augment=augment, seed=seed)
        small = photos.at(min(photos.side, 2 * size))
        self.layered = LayeredSources(list(small.frames), small.landmarks)

    def batch(self, number: int) -> Batch:
        """Batch ``number``."""
        rng = np.random.default_rng([self.seed, 1, number])
        parts = [self._sample(index, rng) for index in self.indices(number)]
        frames, landmarks, drawn, warped = (np.stack(part) for part in zip(*parts, strict=True))
        return to_batch(frames, landmarks, drawn=drawn, warped=warped)

    def _sample(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Frame, landmarks, what is drawn, and the warped source of a photo."""
        change = self._change(rng)
        frame, points = (part[0] for part in self._changed(np.array([index]), change))
        noise = rng.normal(0, self.augment.landmark_noise, (68, 2)).astype(np.float32)
        if len(self.photos) == 1:
            return frame, points, points + noise, self._from_itself(points + noise, change, rng)
        raw = self.photos.landmarks[index] + noise
        others = self.layered.others(index)
        half = rng.choice(others, (len(others) + 1) // 2, replace=False)
        state = self.layered.states.part(slice(index, index + 1))
        size = self.photos.side
        moved = self.layered.moved(raw[None], size, states=state, among=[half])[0]
        return frame, points, change.landmarks(raw[None])[0], change.warped_source(moved)

    def _from_itself(
        self, target: Float[np.ndarray, "68 2"], change: EpisodeAugmentation, rng: np.random.Generator
    ) -> UInt8[np.ndarray, "s s 6"]:
        """An only photo, changed otherwise, moved to its own changed landmarks."""
        photo, person = self.layered.photos[0], self.layered.person
        again = EpisodeAugmentation(self.augment, len(photo), rng)
        again.mirror, again.colours = change.mirror, change.colours  # in the same light
        landmarks = np.stack([again.landmarks(self.photos.landmarks)[0], target]).astype(np.float32)
        alpha = np.rint(255 * self.layered.layered(0).alpha).astype(np.uint8)
        alpha = again.frames(np.dstack([alpha] * 3)[None], colour=False)[0, ..., 0].astype(np.float32) / 255
        states = person.states(landmarks)
        here, there = (states.part(slice(i, i + 1)) for i in range(2))
        sources = LayeredSources(
            list(again.frames(photo[None])), landmarks[:1], person=person, states=here, alphas=[alpha]
        )
        return sources.moved(landmarks[1:], self.photos.side, states=there)[0]


def held_out_batch(photos: Photos, batches: PhotoBatches) -> Batch:
    """Photos to stop by, at their own size, as the ones that are learnt from would be moved to them."""
    small = photos.at(batches.photos.side)
    if isinstance(batches, LayeredBatches):
        return to_batch(small.frames, small.landmarks, warped=batches.layered.moved(small.landmarks, small.side))
    warped = batches.sources.moved(small.landmarks) if batches.warped_source else None
    return to_batch(small.frames, small.landmarks, warped=warped)
