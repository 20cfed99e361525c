"""demo: a portrait of the installation, moved by the shipped motion."""

from fractions import Fraction

import numpy as np
import pytest
from people import drawn_photos, tiny_head

from talkinghead.commands import demo
from talkinghead.errors import UserError
from talkinghead.face.landmarks import eye_opening, mouth_opening
from talkinghead.media.image import read_image, write_image
from talkinghead.media.video import probe
from talkinghead.portrait.avatar.avatar import Avatar, feed_forward
from talkinghead.portrait.networks.head import FewShotHead


def run(*arguments):
    demo.main(list(map(str, arguments)))


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    tiny_head().save(folder / "tiny.head.safetensors", {})
    run("-o", folder / "out", "--head", folder / "tiny.head.safetensors", "--steps", 1)
    return folder / "out"


def test_the_clip_lasts_as_long_as_the_motion(output):
    clip, motion = probe(output / "astronaut.mp4"), demo.demo_motion()
    assert clip.fps == motion.fps == Fraction(25)
    assert clip.frames == len(motion)
    assert (clip.width, clip.height) == (64, 64)


def test_the_avatar_and_the_picture_lie_beside_it(output):
    assert Avatar.load(output / "astronaut.avatar.safetensors").provenance["consent"] == "public domain portrait"
    assert read_image(output / "astronaut.png").shape[1] >= 7 * 64


def test_a_second_demo_replaces_the_first(output):
    head = output.parent / "tiny.head.safetensors"
    run("-o", output, "--head", head, "--steps", 0)
    assert Avatar.load(output / "astronaut.avatar.safetensors").provenance["steps"] == 0


def test_the_shipped_motion_speaks_blinks_turns_and_loops():
    motion = demo.demo_motion()
    mouth, eyes, yaw = mouth_opening(motion.landmarks), eye_opening(motion.landmarks), np.degrees(motion.pose[:, 0])
    assert mouth.min() < 0.02 < 0.1 < mouth.max()
    assert eyes.min() < 0.1 < 0.25 < np.median(eyes)
    assert yaw.min() < -10 < 10 < yaw.max()
    assert np.abs(motion.landmarks[0] - motion.landmarks[-1]).max() < 0.03
    assert np.abs(np.diff(motion.landmarks, axis=0)).max() < 0.05


def test_advice_about_a_photo_names_no_option_that_demo_lacks(output, tmp_path):
    write_image(tmp_path / "wall.png", np.full((128, 128, 3), 90, np.uint8))
    head = output.parent / "tiny.head.safetensors"
    with pytest.raises(UserError, match=r"wall\.png: no face was found .*take another or leave it out$"):
        run("-o", tmp_path / "out", "--head", head, "--photo", tmp_path / "wall.png")
    with pytest.raises(UserError, match="a folder; give one photo"):
        run("-o", tmp_path / "out", "--head", head, "--photo", tmp_path)


def test_an_avatar_that_no_demo_made_is_kept(output, tmp_path):
    avatar = tmp_path / "astronaut.avatar.safetensors"
    feed_forward(FewShotHead.load(output.parent / "tiny.head.safetensors")[0], drawn_photos(1)).save(avatar)
    before = avatar.read_bytes()
    with pytest.raises(UserError, match=r"astronaut\.avatar\.safetensors exists, and not from an earlier demo"):
        run("-o", tmp_path, "--head", output.parent / "tiny.head.safetensors", "--steps", 0)
    assert avatar.read_bytes() == before


def test_files_that_no_demo_made_are_kept(tmp_path):
    (tmp_path / "anna.mp4").write_bytes(b"precious")
    with pytest.raises(UserError, match=r"anna\.mp4 exists, and not from an earlier demo"):
        run("-o", tmp_path, "--photo", tmp_path / "photos" / "anna.jpg")
    assert (tmp_path / "anna.mp4").read_bytes() == b"precious"


def test_the_photo_is_never_written_over(tmp_path):
    (tmp_path / "anna.png").write_bytes(b"precious")
    with pytest.raises(UserError, match="anna.png, which the demo would write over"):
        run("-o", tmp_path, "--photo", tmp_path / "anna.png")
    assert (tmp_path / "anna.png").read_bytes() == b"precious"
