"""RAVDESS: names that say everything."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from talkinghead.errors import UserError
from talkinghead.speech.corpora.corpus import SpeechCorpus
from talkinghead.speech.corpora.ravdess import EMOTIONS, RavdessName, find_ravdess
from talkinghead.speech.corpora.recordings import Take
from talkinghead.speech.corpora.write import write_corpus

RATE = 48_000


def sound(frames: int = RATE) -> np.ndarray:
    return (0.1 * np.sin(np.arange(frames) / 30)).astype(np.float32)


def track(path: Path, speaker: str) -> list[Take]:
    """Says who was asked for."""
    return [Take(sound(), RATE, None, about={"tracked": f"{path.name} of {speaker}"})]


def write(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / f"Actor_{name[18:20]}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".wav":
            soundfile.write(path, sound(), RATE)
        else:
            path.write_bytes(b"film")
    return folder


def test_a_name_says_everything():
    name = RavdessName.parse("03-01-06-02-02-01-12")
    assert (name.modality, name.channel, name.emotion, name.strong, name.repetition, name.actor) == (
        3, 1, "fearful", True, 1, 12,
    )  # fmt: skip
    assert name.sentence == "Dogs are sitting by the door"
    assert name.split == "train"
    assert replace(name, actor=21).split == "test"
    assert len(EMOTIONS) == 8


@pytest.mark.parametrize(
    "stem", ["03-01-06", "03-01-09-01-01-01-01", "03-01-01-01-01-01-25", "00-01-01-01-01-01-01", "a"]
)
def test_other_names_are_refused(stem):
    with pytest.raises(ValueError, match="not seven numbers|does not use"):
        RavdessName.parse(stem)


def test_films_are_tracked_and_sounds_are_kept(tmp_path):
    folder = write(
        tmp_path / "R",
        "01-01-03-01-01-01-20.mp4",
        "02-01-03-01-01-01-20.mp4",  # the film without its sound
        "03-01-03-01-01-01-20.wav",  # the sound of the first
        "03-01-05-02-02-02-21.wav",
        "03-02-05-02-02-02-21.wav",  # a song
        "notes-of-mine.wav",
    )
    write_corpus(find_ravdess(folder, track), tmp_path / "c")
    film, alone = SpeechCorpus.load(tmp_path / "c")
    assert (film.name, film.speaker, film.emotion, film.split) == ("01-01-03-01-01-01-20", "actor20", "happy", "train")
    assert film.checks["tracked"] == "01-01-03-01-01-01-20.mp4 of actor20"
    assert (alone.speaker, alone.emotion, alone.split, alone.checks["strong"]) == ("actor21", "angry", "test", True)
    assert np.allclose(alone.audio(RATE), sound(), atol=1e-4)


def test_a_folder_without_ravdess_is_refused(tmp_path):
    with pytest.raises(UserError, match="no speech of RAVDESS"):
        find_ravdess(tmp_path, track)


def test_the_real_sounds_are_all_there(shared):
    source = find_ravdess(shared / "data" / "speech" / "ravdess", track)
    assert len(source.recordings) == 192
    assert len({one.speaker for one in source.recordings}) == 24
    assert {one.emotion for one in source.recordings} == set(EMOTIONS)
    assert sum(one.split == "test" for one in source.recordings) == 32
