"""speak, as it is called from the command line."""

import io
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from people import PAINTER, TINY, drawn_photos, tiny_head
from talking_corpus import RATE, TEMPLATE, TRIANGLES, voice

from talkinghead import cli
from talkinghead.commands import live
from talkinghead.commands.speak import choice
from talkinghead.errors import UserError
from talkinghead.media.video import probe
from talkinghead.motion.motion import Motion
from talkinghead.portrait.avatar.avatar import Avatar, feed_forward
from talkinghead.portrait.networks.config import PortraitConfig
from talkinghead.rig.files.own import default_rig, save_rig
from talkinghead.rig.fitting.resting_face import resting_face
from talkinghead.rig.head_pose import estimate_pose
from talkinghead.speech import speech_synthesis
from talkinghead.speech.karras2017 import KarrasConfig, KarrasNetwork
from talkinghead.speech.model import KarrasModel, PhamModel
from talkinghead.speech.pham2017 import PhamConfig, PhamNetwork
from talkinghead.speech.speech_synthesis import Spoken


@pytest.fixture(scope="module")
def things(tmp_path_factory) -> Path:
    """A folder with a voice, a person, and tiny models with random weights."""
    folder = tmp_path_factory.mktemp("things")
    soundfile.write(folder / "voice.wav", voice(0.5), RATE)
    feed_forward(tiny_head(), drawn_photos(), provenance={}).save(folder / "anna.avatar.safetensors")
    torch.manual_seed(0)
    PhamModel(PhamNetwork(PhamConfig(hidden=8, layers=1)).eval(), rig="head").save(folder / "pham.speech.safetensors")
    rig = default_rig()
    emotions = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    for name, template, faces in (("karras", rig.neutral, rig.faces), ("tetra", TEMPLATE, TRIANGLES)):
        network = KarrasNetwork(KarrasConfig(vertices=len(template), emotion=4, basis=3)).eval()
        with torch.no_grad():
            network.vertices.bias.copy_(torch.from_numpy(template.reshape(-1)))
            network.vertices.weight.mul_(1e-4)
        KarrasModel(
            network,
            rig="head" if name == "karras" else None,
            template=template,
            topology=faces.astype(np.int32),
            emotions=emotions,
            emotion_names=("calm", "cross"),
        ).save(folder / f"{name}.speech.safetensors")
    return folder


def speak(*arguments: object) -> int:
    """The exit code of the command."""
    try:
        cli.main(["speak", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def failing(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command says when it refuses."""
    assert speak(*arguments) == 2
    return " ".join(capsys.readouterr().err.split())


def test_a_voice_moves_a_person(things, tmp_path):
    out, kept = tmp_path / "out.mp4", tmp_path / "kept.motion.safetensors"
    assert (
        speak(
            things / "voice.wav",
            "--avatar",
            things / "anna.avatar.safetensors",
            "-o",
            out,
            "--save-motion",
            kept,
            "--model",
            things / "karras.speech.safetensors",
            "--emotion",
            "cross",
            "--fps",
            20,
            "--device",
            "cpu",
        )
        == 0
    )
    info = probe(out)
    assert (info.frames, info.fps, info.has_sound, info.width) == (10, Fraction(20), True, TINY.size)
    motion = Motion.load(kept)
    assert motion.sound == things / "voice.wav" and motion.vertices is not None and motion.pose is not None
    assert motion.blendshapes is not None and motion.blendshape_names == default_rig().expression_names


def test_without_an_avatar_a_head_is_shaded_and_a_reference_is_followed(things, tmp_path):
    reference = Motion(np.tile(drawn_photos().landmarks[:1], (5, 1, 1)), np.ones(5, np.float32), Fraction(10))
    reference.save(tmp_path / "ref.motion.safetensors")
    options = ["--model", things / "pham.speech.safetensors", "--size", 64]
    assert speak(things / "voice.wav", "-o", tmp_path / "a.mp4", *options, "--still") == 0
    assert (
        speak(
            things / "voice.wav", "-o", tmp_path / "b.mp4", *options, "--reference", tmp_path / "ref.motion.safetensors"
        )
        == 0
    )
    assert probe(tmp_path / "a.mp4").frames == probe(tmp_path / "b.mp4").frames == 15


def test_a_text_is_spoken(things, tmp_path, monkeypatch):
    said: list[str] = []

    def pretend(text: str, **more: object) -> Spoken:
        said.append(text)
        return Spoken(voice(0.3), RATE)

    monkeypatch.setattr(speech_synthesis, "speak_text", pretend)
    options = ["--model", things / "pham.speech.safetensors", "--size", 32]
    kept = tmp_path / "kept.motion.safetensors"
    assert speak("Hello, world.", "-o", tmp_path / "a.mp4", *options, "--save-motion", kept) == 0
    assert said == ["Hello, world."] and probe(tmp_path / "a.mp4").has_sound
    assert Motion.load(kept).sound is None  # its voice was not kept
    assert speak("Hi.", "-o", tmp_path / "b.mp4", *options, "--save-voice", tmp_path / "hi.wav") == 0
    assert soundfile.info(tmp_path / "hi.wav").frames == 4800


def test_another_shape_and_another_topology(things, tmp_path):
    rig = default_rig()
    lines = ["v {:.6f} {:.6f} {:.6f}".format(*point) for point in rig.neutral * 1.1]
    (tmp_path / "big.obj").write_text("\n".join([*lines, "f 1 2 3"]))
    options = ["--size", 32]
    karras, tetra = (["--model", things / f"{name}.speech.safetensors"] for name in ("karras", "tetra"))
    kept = tmp_path / "kept.motion.safetensors"
    assert (
        speak(
            things / "voice.wav",
            "-o",
            tmp_path / "a.mp4",
            *options,
            *karras,
            "--mesh",
            tmp_path / "big.obj",
            "--save-motion",
            kept,
            "--still",
        )
        == 0
    )
    assert np.allclose(Motion.load(kept).vertices.std((0, 1)), 1.1 * rig.neutral.std(0), rtol=0.05)
    assert speak(things / "voice.wav", "-o", tmp_path / "b.mp4", *options, *tetra) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-o", "out.avi"], "ends in .mp4"),
        (["-o", "o.mp4", "--still", "--reference", "a.mp4"], "exclude each other"),
        (["-o", "o.mp4", "--avatar", "a", "--mesh", "b"], "exclude each other"),
        (["-o", "o.mp4", "--model", "madonna"], "there is no speech model 'madonna'"),
        (["-o", "o.mp4", "--model", "none.safetensors"], "none.safetensors: there is no such file"),
        (["-o", "o.mp4", "--model", "{karras}", "--emotion", "jolly"], "there is no emotion 'jolly'"),
        (["-o", "o.mp4", "--model", "{karras}", "--mesh", "{rig}"], "moved by blendshapes"),
        (["-o", "o.mp4", "--avatar", "a", "--identity", "1"], "an avatar has its own shape"),
        (["-o", "o.mp4", "--identity", "tall"], "--identity is 'tall'; give numbers"),
        (["-o", "o.mp4", "--model", "{karras}", "--identity", "1" + ",0" * 20], "has 20 modes"),
        (["-o", "o.mp4", "--model", "{tetra}", "--identity", "1"], "give that as --mesh"),
        (["-o", "o.mp4", "--pose", "10,0"], "give yaw, pitch and roll"),
        (["-o", "o.mp4", "--pose", "100,0,0"], "within 90"),
        (["-o", "o.mp4", "--blinks", "1,nan"], "--blinks is '1,nan'"),
        (["-o", "o.mp4", "--model", "{tetra}", "--blinks", "1"], "leave --blinks out"),
        (["-o", "o.mp4", "--live", "--emotion", "0", "--style", "1"], "live has no option --emotion"),
        (["-o", "o.mp4", "--live", "--reference", "a.mp4"], "live has no option --reference"),
        (["-o", "o.mp4", "--live", "--language", "de"], "live has no option --language"),
        (["-o", "o.mp4", "--live", "--pose", "100,0,0"], "within 90"),
        (["-o", "o.mp4", "--model", "{karras}", "--mesh", "small.obj"], "3 vertices and the model"),
        (["-o", "o.mp4", "--model", "{tetra}", "--avatar", "{anna}"], "cannot move an avatar"),
        (["-o", "{voice}", "--model", "{karras}", "--overwrite"], "ends in .mp4"),
        (
            ["-o", "o.mp4", "--model", "{karras}", "--save-motion", "{anna}", "--avatar", "{anna}", "--overwrite"],
            "made from",
        ),
        (["-o", "o.mp4", "--model", "{karras}", "--reference", "blind.motion.safetensors"], "no frame shows a face"),
    ],
    ids=lambda value: " ".join(value[2:4]) if isinstance(value, list) else "",
)
def test_wrong_options_are_named(things, tmp_path, monkeypatch, capsys, options, says):
    monkeypatch.chdir(tmp_path)
    Path("small.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    blind = Motion(np.zeros((2, 68, 2), np.float32), np.zeros(2, np.float32), Fraction(10))
    blind.save(Path("blind.motion.safetensors"))
    save_rig(default_rig().at_landmarks(), Path("small.rig.safetensors"))
    names = {
        "karras": things / "karras.speech.safetensors",
        "tetra": things / "tetra.speech.safetensors",
        "anna": things / "anna.avatar.safetensors",
        "voice": things / "voice.wav",
        "rig": "small.rig.safetensors",
    }
    assert says in failing(capsys, things / "voice.wav", *(one.format(**names) for one in options))
    assert not Path("o.mp4").exists()


def test_a_voice_that_is_not_there_or_too_short(things, tmp_path, capsys):
    options = ["-o", tmp_path / "o.mp4", "--model", things / "karras.speech.safetensors"]
    assert "none.wav: there is no such file" in failing(capsys, "none.wav", *options)
    soundfile.write(tmp_path / "click.wav", np.zeros(20), RATE)
    assert "shorter than a frame" in failing(capsys, tmp_path / "click.wav", *options)


def test_identity_pose_and_blinks_are_edited(things, tmp_path):
    kept = [tmp_path / f"{name}.motion.safetensors" for name in ("plain", "edited")]
    options = ["--model", things / "karras.speech.safetensors", "--size", 32, "--still"]
    assert speak(things / "voice.wav", "-o", tmp_path / "a.mp4", *options, "--save-motion", kept[0]) == 0
    edits = ["--identity", "2,-1", "--pose", "-20,5,0", "--blinks", "0.1"]
    assert speak(things / "voice.wav", "-o", tmp_path / "b.mp4", *options, *edits, "--save-motion", kept[1]) == 0
    plain, edited = (Motion.load(path) for path in kept)
    rig = default_rig()
    assert np.allclose(edited.pose, np.radians([-20, 5, 0]), atol=1e-6) and np.abs(plain.pose).max() == 0
    moved = 2 * rig.identity[0] - rig.identity[1]
    assert np.allclose(edited.vertices[0] - plain.vertices[0], moved, atol=1e-5)
    opening = [rig.eye_opening(motion.vertices) for motion in (plain, edited)]
    assert opening[1][7] < 0.3 * opening[0][7] and opening[1][14] > 0.6 * opening[1][0]


def test_what_emotion_and_style_may_be():
    assert choice(None) is None and choice("2") == 2 and choice("calm") == "calm"
    assert np.allclose(choice("0.5,1"), [0.5, 1])
    assert choice("2=0.5, speaker 01=1") == {2: 0.5, "speaker 01": 1.0}


class Stdin:
    """Standard input with sound in it."""

    def __init__(self, seconds: float):
        self.buffer = io.BytesIO((voice(seconds) * 32767).astype("<i2").tobytes())


@pytest.mark.parametrize("person", [True, False], ids=["avatar", "mesh"])
def test_live_sound_becomes_a_clip(things, tmp_path, monkeypatch, caplog, person):
    monkeypatch.setattr(sys, "stdin", Stdin(0.4))
    options = ["--model", things / "pham.speech.safetensors", "--size", 32, "--device", "cpu"]
    options += ["--avatar", things / "anna.avatar.safetensors"] if person else []
    with caplog.at_level("INFO"):
        assert speak("-", "--live", "-o", tmp_path / "live.mp4", *options) == 0
    assert probe(tmp_path / "live.mp4").has_sound and probe(tmp_path / "live.mp4").frames == 12
    assert "33 ms of sound" in caplog.text


@pytest.mark.parametrize("live", [True, False])
def test_a_photo_turns_no_farther_than_its_limit(things, tmp_path, monkeypatch, live):
    def turned(config: PortraitConfig) -> float:
        """Degrees between the photo's direction and the farthest frame's."""
        person = feed_forward(tiny_head(config=config), drawn_photos(1), provenance={})
        person.save(tmp_path / "a.avatar.safetensors", overwrite=True)
        drawn: list[np.ndarray] = []
        render = Avatar.render_batch

        def watched(avatar: Avatar, landmarks: np.ndarray, *states: object, **options: object) -> np.ndarray:
            drawn.extend(landmarks)
            return render(avatar, landmarks, *states, **options)

        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", Stdin(0.2))
            patch.setattr(Avatar, "render_batch", watched)
            options = ["--model", things / "pham.speech.safetensors", "--avatar", tmp_path / "a.avatar.safetensors"]
            options += ["--still", "--pose", "60,0,0", "--overwrite", "-o", tmp_path / "o.mp4"]
            assert speak(*(["-", "--live"] if live else [things / "voice.wav"]), *options) == 0
        seen = np.concatenate([person.source_landmarks, np.stack(drawn)])
        facing = estimate_pose(seen, resting_face(person.source_landmarks)).rotation[:, :, 2]
        return float(np.degrees(np.arccos(np.clip(facing[1:] @ facing[0], -1, 1))).max())

    assert turned(TINY) > 40
    assert 15 < turned(PAINTER) < 32


def test_live_heads_are_edited(things, tmp_path, monkeypatch):
    shown: list[np.ndarray] = []
    monkeypatch.setattr(live, "open_sink", lambda *_, **__: shown.append)
    options = ["--live", "-o", "-", "--model", things / "pham.speech.safetensors", "--size", 48, "--still"]
    rig = default_rig()
    big = ["v {:.6f} {:.6f} {:.6f}".format(*point) for point in rig.neutral * [0.6, 1, 1]]
    (tmp_path / "thin.obj").write_text("\n".join([*big, "f 1 2 3"]))
    clips = {}
    for name, edits in {
        "plain": [],
        "turned": ["--pose", "40,0,0"],
        "blinking": ["--blinks", "0.1"],
        "another": ["--identity", "3,-3"],
        "thin": ["--mesh", tmp_path / "thin.obj"],
    }.items():
        shown.clear()
        monkeypatch.setattr(sys, "stdin", Stdin(0.4))
        assert speak("-", *options, *edits) == 0
        clips[name] = np.stack(shown).astype(float)
    away = {name: np.abs(clip - clips["plain"]).mean((1, 2, 3)) for name, clip in clips.items()}
    assert all((away[name] > 1).all() for name in ("turned", "another", "thin"))
    assert away["blinking"][:3].max() == 0 and away["blinking"][7] > 0.1  # shut from 0.2 to 0.25 s


def test_live_frames_on_stdout(things, tmp_path, monkeypatch):
    class Stdout:
        buffer = io.BytesIO()

    monkeypatch.setattr(sys, "stdin", Stdin(0.2))
    monkeypatch.setattr(sys, "stdout", Stdout)
    options = ["--model", things / "pham.speech.safetensors", "--size", 32]
    assert speak("-", "--live", "-o", "-", *options) == 0
    assert len(Stdout.buffer.getvalue()) == 6 * 32 * 32 * 3


@pytest.mark.parametrize(
    ("voice_", "options", "says"),
    [
        ("voice.wav", ["-o", "o.mp4"], "live hears - (16-bit mono PCM on stdin) or mic"),
        ("-", ["-o", "o.avi"], "give an .mp4"),
        ("-", ["-o", "o.mp4"], "shorter than a frame"),
    ],
)
def test_live_wants_a_stream(things, tmp_path, monkeypatch, capsys, voice_, options, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Stdin(0.0))
    assert says in failing(capsys, voice_, "--live", "--model", things / "pham.speech.safetensors", *options)


def test_live_wants_a_model_that_does_not_hear_the_future(things, tmp_path, capsys):
    options = ["-o", tmp_path / "o.mp4", "--model", things / "karras.speech.safetensors"]
    assert "live needs a pham model" in failing(capsys, "-", "--live", *options)


def test_a_window_needs_a_display(things, monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    said = failing(capsys, "-", "--live", "-o", "window", "--model", things / "pham.speech.safetensors")
    assert "no display" in said


def test_a_microphone_needs_its_library(monkeypatch):
    def missing(name: str) -> None:
        raise ImportError(f"no {name}")

    monkeypatch.setattr(live, "import_module", missing)
    with pytest.raises(UserError, match="pip install sounddevice"):
        live.sound_blocks("mic", 16000, 500)


def test_help_gives_examples(capsys):
    assert speak("--help") == 0
    assert "talkinghead speak voice.wav --avatar" in capsys.readouterr().out
