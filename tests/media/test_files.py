"""Files appear whole or not at all."""

import errno
import os
import resource
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from talkinghead.errors import DiskFullError, UserError
from talkinghead.media.audio import write_sound
from talkinghead.media.files import (
    atomic_path,
    outputs,
    read_table,
    read_text,
    refuse_existing,
    resolved,
    say_left_out,
    unreadable,
)
from talkinghead.media.image import write_image
from talkinghead.media.video import VideoWriter


def test_the_file_appears_when_the_block_ends(tmp_path):
    with atomic_path(tmp_path / "new" / "a.txt") as temporary:
        temporary.write_text("done")
        assert temporary.suffix == ".txt"
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "done"
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path, overwrite=True) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["old"]


def test_a_folder_is_replaced_whole(tmp_path):
    for text in ("first", "second"):
        with atomic_path(tmp_path / "folder", overwrite=True) as temporary:
            temporary.mkdir()
            (temporary / text).write_text(text)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["second"]


def test_a_half_made_folder_is_removed(tmp_path):
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "folder") as temporary:
        temporary.mkdir()
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_what_exists_is_refused(tmp_path):
    with pytest.raises(UserError, match="exists"), atomic_path(tmp_path):
        pass
    refuse_existing(tmp_path, overwrite=True)


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(UserError, match="cannot be made .No space"), atomic_path(tmp_path / "new" / "a.txt"):
        pass


def test_a_folder_that_cannot_be_written_to_is_named_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda folder, _: folder != tmp_path)
    for path in (tmp_path / "a.txt", tmp_path / "new" / "a.txt"):
        with pytest.raises(UserError, match=f"nothing can be written into {tmp_path}"):
            refuse_existing(path, overwrite=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"into {tmp_path / 'file'}"):
        refuse_existing(tmp_path / "file" / "a.txt", overwrite=True)


def test_a_disk_that_takes_nothing_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.touch", refuse)
    with (
        pytest.raises(UserError, match="a.txt: nothing can be written there .Read-only"),
        atomic_path(tmp_path / "a.txt"),
    ):
        pass


def test_a_file_never_takes_a_folders_place(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").write_text("")
    with pytest.raises(UserError, match="is a folder"), atomic_path(tmp_path / "folder", overwrite=True) as temporary:
        temporary.write_text("new")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "precious"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_texts_of_other_programs_are_read(tmp_path, encoding):
    (tmp_path / "a.csv").write_bytes("Name;Grüße\n1;2\n".encode(encoding))
    assert read_text(tmp_path / "a.csv") == "Name;Grüße\n1;2\n"


def test_texts_without_an_end_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x" * 100)
    with pytest.raises(UserError, match="a.txt: it has 0.0 MB, more than"):
        read_text(tmp_path / "a.txt", most=99)
    with pytest.raises(UserError, match="/dev/zero is a pipe or a device"):
        read_text(Path("/dev/zero"))


def test_links_in_a_circle_are_a_sentence(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(UserError, match="leads back to itself"):
        resolved(tmp_path / "a")
    assert unreadable(tmp_path / "a") == "it is a symbolic link that leads back to itself"
    assert resolved(tmp_path / "c") == (tmp_path / "c").resolve()


def test_what_is_left_out_is_named_up_to_ten(tmp_path, caplog):
    say_left_out(tmp_path, [f"{i}.txt" for i in range(13)], "no photos by their names")
    assert "0.txt" in caplog.text and "9.txt and 3 more" in caplog.text
    caplog.clear()
    say_left_out(tmp_path, [], "nothing")
    assert not caplog.text


def test_a_table_is_read_by_its_header(tmp_path):
    (tmp_path / "a.csv").write_bytes('\ufeffname,size\r\nÄnne,"1,5"\r\n\r\nshort\r\nlong,2,3\r\n'.encode())
    rows = [{"name": "Änne", "size": "1,5"}, {"name": "short", "size": ""}, {"name": "long", "size": "2"}]
    assert read_table(tmp_path / "a.csv", "the list") == rows


@pytest.mark.parametrize("text", ["", "name,size\n", "\n\n"])
def test_a_table_without_rows_is_empty(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    assert read_table(tmp_path / "a.csv", "the list") == []


def test_a_table_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match=r"a\.csv: the list cannot be read \(No such file or directory\)"):
        read_table(tmp_path / "a.csv", "the list")
    (tmp_path / "a.csv").write_bytes(b"name\n\xff\xfe")
    with pytest.raises(UserError, match="save it as CSV in UTF-8"):
        read_table(tmp_path / "a.csv", "the list")


def test_the_files_of_a_command_appear_together(tmp_path):
    one, other = tmp_path / "clip.mp4", tmp_path / "motion.txt"
    with pytest.raises(RuntimeError), outputs(one, other):
        with atomic_path(other) as temporary:
            temporary.write_text("whole")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with outputs(one, other):
        for path in (other, one):
            with atomic_path(path) as temporary:
                temporary.write_text(path.name)
        assert not other.exists() and not one.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "motion.txt"]


def test_what_appeared_meanwhile_stays(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(UserError, match="exists"), atomic_path(path) as temporary:
        temporary.write_text("mine")
        path.write_text("theirs")
    assert path.read_text() == "theirs" and len(list(tmp_path.iterdir())) == 1


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "precious").write_text("old")
    for name, target in (("link", "precious"), ("dangling", "nowhere")):
        (tmp_path / name).symlink_to(tmp_path / target)
        with pytest.raises(UserError, match="exists"):
            refuse_existing(tmp_path / name, overwrite=False)
        with atomic_path(tmp_path / name, overwrite=True) as temporary:
            temporary.write_text("new")
    assert (tmp_path / "precious").read_text() == "old" and not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "link").read_text() == "new"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_files_have_the_users_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        with atomic_path(tmp_path / "a.safetensors") as temporary:
            save_file({"a": np.zeros(3)}, temporary)
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask


def write_tensors(path):
    save_file({"a": np.zeros(900_000, np.uint8)}, path)


def write_voice(path):
    write_sound(path, np.random.default_rng(0).uniform(-1, 1, 400_000).astype(np.float32), 16000)


def write_picture(path):
    write_image(path, np.random.default_rng(0).integers(0, 255, (600, 600, 3), np.uint8), overwrite=True)


def write_checkpoint(path):
    torch.save({"a": torch.zeros(900_000, dtype=torch.uint8)}, path)


def write_film(path):
    random = np.random.default_rng(0)
    with VideoWriter(path, fps=Fraction(25), overwrite=True) as writer:
        for _ in range(40):
            writer.write(random.integers(0, 255, (256, 256, 3), np.uint8))


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.safetensors", write_tensors), ("a.wav", write_voice), ("a.flac", write_voice), ("a.png", write_picture),
     ("a.ckpt", write_checkpoint), ("a.mp4", write_film)],
)  # fmt: skip
def test_a_full_disk_is_one_sentence_whatever_writes(tmp_path, name, write):
    """The largest size of a file stands for the disk: the system refuses what goes beyond."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, limits[1]))
    try:
        sentence = rf"{name}: it cannot be written whole .File too large"
        with pytest.raises(DiskFullError, match=sentence), atomic_path(tmp_path / name) as temporary:
            write(temporary)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_other_faults_stay_what_they_are(tmp_path):
    with pytest.raises(RuntimeError, match="of mine"), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("some")
        raise RuntimeError("of mine")
