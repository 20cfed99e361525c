"""The model's file, and its call from sound to motion."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from talking_corpus import TEMPLATE, TRIANGLES, voice

from talkinghead.errors import UserError
from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.speech import model as module
from talkinghead.speech.karras2017 import KarrasConfig, KarrasNetwork
from talkinghead.speech.model import KarrasModel, PhamModel, SpeechModel, VocaModel, default_speech_path
from talkinghead.speech.pham2017 import PhamConfig, PhamNetwork
from talkinghead.speech.voca2019 import VocaConfig, VocaNetwork


def karras() -> KarrasModel:
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    network = KarrasNetwork(KarrasConfig(vertices=4, emotion=4, basis=6)).eval()
    return KarrasModel(
        network, template=TEMPLATE, topology=TRIANGLES, emotions=vectors, emotion_names=("calm", "cross")
    )


def pham() -> PhamModel:
    torch.manual_seed(0)
    return PhamModel(PhamNetwork(PhamConfig(hidden=8, layers=1)).eval(), rig="head")


def voca(tmp_path) -> VocaModel:
    torch.manual_seed(0)
    np.save(tmp_path / "scores.npy", np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32))
    network = VocaNetwork(VocaConfig(vertices=4, speakers=2, scores=5, basis=3)).eval()
    settings = {"backend": str(tmp_path / "scores.npy")}
    return VocaModel(
        network, Fraction(60), template=TEMPLATE, topology=TRIANGLES, speakers=("anna", "ben"), settings=settings
    )


def all_kinds(tmp_path):
    return [karras(), pham(), voca(tmp_path)]


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(60000, 1001), Fraction(25)])
def test_there_is_a_frame_for_each_moment_of_sound(tmp_path, fps):
    for model in all_kinds(tmp_path):
        motion = model.predict(voice(1.0), 16000, fps=fps)
        assert len(motion) == round(fps) and motion.fps == fps
        for array in (motion.vertices, motion.blendshapes, motion.pose):
            assert array is None or np.isfinite(array).all()


def test_kinds_give_what_they_should(tmp_path):
    for model in (karras(), voca(tmp_path)):
        assert model.predict(voice(0.5), 16000).vertices.shape == (15, 4, 3)
    motion = pham().predict(voice(0.5), 16000)
    assert motion.blendshapes.shape == (15, 46) and motion.names == RIG_NAMES and motion.pose.shape == (15, 3)


def test_no_sound_gives_no_frames(tmp_path):
    for model in all_kinds(tmp_path):
        assert len(model.predict(np.zeros(0, np.float32), 16000)) == 0


def test_sharing_frames_gives_what_the_network_gives_for_each_window():
    model = karras()
    sound = module.full_range(voice(1.0))
    motion = model.predict(voice(1.0), 16000)
    times = np.arange(30) / 30
    emotion = torch.from_numpy(model.emotions[:1]).expand(30, -1)
    both = []
    for shift in (-0.002, 0.002):
        rounded = np.rint((times + shift) / 0.004) * 0.004
        both.append(model.network(torch.from_numpy(module.karras_features(sound, rounded)), emotion))
    np.testing.assert_allclose(motion.vertices, torch.stack(both).mean(0).detach().numpy(), atol=1e-5)


def test_what_is_written_is_read_back(tmp_path):
    for model in all_kinds(tmp_path):
        path = tmp_path / f"{model.kind}.speech.safetensors"
        model.save(path)
        again = SpeechModel.load(path)
        assert type(again) is type(model)
        for name in ("fps", "rig", "speakers", "settings", "emotion_names", "provenance"):
            assert getattr(again, name) == getattr(model, name)
        one, other = (each.predict(voice(0.5), 16000) for each in (model, again))
        for name in ("vertices", "blendshapes", "pose"):
            before, after = getattr(one, name), getattr(other, name)
            assert (before is None) == (after is None)
            if before is not None:
                np.testing.assert_allclose(before, after, atol=5e-3)
        with pytest.raises(UserError, match="--overwrite"):
            model.save(path)


def test_emotions_have_names_numbers_and_vectors():
    model = karras()
    faces = [model.predict(voice(0.5), 16000, emotion=wish).vertices for wish in (None, 0, "calm", model.emotions[0])]
    for face in faces[1:]:
        np.testing.assert_array_equal(faces[0], face)
    assert not np.allclose(faces[0], model.predict(voice(0.5), 16000, emotion="cross").vertices)
    mixed = {"calm": 3.0, 1: 1.0}
    np.testing.assert_allclose(model.emotion(mixed, 2), np.tile([0.75, 0.25] @ model.emotions, (2, 1)), rtol=1e-6)
    changing = np.repeat(model.emotions[:1], 15, 0)
    np.testing.assert_array_equal(faces[0], model.predict(voice(0.5), 16000, emotion=changing).vertices)


@pytest.mark.parametrize(
    "wish, words",
    [
        ("glad", "there are calm, cross"),
        (2, "no emotion 2"),
        (np.zeros(3), "4 numbers"),
        ({"glad": 1}, "there are calm"),
        ({"calm": 0}, "sum to 0"),
    ],
)
def test_an_emotion_that_is_not_there_is_refused(wish, words):
    with pytest.raises(UserError, match=words):
        karras().predict(voice(0.5), 16000, emotion=wish)


def test_styles_have_names_numbers_and_mixtures(tmp_path):
    model = voca(tmp_path)
    anna, number, ben, mixed = (
        model.predict(voice(0.5), 16000, speaker=wish).vertices for wish in ("anna", 0, 1, [0.5, 0.5])
    )
    np.testing.assert_array_equal(anna, number)
    assert not np.allclose(anna, ben, atol=1e-7)
    np.testing.assert_array_equal(mixed, model.predict(voice(0.5), 16000).vertices)
    named = [model.predict(voice(0.5), 16000, speaker=wish).vertices for wish in ({"anna": 2, 1: 2}, {"ben": 0.1})]
    np.testing.assert_allclose(named[0], mixed, atol=1e-7)
    np.testing.assert_allclose(named[1], ben, atol=1e-7)


@pytest.mark.parametrize(
    "wish, words",
    [
        ("carl", "there are anna, ben"),
        (7, "no speaker 7"),
        ([1.0], "do not fit"),
        ({"carl": 1}, "there are anna"),
        ({"anna": 0}, "do not fit"),
        ({}, "name at least one"),
    ],
)
def test_a_style_that_is_not_there_is_refused(tmp_path, wish, words):
    with pytest.raises(UserError, match=words):
        voca(tmp_path).predict(voice(0.5), 16000, speaker=wish)


def test_a_stream_of_the_model_starts_from_silence():
    assert len(pham().stream().feed(np.zeros(4410, np.float32))) == 3


def test_impossible_rates_are_refused():
    with pytest.raises(UserError, match="above 0"):
        pham().predict(voice(0.1), 16000, fps=Fraction(0))


def test_an_unfinished_kind_says_so():
    with pytest.raises(NotImplementedError):
        SpeechModel(torch.nn.Identity()).predict(voice(0.1), 16000)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        SpeechModel.load(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("hello there")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors", metadata={"format": "other"})
    karras().save(tmp_path / "good.safetensors")
    with safe_open(tmp_path / "good.safetensors", framework="pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    about = json.loads(header["speech"])
    about["config"]["depth"] = 9
    save_file(tensors, tmp_path / "newer.safetensors", metadata={**header, "speech": json.dumps(about)})
    tensors.pop("network.vertices.bias")
    save_file(tensors, tmp_path / "torn.safetensors", metadata=header)
    for name in ("text", "other", "newer", "torn"):
        with pytest.raises(UserError, match="not a speech model"):
            SpeechModel.load(tmp_path / f"{name}.safetensors")


def test_there_are_three_default_models(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="karras, pham, voca"):
        default_speech_path("lstm")
    monkeypatch.setattr(module, "shipped", lambda name: tmp_path / name)
    with pytest.raises(UserError, match="is missing"):
        default_speech_path("voca")
