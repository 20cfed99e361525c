import sys

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.speech import speech_synthesis as module
from talkinghead.speech.speech_synthesis import can_speak, speak_text

WRITES_A_TONE = (
    "import sys, wave, struct; text = sys.stdin.read() or sys.argv[2]; file = wave.open(sys.argv[1], 'wb');"
    "file.setnchannels(1); file.setsampwidth(2); file.setframerate(8000);"
    "file.writeframes(struct.pack('<h', 8000) * 100 * len(text)); file.close()"
)
PYTHON = f'"{sys.executable}" -c "{WRITES_A_TONE}"'

needs_espeak = pytest.mark.skipif(module._library() is None, reason="the library of espeak-ng is not installed")


@needs_espeak
def test_slower_speech_takes_longer_and_a_second_text_is_not_mixed_with_the_first():
    first, slow, again = (speak_text("Hello there.", words_a_minute=rate) for rate in (200, 100, 200))
    assert len(slow.waveform) > 1.3 * len(first.waveform)
    assert abs(len(again.waveform) - len(first.waveform)) < 100


@needs_espeak
@pytest.mark.parametrize(
    ("options", "says"),
    [({"text": "Hello.", "voice": "klingonese"}, "--voice is 'klingonese'")],
)
def test_what_espeak_cannot_do_is_named(options, says):
    with pytest.raises(UserError, match=says):
        speak_text(**options)


def test_any_command_may_speak():
    for command in (f"{PYTHON} {{output}}", f"{PYTHON} {{output}} {{text}}"):
        said = speak_text("ten chars.", command=command)
        assert said.sample_rate == 8000 and len(said.waveform) == 1000
        assert np.allclose(said.waveform, 8000 / 32768, atol=1e-3)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("say it", "must name the file to write as {output}"),
        ("no-such-program-here {output}", "'no-such-program-here' did not run"),
        (f'"{sys.executable}" -c "import sys; sys.exit(\'hoarse\')" {{output}}', "hoarse"),
        (f'"{sys.executable}" -c "pass" {{output}}', "it wrote no file"),
        ('say "it', "cannot be read"),
    ],
)
def test_a_command_that_does_not_speak_is_named(command, says):
    with pytest.raises(UserError, match=says):
        speak_text("Hello.", command=command)


def test_no_text_and_nothing_that_speaks(monkeypatch):
    with pytest.raises(UserError, match="no text to speak"):
        speak_text("  \n")
    monkeypatch.setattr(module, "_library", lambda: None)
    monkeypatch.setattr(module, "_library_paths", list)
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    assert can_speak() is None
    with pytest.raises(UserError, match="nothing here that speaks"):
        speak_text("Hello.")


def test_the_program_is_taken_where_there_is_no_library(monkeypatch, tmp_path):
    program = tmp_path / "espeak-ng"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nout = sys.argv[sys.argv.index('-w') + 1]\n"
        "import wave\nfile = wave.open(out, 'wb')\nfile.setnchannels(1)\nfile.setsampwidth(2)\n"
        "file.setframerate(22050)\nfile.writeframes(bytes(2000))\nfile.close()\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(module, "_library", lambda: None)
    monkeypatch.setattr(module.shutil, "which", lambda name: str(program))
    assert len(speak_text("Hello.").waveform) == 1000
