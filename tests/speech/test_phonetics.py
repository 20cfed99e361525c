"""Phonetic classes and where their scores come from."""

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.speech import phonetics
from talkinghead.speech.phonetics import ARTICULATORY, CLASSES, articulatory_matrix, phonetic_scores


class Recogniser:
    """Stands for hama: says "m" where sound is loud, nothing where it is quiet."""

    decoder_tokens = ("<pad>", "m", "a", "<blank>")

    def __init__(self):
        self.session = self
        self.longest = 0

    def run(self, names, inputs):
        waveform = inputs["waveform"][0]
        self.longest = max(self.longest, len(waveform))
        frames = len(waveform) // 320
        loud = np.abs(waveform[: frames * 320]).reshape(frames, 320).mean(1) > 0.1
        probabilities = np.full((frames, 4), 0.01)
        probabilities[np.arange(frames), np.where(loud, 1, 3)] = 0.97
        return np.log(probabilities)[None], np.array([frames])


@pytest.fixture
def recogniser(monkeypatch):
    double = Recogniser()
    monkeypatch.setattr(phonetics, "_hama", lambda: double)
    return double


def test_there_are_29_classes_and_no_symbol_is_in_two():
    assert len(ARTICULATORY) == CLASSES
    symbols = [symbol for members in ARTICULATORY.values() for symbol in members.split()]
    assert len(symbols) == len(set(symbols))


def test_each_symbol_has_one_class_and_strangers_are_pauses():
    matrix = articulatory_matrix(["p", "m", "<blank>", "<wb>", "ˀ"])
    assert (matrix.sum(1) == 1).all()
    assert matrix.argmax(1).tolist() == [0, 1, 28, 27, 27]


def test_long_sound_is_heard_in_pieces_without_seams(recogniser):
    waveform = np.zeros(16000 * 50, np.float32)
    waveform[16000 * 19 : 16000 * 43] = 0.5
    scores = phonetic_scores(waveform)
    assert scores.shape == (2500, 29)
    assert recogniser.longest <= 30 * 16000
    says_m = scores.argmax(1) == 1
    assert says_m[950:2150].all() and not says_m[:950].any() and not says_m[2150:].any()
    np.testing.assert_allclose(scores.mean(1), 0, atol=1e-4)


def test_very_short_sound_is_heard_too(recogniser):
    assert phonetic_scores(np.zeros(10, np.float32)).shape == (1, 29)


def test_an_unknown_backend_is_refused_with_those_there_are():
    with pytest.raises(UserError, match="'deepspeech'; take hama or wav2vec2"):
        phonetic_scores(np.zeros(100, np.float32), "deepspeech")


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    phonetics._wav2vec2.cache_clear()
    with pytest.raises(UserError, match="pip install"):
        phonetic_scores(np.zeros(100, np.float32), "wav2vec2")


def test_a_file_that_is_no_table_is_refused(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(5))
    with pytest.raises(UserError, match="shape \\(5,\\)"):
        phonetic_scores(np.zeros(100, np.float32), tmp_path / "flat.npy")
    with pytest.raises(UserError, match="not an .npy file"):
        phonetic_scores(np.zeros(100, np.float32), tmp_path / "absent.npy")


def test_hama_hears_more_than_blanks_in_real_speech(shared):
    import soundfile

    phonetics._hama.cache_clear()
    waveform, _ = soundfile.read(shared / "data/speech/facegood/1114_3_15.flac", frames=16000 * 4, dtype="float32")
    scores = phonetic_scores(waveform)
    assert scores.shape == (200, 29)
    assert len(set(scores.argmax(1).tolist())) > 5
