"""Avatars: a file that gives back the same person, rendered the same however it is batched."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from people import PAINTER, TINY, drawn_photos, tiny_head
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from talkinghead.errors import UserError
from talkinghead.face.draw import draw_many
from talkinghead.media.image import read_image, write_image
from talkinghead.motion.motion import Motion
from talkinghead.portrait.avatar.avatar import Avatar, fast_dtype, feed_forward, mean_embedding, origin
from talkinghead.portrait.avatar.retargeting import ReenactmentConfig, retarget_motion
from talkinghead.portrait.data.photos import Photos
from talkinghead.portrait.networks.compositing import CompositingGenerator
from talkinghead.portrait.networks.config import CompositingConfig
from talkinghead.portrait.networks.head import FewShotHead
from talkinghead.portrait.training.fine_tuning import make_avatar
from talkinghead.portrait.warping.source_photos import SourcePhotos

FULL = torch.float32
FILES = Path(__file__).parents[2] / "files"


FREE = ReenactmentConfig(turn_limit=180)


def frames_of(avatar, landmarks, config=FREE, **options):
    return np.stack(list(avatar.animate(landmarks, config, **options)))


@pytest.fixture(scope="module")
def head():
    return tiny_head()


@pytest.fixture(scope="module")
def saved(head, tmp_path_factory):
    """A head in half precision, as files hold it, and its feed-forward avatar in a file."""
    folder = tmp_path_factory.mktemp("avatar")
    head.save(folder / "head.safetensors", {})
    head, _ = type(head).load(folder / "head.safetensors")
    avatar = feed_forward(head, drawn_photos(), provenance={"consent": "she said yes"})
    avatar.save(folder / "anna.avatar.safetensors")
    return head, folder / "anna.avatar.safetensors"


def test_a_feed_forward_avatar_renders_what_the_head_does(head):
    photos = drawn_photos()
    with torch.inference_mode():
        psi = head.generator.project(mean_embedding(head, photos))
        expected = head.generator(draw_many(photos.landmarks, TINY.size), psi.expand(3, -1))
    rendered = frames_of(feed_forward(head, photos), photos.landmarks, dtype=FULL)
    wanted = expected.permute(0, 2, 3, 1).add(1).mul(127.5).round().numpy()
    assert np.abs(rendered - wanted).max() <= 1  # the kernels' order of summation
    assert rendered.dtype == np.uint8


def test_the_embedding_is_the_mean_over_photos_in_any_order(head):
    photos = drawn_photos()
    parts = torch.cat([mean_embedding(head, photos.select([i])) for i in range(3)])
    torch.testing.assert_close(mean_embedding(head, photos), parts.mean(0, keepdim=True))
    torch.testing.assert_close(mean_embedding(head, photos.select([2, 0, 1])), mean_embedding(head, photos))


def test_batches_and_streaming_do_not_change_the_frames(head):
    avatar, landmarks = feed_forward(head, drawn_photos()), drawn_photos(5, person=2).landmarks
    one_by_one = frames_of(avatar, landmarks, ReenactmentConfig(batch_size=1), dtype=FULL)
    together = frames_of(avatar, landmarks, ReenactmentConfig(batch_size=3), dtype=FULL)
    assert np.abs(one_by_one.astype(int) - together).max() <= 1
    stream = iter(avatar.animate(np.repeat(landmarks, 10_000, 0)))
    assert next(stream).shape == (TINY.size, TINY.size, 3)  # before the rest is rendered


def test_a_motion_is_rendered_frame_by_frame(head):
    landmarks = drawn_photos(4).landmarks
    motion = Motion(landmarks, np.ones(4, np.float32), Fraction(25))
    avatar = feed_forward(head, drawn_photos())
    moved = retarget_motion(motion, avatar.source_landmarks)
    assert np.array_equal(np.stack(list(avatar.animate(motion))), frames_of(avatar, moved))
    plain = ReenactmentConfig(adapt_scale=False, keep_proportions=False, smooth=0, batch_size=1)
    assert np.abs(np.stack(list(avatar.animate(motion, plain))).astype(int) - frames_of(avatar, landmarks)).max() < 3


def test_half_precision_arithmetic_changes_little(head):
    avatar, landmarks = feed_forward(head, drawn_photos()), drawn_photos().landmarks
    fast, full = (frames_of(avatar, landmarks, dtype=kind).astype(int) for kind in (torch.bfloat16, FULL))
    assert np.abs(fast - full).mean() < 2


def test_the_file_gives_back_the_same_person(saved):
    head, path = saved
    again, before = Avatar.load(path), feed_forward(head, drawn_photos())
    landmarks = drawn_photos(person=4).landmarks
    assert np.array_equal(frames_of(again, landmarks, dtype=FULL), frames_of(before, landmarks, dtype=FULL))
    assert np.array_equal(again.source_landmarks, drawn_photos().landmarks)
    assert again.config == TINY
    assert again.provenance == {"consent": "she said yes"}


@pytest.mark.parametrize(
    ("name", "colours"),
    [("avatar", (163.1, 131.0, 166.6)), ("over-photo-avatar", (146.8, 125.7, 148.2))],
)
def test_an_avatar_of_an_older_version_shows_the_same_person(old_files, name, colours):
    avatar = Avatar.load(old_files / f"{name}.safetensors")
    frames = frames_of(avatar, avatar.source_landmarks, dtype=FULL)
    assert frames.shape == (2, 32, 32, 3)
    assert frames[0].mean((0, 1)) == pytest.approx(colours, abs=0.5)
    assert avatar.source_landmarks[1, 30] == pytest.approx((0.44765, 0.52436), abs=1e-5)
    assert avatar.provenance == {"consent": "drawn"}


def test_the_file_holds_the_person_alone_in_half_precision(saved):
    with safe_open(saved[1], framework="pt") as file:
        names = set(file.keys())
        kinds = {file.get_tensor(name).dtype for name in names if name.startswith("generator.")}
        assert file.metadata()["format"] == "talkinghead.avatar.1"
    assert kinds == {torch.float16}
    assert not any(part in name for name in names for part in ("projection", "embedder", "discriminator"))
    assert not any(name.endswith((".u", ".v")) for name in names)


def test_a_compositing_avatar_keeps_its_photos_and_draws_a_clip_from_one_of_them(tmp_path):
    head = tiny_head(config=PAINTER)
    photos, landmarks = drawn_photos(), drawn_photos(4, person=2).landmarks
    with torch.no_grad():
        head.generator.last.bias[3] = 100.0  # the photo is kept everywhere
    avatar = feed_forward(head, photos)
    sources = SourcePhotos(photos.frames, photos.landmarks)
    background = sources.background(landmarks)
    expected = sources.moved(landmarks, background=background)
    assert np.array_equal(frames_of(avatar, landmarks, replace(FREE, batch_size=2), dtype=FULL), expected)
    other = (background + 1) % 3
    from_other = avatar.render_batch(landmarks, background=other, dtype=FULL)
    assert np.array_equal(from_other, sources.moved(landmarks, background=other))
    assert not np.array_equal(from_other, expected)
    assert np.array_equal(avatar.render_batch(landmarks, dtype=FULL), sources.moved(landmarks))
    avatar.save(tmp_path / "a.safetensors")
    assert np.array_equal(frames_of(Avatar.load(tmp_path / "a.safetensors"), landmarks, dtype=FULL), expected)
    for name, change in {
        "without": lambda t: t.pop("source_frames"),
        "other": lambda t: t.update(source_frames=t["source_frames"][:1]),
    }.items():
        with pytest.raises(UserError, match="does not hold the tensors"):
            Avatar.load(rewrite(tmp_path / "a.safetensors", tmp_path / name, change=change))


def test_photos_come_with_a_compositing_generator_and_only_with_it(head):
    parts = {"adain_params": torch.zeros(1, 1), "source_landmarks": drawn_photos().landmarks, "provenance": {}}
    with pytest.raises(ValueError, match="compositing is None"):
        Avatar(TINY, head.generator, source_frames=drawn_photos().frames, **parts)
    with pytest.raises(ValueError, match="compositing is Comp"):
        Avatar(PAINTER, head.generator, **parts)


def test_files_of_before_compositing_load_and_render_as_they_did(tmp_path):
    """`warped_photo.*` were written by the version whose header said warped_photo; the picture is what it rendered."""
    avatar = Avatar.load(FILES / "warped_photo.avatar.safetensors")
    assert avatar.config.compositing == CompositingConfig()
    expected = np.concatenate(list(avatar.render_batch(avatar.source_landmarks, dtype=FULL)), 1)
    assert np.abs(read_image(FILES / "warped_photo.rendered.png").astype(int) - expected).max() <= 1
    head, _ = FewShotHead.load(FILES / "warped_photo.head.safetensors")
    assert isinstance(head.generator, CompositingGenerator)
    again = feed_forward(head, Photos(avatar.source_frames, avatar.source_landmarks, ("a", "b"), ("a", "b")))
    rendered = np.concatenate(list(again.render_batch(avatar.source_landmarks, dtype=FULL)), 1)
    assert np.abs(rendered.astype(int) - expected).max() <= 1
    avatar.save(tmp_path / "new.safetensors")
    assert Avatar.load(tmp_path / "new.safetensors").config == avatar.config


def test_a_second_save_needs_leave(saved):
    with pytest.raises(UserError, match="exists"):
        Avatar.load(saved[1]).save(saved[1])
    Avatar.load(saved[1]).save(saved[1], overwrite=True)


def rewrite(source, target, *, change=lambda tensors: None, **header):
    tensors = load_file(source)
    change(tensors)
    with safe_open(source, framework="pt") as file:
        save_file(tensors, target, metadata={**file.metadata(), **header})
    return target


def test_files_that_are_no_avatars_are_refused(saved, tmp_path):
    _, path = saved
    cases = {
        "does not exist": tmp_path / "nobody.safetensors",
        "holds talkinghead.head.1": path.with_name("head.safetensors"),
        "does not hold the tensors": rewrite(path, tmp_path / "a", change=lambda t: t.pop("adain_params")),
        "not hold the tensors its sizes": rewrite(
            path, tmp_path / "b", portrait=json.dumps(TINY.to_dict() | {"max_channels": 8})
        ),
        "hold the tensors its sizes ask": rewrite(
            path, tmp_path / "c", change=lambda t: t.update(adain_params=torch.zeros(1, 3))
        ),
        "which this version does not know": rewrite(path, tmp_path / "d", portrait=json.dumps({"colour": "red"})),
        "f holds the landmarks of 0 photos; make the avatar again": rewrite(
            path, tmp_path / "f", change=lambda t: t.update(source_landmarks=torch.zeros(0, 68, 2))
        ),
        "g cannot be used: 1 of the 408 values of source_landmarks are not finite; give": rewrite(
            path, tmp_path / "g", change=lambda t: t["source_landmarks"][0, 0, 0].fill_(torch.nan)
        ),
        "h cannot be used: 2 of the .* values of generator.last.weight are not finite": rewrite(
            path, tmp_path / "h", change=lambda t: t["generator.last.weight"].view(-1)[:2].fill_(torch.inf)
        ),
    }
    (tmp_path / "e").write_bytes(b"import os")
    cases["not a readable safetensors file"] = tmp_path / "e"
    for message, file in cases.items():
        with pytest.raises(UserError, match=message):
            Avatar.load(file)


def test_where_an_avatar_comes_from_is_written_down(saved):
    facts = origin(saved[1], consent="yes")
    assert facts["consent"] == "yes"
    assert len(facts["head"]["sha256"]) == 64
    assert origin(saved[1])["consent"] == "none stated"


def test_an_avatar_is_made_from_photo_files(saved, tmp_path):
    photos = drawn_photos(1, size=256)
    write_image(tmp_path / "anna.png", photos.frames[0])
    avatar = make_avatar([tmp_path], head=saved[1].with_name("head.safetensors"), steps=0)
    assert avatar.provenance["photos"][0]["name"] == "anna.png"
    assert avatar.provenance["head"]["name"] == "head.safetensors"
    assert avatar.provenance["steps"] == 0


def test_paths_may_be_strings(saved, tmp_path):
    head, path = saved
    Avatar.load(str(path)).save(str(tmp_path / "again.avatar.safetensors"))
    head.save(str(tmp_path / "head.safetensors"), {})
    write_image(tmp_path / "anna.png", drawn_photos(1, size=256).frames[0])
    avatar = make_avatar([str(tmp_path / "anna.png")], head=str(tmp_path / "head.safetensors"), steps=0)
    assert avatar.provenance["head"]["name"] == "head.safetensors"
    assert Avatar.load(tmp_path / "again.avatar.safetensors").config == avatar.config


def test_single_precision_where_the_cpu_has_no_bf16(monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert fast_dtype(torch.device("cpu")) == torch.float32
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert fast_dtype(torch.device("cpu")) == torch.bfloat16
