"""Batches for fine-tuning: a function of seed and number, every photo as often as any other."""

from collections import Counter
from dataclasses import replace
from itertools import permutations

import numpy as np
import torch

from talkinghead.media.image import frame_to_tensor
from talkinghead.portrait.data.augment import NO_AUGMENTATION, AugmentConfig
from talkinghead.portrait.data.photo_batches import PhotoBatches, to_batch
from talkinghead.portrait.data.photos import Photos
from talkinghead.portrait.warping.source_photos import blend
from talkinghead.portrait.warping.warp import Warp
from talkinghead.testing.synthetic import draw_sequence, random_motion


def drawn_photos(count):
    frames, landmarks = draw_sequence(1, random_motion(count, seed=1), size=32)
    return Photos(frames, landmarks, tuple(map(str, range(count))), ("0",) * count)


def test_every_photo_comes_once_before_any_comes_again():
    batches = PhotoBatches(drawn_photos(5), steps=6, batch_size=2, augment=AugmentConfig())
    order = [index for number in range(5) for index in batches.indices(number)]
    assert Counter(order[:5]) == Counter(order[5:]) == Counter(range(5))
    assert order[:5] != order[5:]


def test_a_batch_depends_on_seed_and_number_alone():
    one, same, other = (
        PhotoBatches(drawn_photos(3), steps=4, batch_size=2, augment=AugmentConfig(), seed=seed) for seed in (1, 1, 2)
    )
    list(one)
    assert torch.equal(one.batch(2)["frame"], same.batch(2)["frame"])
    assert not torch.equal(one.batch(2)["frame"], other.batch(2)["frame"])
    assert len(list(one)) == len(one) == 4


def test_without_changes_a_batch_is_the_photos():
    photos = drawn_photos(2)
    batch = PhotoBatches(photos, steps=1, batch_size=8, augment=NO_AUGMENTATION).batch(0)
    plain = to_batch(photos.frames, photos.landmarks)
    order = np.argsort([int(torch.equal(frame, plain["frame"][1])) for frame in batch["frame"]])
    for name, values in plain.items():
        assert torch.equal(batch[name][order], values), name


def test_noise_shakes_the_picture_and_not_the_points():
    photos = drawn_photos(1)
    quiet = AugmentConfig(mirror=0, shape=0, colour=0, landmark_noise=0)
    shaken = PhotoBatches(photos, steps=1, batch_size=1, augment=replace(quiet, landmark_noise=0.05)).batch(0)
    plain = PhotoBatches(photos, steps=1, batch_size=1, augment=quiet).batch(0)
    assert torch.equal(shaken["landmarks"], plain["landmarks"])
    assert not torch.equal(shaken["landmark_image"], plain["landmark_image"])


def test_only_photo_is_drawn_from_another_change_of_itself():
    photos = drawn_photos(1)
    still = PhotoBatches(photos, steps=1, batch_size=1, augment=NO_AUGMENTATION, warped_source=True).batch(0)
    assert torch.equal(still["warped_source"], still["frame"])
    bent = AugmentConfig(mirror=0.5, shape=1, colour=0, landmark_noise=0)
    for number in range(4):
        batch = PhotoBatches(photos, steps=4, batch_size=1, augment=bent, warped_source=True).batch(number)
        apart = (batch["warped_source"] - batch["frame"]).abs().mean()
        assert 0 < apart < 0.5 * (batch["warped_source"].flip(3) - batch["frame"]).abs().mean()  # not mirrored


def test_several_photos_are_drawn_from_each_other():
    photos = drawn_photos(4)
    batches = PhotoBatches(photos, steps=20, batch_size=1, augment=NO_AUGMENTATION, warped_source=True)
    used = set()
    for number in range(20):
        (index,) = batches.indices(number)
        warped = batches.batch(number)["warped_source"][0]
        pairs = [np.array(pair) for pair in permutations(range(4), 2)]
        target = photos.landmarks[index]
        warps = [Warp(frame, points) for frame, points in zip(photos.frames, photos.landmarks, strict=True)]
        blends = [blend([warps[photo] for photo in pair], target) for pair in pairs]
        sources = {
            tuple(p) for p, blend in zip(pairs, blends, strict=True) if torch.equal(frame_to_tensor(blend), warped)
        }
        assert any(index not in pair for pair in sources)
        used |= {(index, *pair) for pair in sources}
    assert len(used) > 4


def test_a_photo_of_another_scene_is_drawn_from_itself_and_draws_no_other():
    photos = drawn_photos(4)
    photos.frames[2] = 255 - photos.frames[2]
    bent = AugmentConfig(mirror=0.5, shape=1, colour=0, landmark_noise=0)
    batches = PhotoBatches(photos, steps=20, batch_size=1, augment=bent, warped_source=True)
    inverted = {}
    for number in range(20):
        (index,) = batches.indices(number)
        batch = batches.batch(number)
        apart = (batch["warped_source"] - batch["frame"]).abs().mean()
        assert apart < 0.3 * (batch["warped_source"] + batch["frame"]).abs().mean()
        inverted[index] = apart
    assert inverted[2] < 0.02
    assert min(inverted[i] for i in (0, 1, 3)) > inverted[2]
