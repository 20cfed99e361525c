"""Photos of a person: found and framed as tracks are; what looks like a mistake is named."""

import hashlib
from functools import cache

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.face.detection.choice import make_detector
from talkinghead.face.detection.detector import Face
from talkinghead.media.image import write_image
from talkinghead.portrait.data import photos as module
from talkinghead.portrait.data.photos import Allow, Photos, main_face, photo_files, read_photos, stranger_distances
from talkinghead.testing.synthetic import Pose, draw_person

SIZE = 128


@cache
def detector():
    """One for all tests: its models take a second to read."""
    return make_detector()


def read(paths, **options):
    return read_photos(paths, size=SIZE, detector=detector(), **options)


def write_photo(folder, name, person, *, pose=None, canvas=(320, 400), at=(30, 60)):
    """A drawn person, 256 px wide, somewhere on a grey canvas; gives the file and the landmarks in its pixels."""
    frame, landmarks = draw_person(person, pose, size=256)
    picture = np.full((*canvas, 3), 128, np.uint8)
    picture[at[0] : at[0] + 256, at[1] : at[1] + 256] = frame
    path = folder / name
    write_image(path, picture)
    return path, landmarks * 256 - 0.5 + [at[1], at[0]]


@pytest.fixture(scope="module")
def anna(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anna")
    for index, pose in enumerate((Pose(), Pose(yaw=0.3), Pose(mouth_open=0.6))):
        write_photo(folder, f"{index}.png", 1, pose=pose)
    return folder


def test_a_photo_is_framed_as_a_drawn_crop_is(anna):
    photos = read([anna / "0.png"])
    _, expected = draw_person(1, size=SIZE)
    assert photos.frames.shape == (1, SIZE, SIZE, 3)
    assert np.abs(photos.landmarks[0] - expected).mean() < 0.03


def test_a_folder_gives_its_photos_by_name_with_their_fingerprints(anna):
    (anna / "notes.txt").write_text("not a photo")
    photos = read([anna])
    assert photos.names == ("0.png", "1.png", "2.png")
    assert photos.sha256[2] == hashlib.sha256((anna / "2.png").read_bytes()).hexdigest()
    assert len(photos.select([2, 0])) == 2
    assert photos.select([2, 0]).names == ("2.png", "0.png")
    assert photos.joined(photos.select([1])).names[-1] == "1.png"


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nobody\.jpg does not exist"):
        photo_files([tmp_path / "nobody.jpg"])
    with pytest.raises(UserError, match="the folder holds no photo"):
        photo_files([tmp_path])


def test_a_photo_without_a_face_is_named_or_left_out(anna, tmp_path):
    empty = tmp_path / "wall.png"
    write_image(empty, np.full((200, 200, 3), 90, np.uint8))
    with pytest.raises(UserError, match=r"wall\.png: no face was found .* --allow-no-face"):
        read([anna, empty], allow=Allow())
    with pytest.raises(
        UserError,
        match=r"wall\.png: no face was found .*; take another or leave it out, or give allow=Allow\(no_face=True\)$",
    ):
        read([anna, empty])
    assert len(read([anna, empty], allow=Allow(no_face=True))) == 3
    with pytest.raises(UserError, match="no photo shows a face"):
        read([empty], allow=Allow(no_face=True))


def test_all_bad_photos_are_named_at_once(tmp_path):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name, np.full((200, 200, 3), 90, np.uint8))
    (tmp_path / "c.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"a\.png: no face .*; .*b\.png: no face.*; .*c\.png: the file is empty"):
        read([tmp_path])


def test_two_people_in_a_photo_are_refused_or_the_larger_is_taken(tmp_path):
    large, small = (draw_person(seed, size=size)[0] for seed, size in ((1, 320), (2, 200)))
    picture = np.full((320, 520, 3), 128, np.uint8)
    picture[:, :320] = large
    picture[60:260, 320:] = small
    write_image(tmp_path / "both.png", picture)
    with pytest.raises(UserError, match=r"both\.png: 2 faces were found; .* --allow-several-faces"):
        read([tmp_path / "both.png"], allow=Allow())
    with pytest.raises(
        UserError,
        match=r"both\.png: 2 faces were found; crop it to one person, or give allow=Allow\(several_faces=True\)$",
    ):
        read([tmp_path / "both.png"])
    photos = read([tmp_path / "both.png"], allow=Allow(several_faces=True))
    assert np.abs(photos.landmarks[0] - draw_person(1, size=SIZE)[1]).mean() < 0.03


def test_faces_in_the_background_do_not_count(tmp_path):
    main, far, lamp = Face((0, 0, 200, 200), 2.0), Face((300, 0, 360, 60), 1.0), Face((300, 0, 500, 200), -0.3)
    assert main_face([far, main], tmp_path, allow=Allow()) == main
    assert main_face([lamp, main], tmp_path, allow=Allow()) == main
    assert main_face([lamp], tmp_path, allow=Allow()) == lamp


def test_somebody_else_among_the_photos_is_named(anna, tmp_path, monkeypatch):
    stranger, _ = write_photo(tmp_path, "bob.png", 2)
    monkeypatch.setattr(module, "STRANGER_DISTANCE", 0.3)  # drawn people are more alike than real ones
    advice = r"leave such photos out, or give allow=Allow\(strangers=True\)$"
    with pytest.raises(UserError, match=r"somebody else is in: .*bob\.png \(0\.\d\d\), an .*; " + advice):
        read([anna, stranger])
    with pytest.raises(UserError, match=r"leave such photos out, or give --allow-strangers$"):
        read([anna, stranger], allow=Allow())
    assert len(read([anna, stranger], allow=Allow(strangers=True))) == 4


def test_two_photos_of_two_people_are_both_named(anna, tmp_path, monkeypatch):
    stranger, _ = write_photo(tmp_path, "bob.png", 2)
    monkeypatch.setattr(module, "STRANGER_OF_TWO", 0.3)
    with pytest.raises(UserError, match=r"look like different people: .*0\.png .*, .*bob\.png.*a third photo decides"):
        read([anna / "0.png", stranger])
    assert len(read([anna / "0.png", stranger], allow=Allow(strangers=True))) == 2


def test_two_photos_alone_have_a_wider_limit_and_a_warning(anna, tmp_path, monkeypatch, caplog):
    stranger, _ = write_photo(tmp_path, "bob.png", 2)
    apart = float(stranger_distances(read([anna / "0.png", stranger]))[0])
    monkeypatch.setattr(module, "STRANGER_DISTANCE", apart - 0.01)
    monkeypatch.setattr(module, "STRANGER_OF_TWO", apart + 0.01)
    assert len(read([anna / "0.png", stranger])) == 2
    assert "the two photos differ as two people may: " in caplog.text
    monkeypatch.setattr(module, "STRANGER_OF_TWO", apart - 0.005)
    with pytest.raises(UserError, match="look like different people"):
        read([anna / "0.png", stranger])


def test_pairs_of_press_photos(shared):
    """The furthest pairs of one person pass, and strangers do not: the limit for two alone, on all that there are."""
    people = sorted((shared / "data" / "photos").glob("person*"))
    assert len(read([people[2] / "00.jpg", people[2] / "01.jpg"])) == 2
    with pytest.raises(UserError, match="look like different people"):
        read([people[2] / "00.jpg", people[3] / "03.jpg"])


def test_what_a_folder_holds_besides_photos_is_named(anna, caplog):
    (anna / "notes.txt").write_text("who is who")
    (anna / "clip.mp4").write_bytes(b"0")
    (anna / ".hidden").write_bytes(b"0")
    try:
        photo_files([anna])
        assert "left out, no photos by their names: clip.mp4, notes.txt" in caplog.text
    finally:
        (anna / "notes.txt").unlink()
        (anna / "clip.mp4").unlink()


@pytest.mark.parametrize("suffix", [".jfif", ".gif", ".heic", ".JPG", ".webp"])
def test_a_folder_holds_photos_of_every_usual_name(tmp_path, suffix):
    (tmp_path / f"a{suffix}").write_bytes(b"0")
    assert photo_files([tmp_path]) == [tmp_path / f"a{suffix}"]


def test_a_link_that_leads_back_to_itself_is_a_sentence(tmp_path):
    (tmp_path / "a.jpg").symlink_to(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    with pytest.raises(UserError, match=r"a\.jpg: it is a symbolic link that leads back to itself"):
        read([tmp_path / "a.jpg"])


def test_a_single_photo_is_no_stranger(anna):
    assert stranger_distances(read([anna / "0.png"])).tolist() == [0]


def test_photos_without_a_name_each_are_refused():
    with pytest.raises(ValueError, match="2 frames"):
        Photos(np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 68, 2), np.float32), ("a",), ("0",))


def test_press_photos_of_one_person_pass_and_a_strangers_does_not(shared):
    folder = shared / "data" / "photos"
    assert len(read([folder / "person02"])) == 5
    with pytest.raises(UserError, match=r"somebody else is in: .*person03/03\.jpg"):
        read([folder / "person02", folder / "person03" / "03.jpg"])
