"""Files appear whole or not at all."""

import errno
from pathlib import Path

import pytest

from talkinghead.errors import UserError
from talkinghead.media.files import (
    atomic_path,
    read_table,
    read_text,
    refuse_existing,
    resolved,
    say_left_out,
    unreadable,
)


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
