"""Avatars whose photos are moved in layers, at their own size."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from people import TINY, drawn_photos, tiny_head
from safetensors.torch import load_file, safe_open, save_file

from talkinghead.errors import UserError
from talkinghead.face.crop import CropWindow
from talkinghead.portrait.avatar.avatar import Avatar, feed_forward
from talkinghead.portrait.avatar.layered_rendering import corrected
from talkinghead.portrait.avatar.retargeting import ReenactmentConfig
from talkinghead.portrait.data.augment import AugmentConfig
from talkinghead.portrait.data.episodes import EpisodeConfig, Episodes
from talkinghead.portrait.data.photo_batches import LayeredBatches
from talkinghead.portrait.data.shards import Shards
from talkinghead.portrait.data.whole_picture import WholePicture, whole_window
from talkinghead.portrait.networks.config import CompositingConfig
from talkinghead.portrait.networks.head import widened
from talkinghead.portrait.training.fine_tuning import FineTuningConfig, fine_tune
from talkinghead.portrait.warping.layered_photo import Composite
from talkinghead.testing.synthetic import write_drawn_shards

LAYERS = replace(TINY, compositing=CompositingConfig(layers=True))
SIDE = 160


@cache
def avatar(count: int = 2) -> Avatar:
    return feed_forward(tiny_head(config=LAYERS), drawn_photos(count, size=SIDE))


def test_frames_are_as_large_as_the_photos_and_change_with_the_landmarks():
    one = avatar()
    frames = one.render_batch(one.source_landmarks, background=0)
    assert frames.shape == (2, SIDE, SIDE, 3)
    assert (frames[0] != frames[1]).any()
    assert one.side == SIDE


def test_a_saved_avatar_renders_nearly_the_same(tmp_path):
    path = tmp_path / "a.avatar.safetensors"
    avatar().save(path)
    again = Avatar.load(path)
    assert again.in_layers
    landmarks = avatar().source_landmarks
    one, other = (each.render_batch(landmarks, background=0).astype(int) for each in (avatar(), again))
    assert np.abs(one - other).mean() < 4  # the photos were kept as JPEGs
    assert path.stat().st_size < 400_000


def test_a_file_without_a_photo_is_refused(tmp_path):
    path = tmp_path / "a.avatar.safetensors"
    avatar().save(path)
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        header = file.metadata()
    for broken in (
        {k: v for k, v in tensors.items() if k != "photo.1"},
        tensors | {"photo.0": tensors["photo.0"][:40]},
    ):
        save_file(broken, tmp_path / "b.avatar.safetensors", metadata=header)
        with pytest.raises(UserError, match="make the avatar again"):
            Avatar.load(tmp_path / "b.avatar.safetensors")


def test_what_is_painted_covers_where_the_mask_says_and_only_where_the_head_moves():
    still = Composite(*(np.zeros((64, 64, 3), np.uint8) for _ in range(2)), np.zeros((64, 64), np.uint8))
    still.moved[:, 32:] = 255
    painted = np.full((16, 16, 3), 200, np.uint8)
    covers = np.ones((16, 16), np.float32)
    covers[:8] = 0
    result = corrected(still, painted, covers).frame
    assert (result[:, :32] == 0).all()
    assert (result[:24, 32:] == 0).all()
    assert (result[40:, 32:] >= 199).all()


@pytest.mark.parametrize("count", [1, 3])
def test_batches_hold_pictures_with_masks_and_repeat(count):
    photos = drawn_photos(count, size=SIDE)
    batches = LayeredBatches(photos, TINY.size, steps=2, batch_size=2, augment=AugmentConfig(), seed=4)
    batch, again = batches.batch(1), batches.batch(1)
    assert batch["warped_source"].shape == (min(count, 2), 6, TINY.size, TINY.size)
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    masks = batch["warped_source"][:, 3:]
    assert masks.min() == -1
    assert masks[:, 1].max() > 0.9  # a face is seen


def test_a_person_is_learnt_in_layers():
    photos = drawn_photos(2, size=SIDE)
    tuned = fine_tune(tiny_head(config=LAYERS), photos, FineTuningConfig(steps=3, batch_size=2))
    assert len(tuned.history) == 3
    assert tuned.avatar.side == SIDE
    with pytest.raises(UserError, match="160 px wide"):
        fine_tune(tiny_head(config=replace(LAYERS, compositing=CompositingConfig())), photos, FineTuningConfig(steps=1))


def test_episodes_seek_turned_pairs_and_move_frames_in_layers(tmp_path):
    write_drawn_shards(tmp_path / "s", people=2, frames=24, side=96)
    config = EpisodeConfig(shots=2, size=64, augment=AugmentConfig(), compositing=CompositingConfig(layers=True))
    episodes = Episodes(Shards(tmp_path / "s"), config)
    episode = episodes[3]
    assert episode["warped_source"].shape == (64, 64, 6)
    assert torch.equal(episode["warped_source"], Episodes(Shards(tmp_path / "s"), config)[3]["warped_source"])
    draws = [episodes.draw(number)[0] for number in range(24)]
    turns = {True: [], False: []}
    for draw in draws:
        assert draw.target not in draw.sources
        turn = episodes._head(draw.track).turns(draw.target)
        turns[draw.warped == 0].append(turn[draw.sources[0]])
    assert np.mean(turns[True]) > np.mean(turns[False]) > 0


def test_a_head_takes_up_layers_without_a_change_of_what_it_paints():
    flat = tiny_head(config=replace(TINY, compositing=CompositingConfig()))
    wider = widened(flat, LAYERS)
    drawn, source = torch.randn(1, 3, 64, 64), torch.randn(1, 6, 64, 64)
    adain = flat.generator.project(torch.randn(1, TINY.embedding_dim))
    torch.testing.assert_close(wider.generator(drawn, adain, source), flat.generator(drawn, adain, source[:, :3]))
    with pytest.raises(UserError, match="to start from"):
        widened(wider, replace(TINY, compositing=CompositingConfig()))


def test_a_head_goes_back_into_its_picture_and_leaves_the_rest():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (90, 120, 3), np.uint8)
    whole = WholePicture(picture, CropWindow(99.5, 29.5, 60))  # reaches over the right edge and the upper one
    head = np.full((60, 60, 3), 7, np.uint8)
    touched = np.zeros((60, 60), np.float32)
    touched[10:30, 10:30] = 1
    result = whole.with_head(head, touched)
    changed = np.zeros(picture.shape[:2], bool)
    changed[10:30, 80:100] = True
    assert (result[~changed] == picture[~changed]).all()
    assert (result[changed] == 7).all()
    smaller = whole.with_head(np.full((30, 30, 3), 7, np.uint8), np.ones((30, 30), np.float32))
    assert (smaller[:60, 70:] == 7).all()
    assert (smaller[60:] == picture[60:]).all()


def test_an_avatar_of_a_photo_moves_in_the_whole_picture_and_comes_back_the_same(tmp_path):
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (400, 500, 3), np.uint8)
    drawn = drawn_photos(1, size=SIDE)
    picture[120 : 120 + SIDE, 200 : 200 + SIDE] = drawn.frames[0]
    window = whole_window(CropWindow(200 + SIDE / 2 - 0.5, 120 + SIDE / 2 - 0.5, SIDE))
    one = feed_forward(tiny_head(config=LAYERS), replace(drawn, whole=WholePicture(picture, window)))
    moved = one.source_landmarks + np.float32(0.02)
    (frame,) = one.animate(moved)
    (head,) = one.animate(moved, ReenactmentConfig(view="head"))
    assert frame.shape == picture.shape
    assert head.shape == (SIDE, SIDE, 3)
    outside = np.ones(picture.shape[:2], bool)
    outside[120 : 120 + SIDE, 200 : 200 + SIDE] = False
    assert (frame[outside] == picture[outside]).all()
    assert (frame != picture).any()
    one.save(tmp_path / "a.avatar.safetensors")
    again = Avatar.load(tmp_path / "a.avatar.safetensors")
    assert again.whole is not None
    (other,) = again.animate(moved)
    assert (other[outside] == again.whole.pixels[outside]).all()
    assert again.source_frames is not None
    inside = again.whole.pixels[120 : 120 + SIDE, 200 : 200 + SIDE]
    assert (again.source_frames[0] == inside).all()


def test_a_large_picture_is_shrunk_with_its_window():
    picture = np.zeros((1000, 2000, 3), np.uint8)
    picture[400:600, 1200:1400] = 255
    small = WholePicture(picture, CropWindow(1299.5, 499.5, 200)).fitted(500)
    assert small.pixels.shape == (250, 500, 3)
    assert small.window == CropWindow(324.5, 124.5, 50)
    assert (small.pixels[100:150, 300:350] == 255).all()
