"""Sounds whose faces are said by models."""

from fractions import Fraction

import numpy as np
import pytest
import soundfile
from talking_corpus import RATE, voice

from talkinghead.errors import UserError
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.corpus import SpeechCorpus
from talkinghead.speech.corpora.sequences import read_tracks
from talkinghead.speech.corpora.write import write_corpus
from talkinghead.speech.model import PhamModel, SpeechMotion
from talkinghead.speech.pham2017 import PhamConfig, PhamNetwork
from talkinghead.speech.training.distillation import find_sounds


class Steady(PhamModel):
    """Holds the jaw open so far, as weights or as vertices."""

    def predict(self, audio, rate, *, fps=Fraction(30), **wishes):
        rig = default_rig()
        weights = np.zeros((round(len(audio) / rate * fps), 46), np.float32)
        weights[:, rig.expression_names.index("jawOpen")] = self.settings["jaw"]
        if self.settings["mesh"]:
            return SpeechMotion(fps, vertices=rig.vertices(weights))
        return SpeechMotion(fps, blendshapes=weights, names=rig.expression_names)


def steady(jaw: float, *, mesh: bool = False, rig: str | None = None) -> Steady:
    network = PhamNetwork(PhamConfig(hidden=2, layers=1))
    return Steady(network, rig=default_rig().name if rig is None else rig, settings={"jaw": jaw, "mesh": mesh})


@pytest.fixture
def sounds(tmp_path):
    for name in ("anna/1.wav", "anna/2.flac", "ben/1.wav"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, voice(1.5), RATE)
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    return tmp_path / "in"


def test_each_sound_has_the_mean_of_its_teachers_faces(sounds, tmp_path):
    write_corpus(find_sounds(sounds, [steady(0.2), steady(0.6, mesh=True)]), tmp_path / "c")
    corpus = SpeechCorpus.load(tmp_path / "c")
    assert [(one.name, one.speaker, one.split) for one in corpus] == [
        ("anna_1", "anna", "train"),
        ("anna_2", "anna", "train"),
        ("ben_1", "ben", "train"),
    ]
    assert all(track.taught for track in read_tracks([tmp_path / "c"], "train"))
    motion = next(iter(corpus)).motion
    assert len(motion) == 45 and motion.blendshape_names == default_rig().expression_names
    jaw = motion.blendshapes[:, motion.blendshape_names.index("jawOpen")]
    np.testing.assert_allclose(jaw, 0.4, atol=0.02)


def test_a_folder_without_sound_is_refused(tmp_path):
    with pytest.raises(UserError, match="no sound in it"):
        find_sounds(tmp_path, [steady(0.2)])


def test_a_teacher_with_another_face_is_refused(sounds):
    with pytest.raises(UserError, match="a pham model whose face is not the rig"):
        find_sounds(sounds, [steady(0.2, rig="somebody's")])
