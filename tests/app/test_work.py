"""What the page has done, without a browser."""

import numpy as np
import pytest

from talkinghead.app import work
from talkinghead.app.jobs import Job
from talkinghead.errors import UserError
from talkinghead.media.audio import write_sound
from talkinghead.media.image import write_image
from talkinghead.media.video import probe
from talkinghead.motion.motion import Motion
from talkinghead.motion.strength import Strength
from talkinghead.portrait.avatar.avatar import Avatar
from talkinghead.testing.synthetic import draw_person, random_motion


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    place = tmp_path_factory.mktemp("photos")
    write_image(place / "anna.png", draw_person(0, random_motion(1, seed=1)[0], size=256)[0])
    write_image(place / "wall.png", np.full((200, 200, 3), 120, np.uint8))
    return place


@pytest.fixture(scope="module")
def avatar(photos, tmp_path_factory):
    job, target = Job("make"), tmp_path_factory.mktemp("avatars") / "Anna.avatar.safetensors"
    work.make_avatar(job, [photos / "anna.png"], target, consent="a drawing agreed", steps=1)
    assert job.shown["avatar"] == target
    assert probe(job.shown["preview"]).frames == work.PREVIEW_FRAMES
    return target


def test_photos_are_looked_at_one_by_one(photos):
    looked, together = work.look_at([photos / "anna.png", photos / "wall.png"])
    assert looked[0].picture.shape == (work.CHECKED_SIDE, work.CHECKED_SIDE, 3)
    assert not looked[0].problem
    assert looked[1].picture is None
    assert looked[1].problem.startswith("wall.png: no face")
    assert "Allow" not in looked[1].problem
    assert not together


def test_the_avatar_says_what_was_agreed_to(avatar):
    assert Avatar.load(avatar).provenance["consent"] == "a drawing agreed"


def test_without_consent_or_photos_nothing_is_made(photos, tmp_path):
    for given, consent in (([], "yes"), ([photos / "anna.png"], "  ")):
        with pytest.raises(UserError):
            work.make_avatar(Job(""), given, tmp_path / "a.avatar.safetensors", consent=consent, steps=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["karras", "pham"])
def test_a_voice_makes_a_clip_with_its_sound_and_the_movement_beside_it(avatar, tmp_path, model):
    sound = tmp_path / "voice.wav"
    write_sound(sound, 0.3 * np.sin(np.arange(12000) / 5).astype(np.float32), 16000)
    job, target = Job("speak"), tmp_path / "clip.mp4"
    work.drive(job, avatar, target, work.Wishes("voice", sound, model=model, view="head"))
    info = probe(target)
    assert info.frames == 22
    assert info.has_sound
    assert [path.suffix for path in job.shown["files"]] == [".mp4", ".safetensors", ".csv", ".glb"]
    assert len(Motion.load(job.shown["files"][1])) == info.frames


def test_a_voice_moves_the_parts_as_far_as_is_wished(avatar, tmp_path):
    sound, person = tmp_path / "voice.wav", Avatar.load(avatar)
    write_sound(
        sound, (0.3 * np.sin(np.arange(16000) / 5) * (np.arange(16000) % 4000 < 2000)).astype(np.float32), 16000
    )

    def moved(strength: Strength) -> tuple[float, float]:
        _, landmarks = work.speech(Job(""), person, work.Wishes("voice", sound, strength=strength), tmp_path)
        gap = np.linalg.norm(landmarks[:, 66] - landmarks[:, 62], axis=-1)
        return float(np.ptp(gap)), float(np.ptp(landmarks[:, 30], 0).max())

    mouth, head = moved(Strength())
    calm_mouth, calm_head = moved(Strength(head=0, mouth=0))
    assert calm_mouth < 0.2 * mouth
    assert calm_head < 0.2 * head


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        (work.Wishes("video"), "drop a file"),
        (work.Wishes("voice"), "no voice"),
        (work.Wishes("text", text=" "), "no text"),
    ],
)
def test_what_is_missing_is_said(avatar, tmp_path, wishes, words):
    with pytest.raises(UserError, match=words):
        work.drive(Job(""), avatar, tmp_path / "clip.mp4", wishes)
    assert not list(tmp_path.iterdir())
