"""`talkinghead prepare --speech` as a user runs it."""

import json

import numpy as np
import pytest
import soundfile
from speech_recordings import RATE, hum, opening, write_facegood

from talkinghead.cli import main
from talkinghead.speech.corpora.corpus import SpeechCorpus


def run(*arguments: str) -> int:
    """The exit code."""
    try:
        main(["prepare", *arguments])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.fixture
def weights(tmp_path):
    columns = np.stack([opening(60), opening(60, seed=1)], 1)
    mouths = {"a_1": opening(60), "a_2": opening(60)}
    write_facegood(tmp_path / "in", ["jawOpen", "mouthSmile_L"], dict.fromkeys(mouths, columns), mouths)
    return tmp_path / "in"


def test_a_folder_becomes_a_corpus_with_a_report(weights, tmp_path, capsys, caplog):
    caplog.set_level("INFO")
    soundfile.write(weights / "a_0.flac", np.zeros(RATE), RATE)
    np.save(weights / "a_0.npy", np.zeros((30, 2), np.float32))
    assert run("--speech", "facegood", str(weights), "-o", str(tmp_path / "c")) == 0
    assert [one.name for one in SpeechCorpus.load(tmp_path / "c")] == ["a_1", "a_2"]
    assert "a_0: it is silent" in capsys.readouterr().err
    assert "train: 1 sequences, 1 speakers" in caplog.text
    assert json.loads((tmp_path / "c" / "report.json").read_text())["totals"]["val"]["frames"] == 60
    assert run("--speech=facegood", str(weights), "-o", str(tmp_path / "c")) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_a_threshold_drops_what_does_not_follow(weights, tmp_path, capsys):
    soundfile.write(weights / "a_1.flac", hum(opening(60, seed=4)), RATE)
    options = ["--speech", "facegood", str(weights), "-o", str(tmp_path / "c"), "--min-correlation", "0.7"]
    assert run(*options) == 0
    assert [one.name for one in SpeechCorpus.load(tmp_path / "c")] == ["a_2"]
    assert "does not follow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("facegood", "no NAME.npy"),
        ("vocaset", "data_verts.npy is missing"),
        ("biwi", "neither faces/"),
        ("ravdess", "no speech of RAVDESS"),
        ("videos", "no video in it"),
        ("sounds", "no sound in it"),
    ],
)
def test_each_kind_says_what_it_needs(tmp_path, capsys, kind, message):
    (tmp_path / "in").mkdir()
    assert run("--speech", kind, str(tmp_path / "in"), "-o", str(tmp_path / "c")) == 2
    assert message in capsys.readouterr().err


def test_mistakes_are_said_in_a_sentence(tmp_path, capsys):
    assert run("--speech", "facegood", str(tmp_path / "absent"), "-o", str(tmp_path / "c")) == 2
    assert "there is no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--speech", "hdtf", "in"], ["--speech=hdtf"], ["in", "--speech"], ["--speech="]])
def test_a_kind_that_is_missing_or_unknown_is_said_in_one_line(capsys, options):
    assert run("-o", "c", *options) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: --speech is followed by") and len(said.splitlines()) == 1
    assert "videos, facegood, vocaset, biwi, ravdess, sounds" in said and "prepare --speech --help" in said


@pytest.mark.parametrize("options", [["--speech", "--help"], ["--help", "--speech"], ["--speech", "videos", "--help"]])
def test_help_needs_no_kind(capsys, options):
    assert run(*options) == 0
    assert "--synchronise" in capsys.readouterr().out


def test_sounds_are_said_by_a_model_that_ships(tmp_path):
    (tmp_path / "in" / "anna").mkdir(parents=True)
    soundfile.write(tmp_path / "in" / "anna" / "1.wav", hum(opening(45)), RATE)
    assert run("--speech", "sounds", str(tmp_path / "in"), "-o", str(tmp_path / "c"), "--teacher", "pham") == 0
    (one,) = SpeechCorpus.load(tmp_path / "c")
    assert (one.speaker, one.split, one.frames) == ("anna", "train", round(1.5 * one.fps))


def test_synchronising_asks_karras_and_voca_and_no_loudness(monkeypatch, tmp_path):
    from talkinghead.commands import prepare_speech

    asked = {}
    monkeypatch.setattr("talkinghead.speech.model.load_model", lambda name: asked.setdefault(name, name))
    monkeypatch.setattr(
        "talkinghead.speech.evaluation.synchrony.delay_by", lambda models: lambda take: (0.0, {"models": models})
    )
    monkeypatch.setattr(
        "talkinghead.speech.corpora.talking_videos.find_talking_videos", lambda source, tracker, listing: tracker
    )
    monkeypatch.setattr(
        prepare_speech,
        "run",
        lambda tracker, output, min_correlation, overwrite: asked.update(tracker=tracker, least=min_correlation) or [],
    )
    assert run("--speech", "videos", str(tmp_path), "-o", str(tmp_path / "c"), "--synchronise") == 0
    assert asked["tracker"].measure(None) == (0, {"models": ["karras", "voca"]}) and asked["least"] is None
    assert run("--speech", "videos", str(tmp_path), "-o", str(tmp_path / "c")) == 0
    assert asked["tracker"].measure is None and asked["least"] == 0.2


@pytest.mark.parametrize("arguments", [["--speech", "--help"], ["--help", "--speech", "videos"]])
def test_help_of_speech_is_shown_wherever_it_is_asked_for(arguments, capsys):
    assert run(*arguments) == 0
    assert "talkinghead prepare --speech vocaset VOCASET" in capsys.readouterr().out
