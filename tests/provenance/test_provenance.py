"""A clip says how it was made, and a changed clip is found out."""

import os
import stat
from fractions import Fraction

import av
import numpy as np
import pytest

from talkinghead.commands import verify
from talkinghead.errors import UserError
from talkinghead.media.video import VideoWriter, read_frames
from talkinghead.provenance import certificate
from talkinghead.provenance.origin import Origin
from talkinghead.provenance.statement import statement

needs_c2pa = pytest.mark.usefixtures("c2pa")
CONSENT = "Anna said yes, 3 May"


@pytest.fixture
def c2pa():
    return pytest.importorskip("c2pa")


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    """A user of its own, who has no certificate yet."""
    monkeypatch.setenv("TALKINGHEAD_SIGNING", str(tmp_path / "settings"))
    return tmp_path / "settings"


def clip(path, origin):
    with VideoWriter(path, fps=Fraction(25), origin=origin) as writer:
        for level in range(0, 250, 10):
            writer.write(np.full((48, 64, 3), level, np.uint8))
    return path


def said(capsys, path) -> str:
    verify.main([str(path)])
    return capsys.readouterr().out


@needs_c2pa
def test_a_clip_says_that_ai_made_it_of_whom_and_with_whose_consent(tmp_path, capsys):
    path = clip(tmp_path / "a.mp4", Origin("ab" * 32, CONSENT))
    found = statement(path)
    assert found is not None and found.valid and found.by_ai
    assert (found.avatar, found.consent, found.ingredients) == ("ab" * 32, CONSENT, ())
    assert found.made_by.startswith("talkinghead ")
    words = said(capsys, path)
    assert CONSENT in words and "ab" * 32 in words and "unchanged since  yes" in words
    assert len(list(read_frames(path))) == 25
    assert [one.name for one in tmp_path.glob("*.mp4*")] == ["a.mp4"]


@needs_c2pa
def test_a_changed_clip_is_found_out(tmp_path, capsys):
    path = clip(tmp_path / "a.mp4", Origin("ab" * 32, CONSENT))
    content = bytearray(path.read_bytes())
    content[-200] ^= 255
    path.write_bytes(content)
    found = statement(path)
    assert found is not None and not found.valid
    with pytest.raises(UserError, match="not what was signed"):
        verify.main([str(path)])
    assert "unchanged since  NO" in capsys.readouterr().out


@needs_c2pa
def test_what_the_driver_says_of_itself_is_taken_along(tmp_path):
    driver = clip(tmp_path / "driver.mp4", Origin("cd" * 32, "Ben said yes"))
    path = clip(tmp_path / "a.mp4", Origin("ab" * 32, CONSENT, driver))
    plain = clip(tmp_path / "b.mp4", Origin("ab" * 32, CONSENT, clip(tmp_path / "plain.mp4", None)))
    assert statement(path).ingredients == ("driver.mp4",)
    assert statement(path).consent == CONSENT
    assert statement(plain).ingredients == ()


@needs_c2pa
def test_the_certificate_is_made_once_for_its_owner_alone_and_kept(tmp_path, settings):
    first = clip(tmp_path / "a.mp4", Origin())
    before = {path.name: path.read_bytes() for path in settings.iterdir()}
    clip(tmp_path / "b.mp4", Origin())
    assert {path.name: path.read_bytes() for path in settings.iterdir()} == before
    assert stat.S_IMODE((settings / certificate.KEY).stat().st_mode) == 0o600
    assert statement(first).signer == "talkinghead: clips of this machine"


@needs_c2pa
def test_a_certificate_that_cannot_be_used_is_said_and_no_clip_appears(tmp_path, settings):
    settings.mkdir()
    (settings / certificate.CERTIFICATE).write_text("not a certificate")
    with pytest.raises(UserError, match=r"key\.pem.*--no-provenance"):
        clip(tmp_path / "a.mp4", Origin())
    (settings / certificate.KEY).write_text("not a key")
    with pytest.raises(UserError, match=r"a\.mp4 cannot be signed"):
        clip(tmp_path / "a.mp4", Origin())
    assert not (tmp_path / "a.mp4").exists()


def test_a_line_in_the_file_says_it_too_also_where_c2pa_is_absent(tmp_path, monkeypatch):
    monkeypatch.setattr("talkinghead.provenance.origin.find_spec", lambda name: None)
    path = clip(tmp_path / "a.mp4", Origin("ab" * 32, CONSENT))
    with av.open(str(path)) as container:
        comment = container.metadata["comment"]
    assert comment.startswith("Made by AI: talkinghead ")
    assert CONSENT in comment and "ab" * 8 in comment


@needs_c2pa
def test_files_that_say_nothing_and_files_that_are_none_are_refused(tmp_path):
    path = clip(tmp_path / "a.mp4", None)
    with pytest.raises(UserError, match="states nothing of its origin"):
        verify.main([str(path)])
    with pytest.raises(UserError, match="no such file"):
        verify.main([str(tmp_path / "none.mp4")])
    (tmp_path / "text.mp4").write_bytes(os.urandom(500))
    (tmp_path / "text.xyz").write_bytes(b"words")
    for name in ("text.mp4", "text.xyz"):
        with pytest.raises(UserError, match=name):
            verify.main([str(tmp_path / name)])
