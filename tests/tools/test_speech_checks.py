"""The pictures that tools/speech_checks draws, and the cards that show them."""

import re
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from talking_corpus import RATE, voice

from talkinghead.media.image import read_image
from talkinghead.rig.files.own import default_rig
from talkinghead.speech import model as model_module
from talkinghead.speech import speech_synthesis
from talkinghead.speech.evaluation.checks import Phoneme
from talkinghead.speech.model import SpeechMotion
from talkinghead.speech.speech_synthesis import Spoken

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 200_000


@pytest.fixture(scope="module")
def checks():
    loader = SourceFileLoader("speech_checks", str(ROOT / "tools" / "speech_checks"))
    module = module_from_spec(spec_from_loader("speech_checks", loader))
    loader.exec_module(module)
    return module


class Speaker:
    """Opens the mouth as wide as its style or emotion is."""

    kind, emotions, speakers = "voca", None, ("anna", "ben")

    def predict(self, waveform, rate, *, fps, speaker=None):
        jaw = default_rig().expressions[default_rig().expression_names.index("jawOpen")]
        wide = np.linspace(0, 0.4 if speaker is None else 0.1, 40, dtype=np.float32)
        return SpeechMotion(fps, vertices=default_rig().neutral + wide[:, None, None] * jaw)


def test_a_sheet_has_a_row_for_each_style(checks, tmp_path, monkeypatch):
    monkeypatch.setattr(speech_synthesis, "speak_text", lambda text: Spoken(voice(40 / 30), RATE))
    monkeypatch.setattr(model_module, "load_model", lambda kind: Speaker())
    path = checks.write_sheet("voca", tmp_path)
    picture = read_image(path)
    assert path == tmp_path / "voca.png" and path.stat().st_size < MOST_BYTES
    assert picture.shape[1] == 8 * 104 + 7 * 2 and picture.shape[0] > 2 * 104 + 160


def test_the_mouth_is_measured_in_speech_and_in_silence(checks, monkeypatch):
    class Muttering(Speaker):
        """Opens the mouth as wide as the sound is loud."""

        def predict(self, waveform, rate, *, fps):
            jaw = default_rig().expressions[default_rig().expression_names.index("jawOpen")]
            loud = np.float32(0.1 + 0.4 * (np.abs(waveform).max() > 0))
            return SpeechMotion(fps, vertices=np.repeat(default_rig().neutral[None] + loud * jaw, 60, 0))

    said = Spoken(voice(2.0), RATE), (Phoneme("a", 0.2, 0.6), Phoneme("b", 0.8, 0.9))
    monkeypatch.setattr(model_module, "load_model", lambda kind: Muttering())
    figures = checks.measure("voca", SimpleNamespace(slack=0.0), [said], [])
    assert 0.9 < figures["opening in silence, mm"] < 0.5 * figures["opening in vowels, mm"]
    assert figures["bilabials closed"] == "0 of 1"


@pytest.mark.skipif(speech_synthesis._library() is None, reason="the library of espeak-ng is not installed")
def test_espeak_tells_the_time_of_each_phoneme(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from espeak_phonemes import speak_with_phonemes

    said, phonemes = speak_with_phonemes("Papa bought a map.")
    seconds = len(said.waveform) / said.sample_rate
    assert 0.8 < seconds < 3 and 0.05 < np.abs(said.waveform).max() <= 1
    assert abs(len(said.waveform) - len(speech_synthesis.speak_text("Papa bought a map.").waveform)) < 100
    symbols = [phoneme.symbol.strip("ˈˌː") for phoneme in phonemes]
    assert symbols[0] == "p" and symbols.count("p") == 3 and "m" in symbols
    starts = [phoneme.start for phoneme in phonemes]
    assert starts == sorted(starts) and all(one.start <= one.end <= seconds + 1e-6 for one in phonemes)


@pytest.mark.parametrize("card", sorted((ROOT / "talkinghead" / "weights").glob("*.md")), ids=lambda path: path.name)
def test_pictures_that_a_card_shows_are_there_and_small(card):
    for link in re.findall(r"\]\(([^)]+\.png)\)", card.read_text()):
        picture = (card.parent / link).resolve()
        assert picture.is_file() and picture.stat().st_size < MOST_BYTES, link
