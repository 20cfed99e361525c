"""`talkinghead prepare` as a user runs it."""

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import pytest

from talkinghead.cli import main
from talkinghead.commands.options import rate_from
from talkinghead.commands.prepare import VERB
from talkinghead.errors import UserError
from talkinghead.portrait.data.preparation.settings import PrepareSettings
from talkinghead.portrait.data.shards import Shards
from talkinghead.testing.synthetic import write_clip


def test_a_folder_becomes_shards(tmp_path, capsys, monkeypatch):
    walks = []
    walk = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda folder, pattern: walks.append(folder) or walk(folder, pattern))
    (tmp_path / "clips" / "anna").mkdir(parents=True)
    write_clip(tmp_path / "clips" / "anna" / "a.mp4", 1, frames=16, size=128, sound=False)
    (tmp_path / "clips" / "broken.mp4").write_bytes(b"")
    options = ["--size", "64", "--min-frames", "4", "--min-confidence", "0.5", "--workers", "0", "--fps", "25"]
    main(["prepare", str(tmp_path / "clips"), "-o", str(tmp_path / "shards"), *options])
    (track,) = Shards(tmp_path / "shards")
    assert (track.identity, track.side, len(track)) == ("anna", 64, 16)
    assert "broken.mp4: the file is empty" in capsys.readouterr().err
    assert walks.count(tmp_path / "clips") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fps", "fast"], "--fps is 'fast'"),
        (["--fps", "-5"], "--fps is '-5'"),
        (["--max-frames", "20", "--min-frames", "30"], "--max-frames 20 is under --min-frames 30"),
        (["--detector", "hog"], "no face detector 'hog'"),
        (["--device", "tpu9"], "--device is 'tpu9'"),
    ],
)
def test_mistakes_are_said_in_a_sentence(tmp_path, capsys, options, message):
    write_clip(tmp_path / "a.mp4", 1, frames=2, size=64, sound=False)
    with pytest.raises(SystemExit) as caught:
        main(["prepare", str(tmp_path), "-o", str(tmp_path / "shards"), "--workers", "0", *options])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_rates_are_exact():
    assert rate_from("12.5") == Fraction(25, 2)
    assert rate_from("30000/1001") == Fraction(30000, 1001)
    for text in ("0", "-1", "1/0", "x"):
        with pytest.raises(UserError, match="positive"):
            rate_from(text)


def test_the_defaults_are_those_of_the_settings():
    options = asdict(*VERB.parse(["in", "-o", "out"]))
    settings = PrepareSettings().to_dict()
    shared = set(options) & set(settings) - {"fps"}
    assert {name: options[name] for name in shared} == {name: settings[name] for name in shared}
    assert rate_from(options["fps"]) == PrepareSettings().fps
    assert "min_confidence" in shared
