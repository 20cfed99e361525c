"""Of several faces the one that is meant, in pictures and in videos."""

from fractions import Fraction

import numpy as np
import pytest

from talkinghead.commands import faces
from talkinghead.errors import UserError
from talkinghead.face.detection.dlib import DlibDetector
from talkinghead.face.which_face import WhichFace
from talkinghead.media.image import read_image, write_image
from talkinghead.media.video import VideoWriter
from talkinghead.motion.motion import Motion
from talkinghead.portrait.data.photos import Allow, read_photos
from talkinghead.testing.synthetic import draw_person, random_motion

BOXES = [(200.0, 0.0, 300.0, 100.0), (10.0, 0.0, 90.0, 80.0), (400.0, 0.0, 440.0, 40.0)]
SIDE = 256


def nobody() -> np.ndarray:
    raise AssertionError("identities are not needed")


@pytest.mark.parametrize(("said", "index"), [("largest", 0), ("left", 1), ("right", 2), ("1", 1), ("2", 0), ("3", 2)])
def test_places_and_numbers(said, index):
    assert WhichFace(said).among(BOXES, nobody, DlibDetector(), "party.jpg") == index


def test_a_number_that_is_not_there_and_a_picture_that_is_none_are_named():
    for said, words in (
        ("4", "--face is 4, but party.jpg shows 3"),
        ("0", "--face is 0"),
        ("lef", "--face is lef; give"),
    ):
        with pytest.raises(UserError, match=words):
            WhichFace(said).among(BOXES, nobody, DlibDetector(), "party.jpg")


def test_the_face_like_a_picture_is_the_nearest_or_nobody(tmp_path, monkeypatch):
    them = np.eye(3, 128, dtype=np.float32)
    monkeypatch.setattr("talkinghead.face.which_face.identity_in", lambda path, detector: 0.9 * them[2])
    assert WhichFace("ben.jpg").among(BOXES, lambda: them, DlibDetector(), "party.jpg") == 2
    monkeypatch.setattr("talkinghead.face.which_face.identity_in", lambda path, detector: -them[2])
    with pytest.raises(UserError, match=r"nobody in it looks like ben\.jpg"):
        WhichFace("ben.jpg").among(BOXES, lambda: them, DlibDetector(), "party.jpg")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A picture and a video of two drawn people, the right one larger and moving otherwise."""
    folder = tmp_path_factory.mktemp("two")
    left, right = (random_motion(12, seed=seed) for seed in (1, 2))
    with VideoWriter(folder / "two.mp4", fps=Fraction(12)) as writer:
        for one, other in zip(left, right, strict=True):
            small = draw_person(0, one, size=SIDE)[0]
            frame = np.full((320, SIDE + 320, 3), 90, np.uint8)
            frame[:SIDE, :SIDE] = small
            frame[:, SIDE:] = draw_person(1, other, size=320)[0]
            writer.write(frame)
    write_image(folder / "two.png", frame)
    write_image(folder / "left.png", small)
    return folder


def test_a_video_is_followed_on_the_face_that_is_meant(two):
    middles = {}
    for said in ("largest", "left", "2", str(two / "left.png")):
        motion = Motion.from_video(two / "two.mp4", face=said)
        assert motion.seen.all()
        middles[said] = float(np.median(motion.windows[:, 0]))
    assert middles["left"] < SIDE < middles["2"]
    assert middles["largest"] == pytest.approx(middles["2"])
    assert middles[str(two / "left.png")] == pytest.approx(middles["left"])


def test_a_photo_of_two_gives_the_one_that_is_meant(two):
    with pytest.raises(UserError, match="2 faces were found"):
        read_photos([two / "two.png"], size=64)
    left, right = (read_photos([two / "two.png"], size=64, face=said).frames[0].astype(int) for said in ("left", "2"))
    largest = read_photos([two / "two.png"], size=64, allow=Allow(several_faces=True)).frames[0].astype(int)
    assert np.abs(right - largest).mean() < 1 < np.abs(left - right).mean()


def test_faces_numbers_them_in_a_picture_beside_the_file(two, caplog, tmp_path):
    with caplog.at_level("INFO"):
        faces.main([str(two / "two.mp4"), "-o", str(tmp_path / "who.png")])
    lines = [record.message for record in caplog.records if "px wide" in record.message]
    assert [line.split(":")[0] for line in lines] == ["1", "2"]
    assert (read_image(tmp_path / "who.png") != read_image(two / "two.png")).any()
    faces.main([str(two / "two.png")])
    assert (two / "two.faces.png").is_file()
    with pytest.raises(UserError, match="exists"):
        faces.main([str(two / "two.png")])
    write_image(tmp_path / "wall.png", np.full((200, 200, 3), 120, np.uint8))
    with pytest.raises(UserError, match=r"wall\.png: no face"):
        faces.main([str(tmp_path / "wall.png")])
