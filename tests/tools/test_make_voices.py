"""`tools/make_voices`: many voices, none of them the one that is measured with."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from talkinghead.speech import speech_synthesis
from talkinghead.speech.speech_synthesis import VOICE, Spoken

TOOLS = Path(__file__).parents[2] / "tools"


def load(name: str) -> ModuleType:
    loader = SourceFileLoader(name, str(TOOLS / name))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return load("make_voices")


def test_each_voice_says_its_sentences(tool, tmp_path, monkeypatch):
    said = []

    def speak(text, *, voice, words_a_minute):
        said.append((voice, text))
        return Spoken(np.zeros(800, np.float32), 16000)

    monkeypatch.setattr(speech_synthesis, "speak_text", speak)
    tool.main([str(tmp_path)])
    files = sorted(tmp_path.rglob("*.flac"))
    assert len(files) == len(said) == len(tool.VOICES) * tool.EACH
    assert len({path.parent for path in files}) == len(tool.VOICES)
    assert {text for _, text in said} == set(tool.SENTENCES)
    assert soundfile.info(files[0]).samplerate == 16000


def test_what_is_measured_with_is_not_taught(tool):
    measured = load("speech_checks").SENTENCES
    assert not set(measured) & set(tool.SENTENCES)
    assert VOICE not in {voice.partition("+")[0] for voice in tool.VOICES}
