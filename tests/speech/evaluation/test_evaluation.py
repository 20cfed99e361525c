"""Figures of models and baselines; sheets."""

import numpy as np
import pytest
import torch
from talking_corpus import make_corpus

from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.sequences import read_tracks
from talkinghead.speech.evaluation.evaluation import Baselines, evaluate, table
from talkinghead.speech.evaluation.sheets import opening_chart
from talkinghead.speech.karras2017 import KarrasConfig, KarrasNetwork
from talkinghead.speech.model import KarrasModel, PhamModel, SpeechMotion
from talkinghead.speech.pham2017 import PhamConfig, PhamNetwork
from talkinghead.speech.training.run_folder import sheet_of


class Oracle(PhamModel):
    """Says what is true."""

    def predict(self, audio, rate, *, fps, **wishes):
        return SpeechMotion(fps, blendshapes=self.settings["truth"], names=default_rig().expression_names)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("speech") / "corpus")


def test_truth_has_no_error_and_the_nearest_sound_beats_the_mean(corpus):
    train, held_out = read_tracks([corpus], "train"), read_tracks([corpus], "val")
    oracle = Oracle(PhamNetwork(PhamConfig(hidden=2, layers=1)), settings={"truth": held_out[0].weights})
    figures = evaluate(oracle, held_out, Baselines.of(train))
    assert list(figures) == ["pham", "silent", "mean face", "nearest audio"]
    assert figures["pham"]["lve"] == 0 and figures["pham"]["r2"] == 1
    assert figures["pham"]["velocity"] == pytest.approx(1, abs=1e-5)
    assert figures["pham"]["rmse_mm, actor anna"] == 0 and figures["pham"]["rmse_mm, emotion calm"] == 0
    assert figures["nearest audio"]["lve"] < 0.5 * figures["mean face"]["lve"]
    assert figures["silent"]["velocity"] == 0
    assert figures["pham"]["spread"] == pytest.approx(1, abs=1e-5) and figures["silent"]["spread"] < 1e-3
    assert "| pham | 0.000 |" in table(figures)


def test_karras_is_also_judged_without_emotion(corpus):
    torch.manual_seed(0)
    train, held_out = read_tracks([corpus], "train"), read_tracks([corpus], "val")
    network = KarrasNetwork(KarrasConfig(vertices=len(default_rig().neutral), emotion=2, basis=3)).eval()
    figures = evaluate(KarrasModel(network, rig="head"), held_out, Baselines.of(train))
    assert figures["karras"]["lve"] == pytest.approx(figures["karras, e = 0"]["lve"])


def test_meshes_without_landmarks_have_the_figures_that_they_can(tmp_path):
    folder = make_corpus(tmp_path / "corpus", meshes=True)
    train, held_out = read_tracks([folder], "train"), read_tracks([folder], "val")
    network = KarrasNetwork(KarrasConfig(vertices=4, emotion=2, basis=3)).eval()
    figures = evaluate(KarrasModel(network), held_out, Baselines.of(train), thorough=False)
    assert {"lve", "lip_mm", "rmse_mm", "r2"} <= set(figures["karras"])
    assert "velocity" not in figures["karras"]


def test_a_sheet_shows_truth_and_prediction(corpus):
    track = read_tracks([corpus], "val")[0]
    oracle = Oracle(PhamNetwork(PhamConfig(hidden=2, layers=1)), settings={"truth": track.weights})
    picture = sheet_of(oracle, track)
    assert picture.ndim == 3 and picture.shape[1] > 8 * 160 - 1
    assert len(np.unique(picture)) > 20


def test_a_chart_has_a_line_for_each_name():
    chart = opening_chart({"truth": np.linspace(0, 1, 50), "ours": np.zeros(50)}, 30.0)
    colours = {tuple(pixel) for pixel in chart.reshape(-1, 3).tolist()}
    assert {(40, 40, 40), (214, 60, 40)} <= colours
