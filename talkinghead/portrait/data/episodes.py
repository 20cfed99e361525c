"""K-shot episodes for meta-learning: K source frames and one other target frame of the same track.

Episode number i is a function of the seed and i alone. A run that stops can go on from a count, and any number of
processes or workers draws the same episodes.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from talkinghead.errors import UserError
from talkinghead.face.draw import draw_tensor
from talkinghead.media.image import pixels_to_floats, resize
from talkinghead.portrait.data.augment import NO_AUGMENTATION, EpisodeAugmentation
from talkinghead.portrait.data.episodes_config import EpisodeConfig, EpisodeDataConfig
from talkinghead.portrait.data.shards import DamagedTrackError, Shards, Track
from talkinghead.portrait.data.track_heads import TrackHead, TrackHeads, turned_source
from talkinghead.portrait.warping.source_photos import nearest_source
from talkinghead.portrait.warping.warp import Warp

_OPEN_TRACKS = 64

_MOST_REDRAWN = 20
"""Damaged tracks in a row that an episode may meet."""

_log = logging.getLogger(__name__)
_KNOWN_TRACKS = 4096
"""Whose landmarks are kept: those of 100 frames take 54 KB, so that a worker keeps 0.2 GiB of them."""

Packed = dict[str, Tensor]
"""frames (k+1,h,w,3) and warped_source (h,w,c) where asked for, both uint8, drawn (k+1,68,2), landmarks to be drawn,
target_landmarks (68,2), video_index (); the target comes last. Batches carry one more axis in front. What a worker
hands to the training: an eighth of the bytes of an `Episode`."""

Episode = dict[str, Tensor]
"""source_frames (k,3,h,w), source_landmark_images, target_frame (3,h,w), target_landmark_image, target_landmarks
(68,2), warped_source (c,h,w) where asked for, video_index (); batches carry one more axis in front."""

TURNED = 0.5
"""How often, for a head in layers, the photo that is moved is sought among those that are turned away."""

CANDIDATES = 24
"""Frames among which it is sought."""

NEAREST = 0.5
"""How often the photo that is warped is the nearest of the sources; else it is any of them, so that far ones occur."""


@dataclass(frozen=True)
class Draw:
    """Which frames of which track make an episode."""

    track: int
    sources: np.ndarray
    target: int
    warped: int | None = None
    """Which of the sources is moved to the target; None leaves it to chance."""


def unpacked(packed: Packed) -> Episode:
    """What the networks take, made on the device that holds the frames."""
    frames, pictures = pixels_to_floats(packed["frames"]), draw_tensor(packed["drawn"], packed["frames"].shape[-2])
    episode = {
        "source_frames": frames[..., :-1, :, :, :],
        "source_landmark_images": pictures[..., :-1, :, :, :],
        "target_frame": frames[..., -1, :, :, :],
        "target_landmark_image": pictures[..., -1, :, :, :],
        "target_landmarks": packed["target_landmarks"],
        "video_index": packed["video_index"],
    }
    if "warped_source" in packed:
        episode["warped_source"] = pixels_to_floats(packed["warped_source"])
    return episode


class Episodes(Dataset[Packed]):
    """Episodes by number, without end.

    Args:
        shards: prepared tracks.
        config: what an episode is.
        skip_damaged: draw an episode again where its track is damaged, and say so; else that is an error.

    Raises:
        UserError: if no track has more than K usable frames.

    References:
        Zakharov et al. 2019, section 3.2.
    """

    def __init__(self, shards: Shards, config: EpisodeConfig, *, skip_damaged: bool = False):
        self.shards, self.config = shards, config
        self.skip_damaged, self.skipped = skip_damaged, 0
        self._cache: dict[tuple[int, int], np.ndarray] = {}
        self._cache_room = int(config.cache_gib * 2**30 / (3 * config.size**2))
        self._open_tracks: dict[int, Track] = {}
        self._heads = TrackHeads(config.seed)
        self._known: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()
        self.column, self.videos = shards.about.columns()
        self.usable = np.flatnonzero(shards.about.frames > config.shots)
        if not len(self.usable):
            raise UserError(
                f"{shards.path} holds no track with more than {config.shots} usable frames; prepare longer clips "
                "or lower --data.shots"
            )
        who = shards.about.person[self.usable]
        order = np.argsort(who, kind="stable")
        self._people = np.split(self.usable[order], np.flatnonzero(np.diff(who[order])) + 1)

    def draw(self, number: int, *, again: int = 0) -> tuple[Draw, np.random.Generator]:
        """The frames of episode ``number``, and the generator for its further draws; others where it is drawn again."""
        rng = np.random.default_rng([self.config.seed, number, again] if again else [self.config.seed, number])
        if self.config.balance:
            tracks = self._people[rng.integers(len(self._people))]
            track = int(tracks[rng.integers(len(tracks))])
        else:
            track = int(self.usable[rng.integers(len(self.usable))])
        sure = self._sure_frames(track)
        chosen = rng.choice(sure, self.config.shots + 1, replace=False)
        sources, target = chosen[:-1], int(chosen[-1])
        others = sure[~np.isin(sure, chosen)]
        if self._in_layers and len(others) and rng.random() < TURNED:
            turns = self._head(track).turns(target)
            sources[0] = turned_source(turns, rng.permutation(others)[:CANDIDATES], rng)
            return Draw(track, sources, target, warped=0), rng
        return Draw(track, sources, target), rng

    @property
    def _in_layers(self) -> bool:
        return self.config.compositing is not None and self.config.compositing.layers

    def _head(self, track: int) -> TrackHead:
        return self._heads.of(track, self.landmarks(track)[0])

    def _track(self, index: int) -> Track:
        """A track with its encoded frames; the last few stay open."""
        if index not in self._open_tracks:
            if len(self._open_tracks) >= _OPEN_TRACKS:
                del self._open_tracks[next(iter(self._open_tracks))]
            self._open_tracks[index] = self.shards[index]
        return self._open_tracks[index]

    def landmarks(self, track: int) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks and confidence of every frame of a track; of the tracks asked for last they are kept."""
        if track not in self._known:
            opened = self._track(track)
            self._known[track] = (opened.landmarks.copy(), opened.confidence.copy())  # not views of the whole track
        self._known.move_to_end(track)
        if len(self._known) > _KNOWN_TRACKS:
            self._known.popitem(last=False)
        return self._known[track]

    def _sure_frames(self, track: int) -> np.ndarray:
        """Frames whose landmarks are sure enough; if they are too few for an episode, the surest."""
        confidence = self.landmarks(track)[1]
        sure = np.flatnonzero(confidence >= self.config.min_confidence)
        return (
            sure if len(sure) > self.config.shots else np.argsort(-confidence, kind="stable")[: self.config.shots + 1]
        )

    def _frame(self, track: int, index: int) -> np.ndarray:
        key = (track, index)
        if key in self._cache:
            return self._cache[key]
        frame = resize(self._track(track).frames([index])[0], self.config.size)
        if len(self._cache) < self._cache_room:
            self._cache[key] = frame
        return frame

    def __getitem__(self, number: int) -> Packed:
        for again in range(_MOST_REDRAWN):
            try:
                return self._episode(*self.draw(number, again=again))
            except DamagedTrackError as error:
                if not self.skip_damaged:
                    raise
                self.skipped += 1
                _log.warning("episode %d is drawn again (%d so far): %s", number, self.skipped, error)
        raise DamagedTrackError(f"{self.shards.path}: {_MOST_REDRAWN} tracks in a row are damaged; prepare them again.")

    def _episode(self, draw: Draw, rng: np.random.Generator) -> Packed:
        indices = [*map(int, draw.sources), draw.target]
        frames = np.stack([self._frame(draw.track, index) for index in indices])
        landmarks = self.landmarks(draw.track)[0][indices]
        change = EpisodeAugmentation(self.config.augment, self.config.size, rng)
        raw, frames, landmarks = landmarks, change.frames(frames), change.landmarks(landmarks)
        noise = rng.normal(0, 1, landmarks.shape).astype(np.float32) * self.config.augment.landmark_noise
        drawn = change.landmarks(raw + noise) if self._in_layers else landmarks + noise
        episode = {
            "frames": torch.from_numpy(frames),
            "drawn": torch.from_numpy(drawn.astype(np.float32)),
            "target_landmarks": torch.from_numpy(landmarks[-1]),
            "video_index": torch.tensor(int(self.column[draw.track])),
        }
        if self.config.compositing is not None:
            source = self._warped(draw, drawn, rng)
            if self._in_layers:
                pair = indices[source], indices[-1]
                photo = self._track(draw.track).frames([pair[0]])[0]
                wanted = (raw + noise)[-1].astype(np.float32)
                moved = self._head(draw.track).moved(photo, raw[source], wanted, pair, self.config.size)
                episode["warped_source"] = torch.from_numpy(change.warped_source(moved))
            else:
                moved = Warp(frames[source], landmarks[source]).to(drawn[-1])
                episode["warped_source"] = torch.from_numpy(np.ascontiguousarray(moved))
        return episode

    def _warped(self, draw: Draw, drawn: np.ndarray, rng: np.random.Generator) -> int:
        """Which of the sources is moved to the target."""
        if draw.warped is not None:
            return draw.warped
        nearest = rng.random() < NEAREST
        return nearest_source(drawn[-1], drawn[:-1]) if nearest else int(rng.integers(self.config.shots))


class CountingSampler(Sampler[int]):
    """Episode numbers from a start on; each of ``world`` processes takes its part of every batch."""

    def __init__(self, start: int, stop: int, *, batch_size: int, rank: int = 0, world: int = 1):
        self.start, self.stop, self.batch_size, self.rank, self.world = start, stop, batch_size, rank, world

    def __iter__(self) -> Iterator[int]:
        for first in range(self.start, self.stop, self.batch_size * self.world):
            yield from range(first + self.rank * self.batch_size, first + (self.rank + 1) * self.batch_size)

    def __len__(self) -> int:
        return (self.stop - self.start) // self.world


class EpisodeData(LightningDataModule):
    """Training episodes from a folder of shards.

    Args:
        config: which, and what they are.

    Raises:
        UserError: if no track has enough usable frames.
    """

    def __init__(self, config: EpisodeDataConfig):
        super().__init__()
        self.config = config
        self.episodes = Episodes(Shards(config.shards), config, skip_damaged=True)
        self.held_out = None
        if config.validation is not None:
            self.held_out = Episodes(Shards(config.validation), replace(config, augment=NO_AUGMENTATION))
        self.videos = self.episodes.videos
        self.first_step = 0
        self.steps = 0

    def on_after_batch_transfer(self, batch: Packed, dataloader_idx: int) -> Episode:
        """Lightning's hook: the batch has reached its device."""
        return unpacked(batch)

    def train_dataloader(self) -> DataLoader[Packed]:
        """Batches from step ``first_step`` up to ``steps``."""
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        per_step = self.config.batch_size * world
        sampler = CountingSampler(
            self.first_step * per_step, self.steps * per_step, batch_size=self.config.batch_size, rank=rank, world=world
        )
        return DataLoader(
            self.episodes,
            batch_size=self.config.batch_size,
            sampler=sampler,
            num_workers=self.config.workers,
            persistent_workers=False,
            pin_memory=torch.cuda.is_available(),
        )
