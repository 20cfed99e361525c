"""What is compared: heads, feed-forward and fine-tuned, and baselines that need no training."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from talkinghead.media.image import resize
from talkinghead.portrait.avatar.avatar import Avatar, feed_forward
from talkinghead.portrait.data.photos import Photos
from talkinghead.portrait.networks.head import FewShotHead
from talkinghead.portrait.training.config import FineTuningConfig, Hardware
from talkinghead.portrait.training.fine_tuning import fine_tune
from talkinghead.portrait.warping.layered_sources import LayeredSources
from talkinghead.portrait.warping.source_photos import source_distances
from talkinghead.portrait.warping.warp import Warp

Frames = UInt8[np.ndarray, "n s s 3"]

METHODS = {
    "ff": "ours, feed-forward",
    "ft": "ours, fine-tuned",
    "copy": "nearest photo, copied",
    "warp": "nearest photo, warped",
    "layers": "photos, warped in 3-D layers",
    "truth": "the true frame",
}
"""`truth` is what the measures say of a perfect result: its landmark error is the detector's own."""

BASELINES = ("copy", "warp", "layers")
"""What needs no training."""

OTHER = "@"
"""`ft@NAME` is another head, NAME, fine-tuned."""


def label(method: str) -> str:
    """What tables call a method."""
    way, _, name = method.partition(OTHER)
    return METHODS[way].replace("ours", name) if name else METHODS.get(method, method)


def in_order(methods: list[str]) -> list[str]:
    """Methods as tables list them: ours, other heads and programs, baselines, the truth."""
    ours, others = ([m for m in METHODS if m in methods and (m in ("ff", "ft")) == first] for first in (True, False))
    return [*ours, *(method for method in methods if method not in METHODS), *others]


@dataclass(frozen=True)
class Case:
    """A person's photos, and the frames that are to be made of them."""

    person: str
    video: str
    shots: int
    """T that was asked for; there may be fewer photos."""
    photos: UInt8[np.ndarray, "k s s 3"]
    """At their own size."""
    landmarks: Float[np.ndarray, "k 68 2"]
    """Of the photos, fractions of the side."""
    truth: UInt8[np.ndarray, "n s s 3"]
    """What the results should be, at its own size."""
    wanted: Float[np.ndarray, "n 68 2"]
    """Landmarks that drive: those of the true frames."""
    run: int = 0
    """So many frames at the end follow each other in time; only how much they shake is measured."""

    @property
    def held_out(self) -> slice:
        """The frames that are compared with the truth one by one."""
        return slice(len(self.wanted) - self.run)

    @property
    def moving(self) -> slice:
        """The frames that follow each other in time."""
        return slice(len(self.wanted) - self.run, None)

    @cached_property
    def apart(self) -> Float[np.ndarray, "n k"]:
        """Distance of each target to each photo, see `source_distances`."""
        return np.stack([source_distances(one, self.landmarks) for one in self.wanted])

    @property
    def nearest(self) -> Int[np.ndarray, " n"]:
        """Index of the photo nearest to each target."""
        return self.apart.argmin(1)

    def as_photos(self, size: int | None) -> Photos:
        """The photos as a head takes them; None for their own size."""
        frames = self.photos if size is None else resized(self.photos, size)
        names = tuple(f"{self.video} photo {index}" for index in range(len(frames)))
        hashes = tuple(hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames)
        return Photos(frames, self.landmarks, names, hashes)


def copied(case: Case, size: int) -> Frames:
    """The nearest photo, as it is."""
    return resized(case.photos, size)[case.nearest]


def warped(case: Case, size: int) -> Frames:
    """The nearest photo, warped flat, so that its landmarks come exactly to the target's."""
    pairs = zip(resized(case.photos, size), case.landmarks, strict=True)
    warps = [Warp(*pair, denoise=False, sharp=False) for pair in pairs]
    return np.stack([warps[photo].to(one) for photo, one in zip(case.nearest, case.wanted, strict=True)])


def layered(case: Case, size: int) -> Frames:
    """The photos, warped in layers by a head in three dimensions, and not corrected by any network."""
    sources = LayeredSources(list(case.photos), case.landmarks)
    states = sources.person.states(case.wanted)
    side = case.photos.shape[1]
    moved = (sources.to(one, states.part(slice(i, i + 1)), side).frame for i, one in enumerate(case.wanted))
    return resized(np.stack(list(moved)), size)


TRAINING_FREE: dict[str, Callable[[Case, int], Frames]] = {"copy": copied, "warp": warped, "layers": layered}
"""The baselines by name; each takes a case and the side of the frames."""


def avatars(
    case: Case, heads: dict[str, FewShotHead], tuning: FineTuningConfig | None, accelerator: str
) -> dict[str, Callable[[], Avatar]]:
    """What makes each avatar of a case, by the method's name; called when it is wanted.

    Args:
        case: whose photos.
        heads: by name; the one without a name is ours.
        tuning: how a person is learnt; None leaves the fine-tuned out.
        accelerator: Lightning's name of the device.
    """
    made: dict[str, Callable[[], Avatar]] = {}
    for name, head in heads.items():
        photos = case.as_photos(head.config.photo_side)
        suffix = OTHER + name if name else ""
        made["ff" + suffix] = partial(feed_forward, head, photos)
        if tuning is not None:
            made["ft" + suffix] = partial(_tuned, head, photos, tuning, accelerator)
    return made


def _tuned(head: FewShotHead, photos: Photos, tuning: FineTuningConfig, accelerator: str) -> Avatar:
    return fine_tune(head, photos, tuning, hardware=Hardware(accelerator)).avatar


def head_name(path: Path) -> str:
    """What a head is called in tables: its file's name, or its folder's where the file is called just that."""
    name = path.name.removesuffix(".safetensors").removesuffix(".head")
    return path.resolve().parent.name if name == "head" else name


def resized(frames: Frames, size: int) -> UInt8[np.ndarray, "n {size} {size} 3"]:
    """Frames brought to a size; averaged where they shrink."""
    return np.stack([resize(frame, size) for frame in frames])
