"""Names and files of the page: nothing outside its folder is touched."""

import pytest

from talkinghead.app.library import Library
from talkinghead.errors import UserError


@pytest.fixture
def library(tmp_path):
    made = Library(tmp_path / "people")
    for name in ("Anna", "Ben"):
        made.avatar(name).write_bytes(name.encode())
    return made


def test_avatars_are_listed_renamed_and_deleted(library):
    (library.avatars_folder / ".hidden.avatar.safetensors").write_bytes(b"")
    assert set(library.avatars()) == {"Anna", "Ben"}
    library.rename_avatar("Anna", "Anna Müller")
    assert library.avatar("Anna Müller").read_bytes() == b"Anna"
    library.remove_avatar("Ben")
    assert library.avatars() == ["Anna Müller"]


def test_no_avatar_is_written_over(library):
    with pytest.raises(UserError, match="already"):
        library.rename_avatar("Anna", "Ben")
    assert library.avatar("Ben").read_bytes() == b"Ben"


@pytest.mark.parametrize("name", ["", " ", "../Anna", "a/b", "..", ".hidden", "a\x00b", "x" * 61, "a\\b", "C:", "end."])
def test_names_that_could_leave_the_folder_are_refused(library, name):
    with pytest.raises(UserError, match="cannot be a name"):
        library.avatar(name)
    with pytest.raises(UserError, match="cannot be a name"):
        library.rename_avatar("Anna", name)


def test_clips_are_numbered(library):
    first = library.new_clip("Anna")
    assert first.name == "Anna 1.mp4"
    first.write_bytes(b"")
    assert library.new_clip("Anna").name == "Anna 2.mp4"
    assert library.clips() == ["Anna 1"]


def test_an_avatar_that_is_gone_is_named(library):
    with pytest.raises(UserError, match="'Eva'"):
        library.existing("Eva")


def test_a_clip_goes_with_its_movement_and_nothing_else_does(library):
    kept = library.new_clip("Anna")
    for path in (
        kept,
        kept.with_suffix(".csv"),
        kept.with_suffix(".motion.safetensors"),
        kept.with_name("Anna 10.mp4"),
    ):
        path.write_bytes(b"")
    library.remove_clip("Anna 1")
    assert [path.name for path in library.clips_folder.iterdir()] == ["Anna 10.mp4"]
    with pytest.raises(UserError, match="'Anna 1'"):
        library.remove_clip("Anna 1")
