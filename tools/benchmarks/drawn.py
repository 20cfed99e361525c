"""Inputs for the commands: clips and photos of drawn people, heads and avatars of random weights."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from benchmarks.sizes import SIZES

if TYPE_CHECKING:
    from talkinghead.portrait.avatar.avatar import Avatar
    from talkinghead.portrait.networks.config import PortraitConfig
    from talkinghead.portrait.networks.generator import Generator


def draw_clips(folder: Path, people: int, frames: int, side: int) -> None:
    """Clips of drawn people who talk, one folder a person."""
    from talkinghead.testing.synthetic import write_clip

    for person in range(people):
        (folder / f"person{person}").mkdir(parents=True)
        write_clip(folder / f"person{person}" / "clip.mp4", person, frames=frames, size=side)


def draw_photos(folder: Path, count: int) -> None:
    """Photos of one drawn person in several poses."""
    from talkinghead.media.image import write_image
    from talkinghead.testing.synthetic import draw_person, random_motion

    folder.mkdir()
    for index, pose in enumerate(random_motion(20 * count, seed=1)[::20]):
        write_image(folder / f"{index}.png", draw_person(0, pose, size=384)[0])


def make_head(path: Path, size: str) -> None:
    """A head of random weights."""
    from talkinghead.portrait.networks.head import FewShotHead

    FewShotHead(SIZES[size]).save(path, {"made": "at random, for a benchmark"})


def make_avatar(path: Path, size: str) -> None:
    """An avatar of random weights."""
    from talkinghead.portrait.networks.compositing import make_generator
    from talkinghead.testing.synthetic import drawn_track

    generator = make_generator(SIZES[size], spectral=False, projection=False)
    random_avatar(SIZES[size], generator, np.asarray(drawn_track(0, frames=8).landmarks)).save(path)


def make_whole_avatar(path: Path, head: int, height: int, width: int) -> None:
    """An avatar of the head that ships: a drawn person whose head's square is `head` pixels wide, in a larger photo."""
    from talkinghead.media.image import write_image
    from talkinghead.portrait.training.fine_tuning import make_avatar as fine_tune
    from talkinghead.testing.synthetic import draw_person, random_motion

    person = draw_person(0, random_motion(1, seed=1)[0], size=head)[0]
    photo = np.broadcast_to(person[:1, :1], (height, width, 3)).copy()
    top, left = (height - head) // 2, (width - head) // 2
    photo[top : top + head, left : left + head] = person
    write_image(path.with_suffix(".png"), photo)
    fine_tune([path.with_suffix(".png")], steps=0).save(path)


def random_avatar(config: "PortraitConfig", generator: "Generator", landmarks: Float[np.ndarray, "t 68 2"]) -> "Avatar":
    """An avatar of noise: AdaIN parameters, and photos where the generator takes them."""
    import torch

    from talkinghead.portrait.avatar.avatar import Avatar

    photos = np.random.default_rng(0).integers(0, 256, (len(landmarks), config.size, config.size, 3), np.uint8)
    return Avatar(
        config,
        generator,
        adain_params=torch.randn(1, generator.num_adain_params) * 0.1 + 1,
        source_landmarks=landmarks,
        source_frames=None if config.compositing is None else photos,
        provenance={},
    )
