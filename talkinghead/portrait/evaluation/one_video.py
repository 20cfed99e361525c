"""One video evaluated: an avatar from T of its frames against held-out frames and baselines, and moved by a stranger.

References:
    Zakharov et al. 2019, section 4.
"""

import hashlib
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from talkinghead.face.draw import draw_landmarks
from talkinghead.face.frames import evenly_spread
from talkinghead.media.image import resize, sheet
from talkinghead.motion.motion import Motion
from talkinghead.portrait.avatar.avatar import Avatar, feed_forward
from talkinghead.portrait.avatar.retargeting import ReenactmentConfig
from talkinghead.portrait.data.photos import Photos
from talkinghead.portrait.data.shards import Track
from talkinghead.portrait.evaluation.measures import Judges, Scores
from talkinghead.portrait.evaluation.metrics import acceleration
from talkinghead.portrait.evaluation.protocol import Split, longest_run
from talkinghead.portrait.evaluation.records import Record
from talkinghead.portrait.evaluation.tables import METHODS
from talkinghead.portrait.networks.head import FewShotHead
from talkinghead.portrait.training.config import FineTuningConfig, Hardware
from talkinghead.portrait.training.fine_tuning import fine_tune
from talkinghead.portrait.warping.source_photos import source_distances
from talkinghead.portrait.warping.warp import Warp

SHEET_ROWS = 4

Frames = UInt8[np.ndarray, "n s s 3"]
Rows = dict[str, list[UInt8[np.ndarray, "s s 3"]]]
"""Rows of pictures by their labels."""


@dataclass(frozen=True)
class Settings:
    """What is done with each video."""

    size: int
    """Side, pixels, at which frames are compared."""
    fine_tuning: FineTuningConfig | None = None
    """How a person is learnt; None leaves the fine-tuned method out."""
    cross_shots: int = 8
    """T at which another person's motion is rendered as well; 0 for none."""
    cross_frames: int = 64
    """Length of that motion at most."""


class Examiner:
    """Evaluates videos one at a time.

    Args:
        judges: what measures.
        settings: what is done.
        head: meta-learned; None evaluates the baselines alone.
        accelerator: Lightning's name of the device.
    """

    def __init__(self, judges: Judges, settings: Settings, *, head: FewShotHead | None, accelerator: str = "cpu"):
        self.judges, self.settings, self.head, self.accelerator = judges, settings, head, accelerator
        self._found: tuple[str, np.ndarray] | None = None

    def examine(
        self, track: Track, split: Split, *, shots: int, driver: Track | None = None
    ) -> tuple[Record, UInt8[np.ndarray, "h w 3"]]:
        """Measures of every method with the first `shots` source frames, and a sheet of some results.

        Args:
            track: the video.
            split: its source and held-out frames.
            shots: T.
            driver: another person's video.
        """
        size = self.settings.size
        sources, targets = split.pool[:shots], split.targets
        decoded = track.frames(sources.tolist())
        photos, truth = resized(decoded, size), resized(track.frames(targets.tolist()), size)
        landmarks, wanted = track.landmarks[sources], track.landmarks[targets]
        apart = np.stack([source_distances(one, landmarks) for one in wanted])
        nearest = apart.argmin(1)
        frames: dict[str, Frames] = {}
        avatars = self._avatars(track, sources, decoded)
        for method, avatar in avatars.items():
            frames[method] = resized(avatar.render_batch(wanted, device=self.judges.device), size)
        frames["copy"] = photos[nearest]
        warps = [Warp(*source, denoise=False, sharp=False) for source in zip(photos, landmarks, strict=True)]
        frames["warp"] = np.stack([warps[photo].to(one) for photo, one in zip(nearest, wanted, strict=True)])
        frames["truth"] = truth
        source_embedding = self.judges.embed(photos, landmarks).mean(0)
        values = {"wanted": wanted, "distance": apart.min(1).astype(np.float32)}
        for method, scores in self._judge(frames, wanted, source_embedding).items():
            values |= {f"{method}/{name}": value for name, value in scores.items()}
        rows: Rows = {}
        if driver is not None and avatars and shots == self.settings.cross_shots:
            crossed, rows = self._cross(list(avatars.values())[-1], driver, source_embedding)
            values |= crossed
        record = Record(track.identity, track.video, shots, len(sources), values)
        return record, results_sheet(frames, wanted, values["distance"], more=rows)

    def _avatars(self, track: Track, sources: Int[np.ndarray, " k"], decoded: Frames) -> dict[str, Avatar]:
        """The feed-forward and the fine-tuned avatar, from the source frames as the track holds them."""
        if self.head is None:
            return {}
        frames = resized(decoded, self.head.config.photo_side or self.settings.size)
        names = tuple(f"{track.video} frame {index}" for index in sources)
        hashes = tuple(hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames)
        photos = Photos(frames, track.landmarks[sources], names, hashes)
        avatars = {"ff": feed_forward(self.head, photos)}
        if self.settings.fine_tuning is not None:
            tuned = fine_tune(self.head, photos, self.settings.fine_tuning, hardware=Hardware(self.accelerator))
            avatars["ft"] = tuned.avatar
        return avatars

    def _judge(
        self, frames: dict[str, Frames], wanted: Float[np.ndarray, "n 68 2"], source_embedding: torch.Tensor
    ) -> dict[str, Scores]:
        """Measures of each method. True frames are aligned as results are: by the landmarks found in them."""
        truth = frames["truth"]
        found = self._true_landmarks(truth, wanted)
        true_embedding = self.judges.embed(truth, np.where(np.isfinite(found), found, wanted).astype(np.float32))
        return {
            method: self.judges.measure(
                result,
                truth,
                wanted,
                true_embedding=true_embedding,
                source_embedding=source_embedding,
                found=found if method == "truth" else None,
            )
            for method, result in frames.items()
        }

    def _true_landmarks(self, truth: Frames, wanted: Float[np.ndarray, "n 68 2"]) -> Float[np.ndarray, "n 68 2"]:
        """Landmarks found in the true frames; every T of a video has the same ones."""
        key = hashlib.sha256(truth.tobytes()).hexdigest()
        if self._found is None or self._found[0] != key:
            self._found = key, self.judges.find_landmarks(truth, wanted)
        return self._found[1]

    def _cross(
        self, avatar: Avatar, driver: Track, source_embedding: torch.Tensor
    ) -> tuple[dict[str, np.ndarray], Rows]:
        """Another person's motion, relative: likeness to the avatar's photos, how much it shakes; some pictures."""
        chosen = longest_run(driver.times, most=self.settings.cross_frames)
        if len(chosen) < 3:
            return {}, {}
        times, driving = driver.times[chosen], driver.landmarks[chosen]
        fps = Fraction(1 / float(np.median(np.diff(times)))).limit_denominator(1001)
        motion = Motion(driving, np.ones(len(driving), np.float32), fps)
        animation = avatar.animate(motion, ReenactmentConfig(motion="relative"), device=self.judges.device)
        moved, results = animation.landmarks, resized(np.stack(list(animation)), self.settings.size)
        drivers = resized(driver.frames(chosen.tolist()), self.settings.size)
        scores = self.judges.look(results, moved, source_embedding=source_embedding)
        seen = self.judges.find_landmarks(drivers, driving)
        rows = {
            f"driven by {driver.video}, {times[index] - times[0]:.1f} s": [
                drivers[index],
                draw_landmarks(moved[index], self.settings.size),
                results[index],
            ]
            for index in (len(chosen) // 3, 2 * len(chosen) // 3)
        }
        return {
            "cross/csim_sources": scores["csim_sources"],
            "cross/landmarks": scores["landmarks"],
            "cross/landmark_error": scores["landmark_error"],
            "cross/driving": driving,
            "cross/acceleration": np.array([acceleration(scores["landmarks"]), acceleration(seen)]),
        }, rows


def resized(frames: Frames, size: int) -> UInt8[np.ndarray, "n {size} {size} 3"]:
    """Frames brought to a size; averaged where they shrink."""
    return np.stack([resize(frame, size) for frame in frames])


def results_sheet(
    frames: dict[str, Frames],
    wanted: Float[np.ndarray, "n 68 2"],
    distance: Float[np.ndarray, " n"],
    *,
    more: Rows | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Some targets as rows, from the nearest to its source to the farthest: source, landmarks, every method, truth.

    Args:
        frames: of each method.
        wanted: landmarks of the targets.
        distance: of each target to its source.
        more: rows to put below.
    """
    order = np.argsort(distance, kind="stable")
    chosen = order[evenly_spread(len(order), SHEET_ROWS)]
    size = frames["truth"].shape[1]
    shown = [name for name in METHODS if name in frames and name != "copy"]
    rows = []
    for index in chosen:
        drawn = draw_landmarks(wanted[index], size)
        rows.append([frames["copy"][index], drawn, *(frames[name][index] for name in shown)])
    columns = ["nearest photo", "landmarks", *(METHODS[name].removeprefix("nearest photo, ") for name in shown)]
    labels = [f"{distance[index]:.2f} of the eyes' distance from the nearest photo" for index in chosen]
    more = more or {}
    return sheet([*rows, *more.values()], labels=[*labels, *more], column_labels=columns)
