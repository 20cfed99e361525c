"""A corpus as the trainings read it."""

import numpy as np
import pytest
from talking_corpus import TEMPLATE, make_corpus

from talkinghead.errors import UserError
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora import sequences as module
from talkinghead.speech.corpora.sequences import read_tracks, sample_offsets
from talkinghead.speech.features import karras_features


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("rig") / "corpus")


@pytest.fixture(scope="module")
def meshes(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("mesh") / "corpus", meshes=True)


def test_tracks_of_weights_give_the_rigs_offsets(corpus):
    track = read_tracks([corpus], "train")[0]
    rig = default_rig()
    frame = int(track.weights.max(1).argmax())
    expected = rig.vertices(track.weights[frame : frame + 1]) - rig.neutral
    np.testing.assert_allclose(track.offsets(np.array([frame / 30])), expected, atol=1e-6)
    assert len(read_tracks([corpus], "val")) == 1


def test_tracks_of_meshes_give_offsets_from_the_speakers_template(meshes):
    track = read_tracks([meshes], "train")[0]
    offsets = track.offsets(np.arange(len(track)) / 30)
    assert offsets.shape == (60, 4, 3)
    assert offsets[:, 2, 1].min() < -0.005 and np.abs(offsets[:, [0, 1, 3]]).max() < 1e-6
    np.testing.assert_array_equal(track.face.template, TEMPLATE)
    assert (track.confidence == 1).all()
    with pytest.raises(UserError, match="no blendshapes"):
        track.weights_at(np.zeros(1))


def test_corpora_with_different_meshes_do_not_mix(corpus, meshes):
    with pytest.raises(UserError, match="4 and"):
        read_tracks([corpus, meshes], "train")


def test_a_sequence_without_a_face_is_refused(meshes, monkeypatch):
    corpus = module.SpeechCorpus.load(meshes)
    corpus.templates.clear()
    with pytest.raises(UserError, match="neither blendshapes nor vertices"):
        module.read_track(corpus.of("train")[0], corpus)


def test_dense_rows_are_those_of_the_windows(corpus):
    track = read_tracks([corpus], "train")[0]
    waveform = module.full_range(track.sequence.audio(16000))
    window = karras_features(waveform, np.array([0.8]))[0]
    rows = track.autocorrelation[400 + 4 * np.arange(64)]
    np.testing.assert_allclose(rows, window, rtol=1e-3, atol=1e-5)


def test_scores_are_kept_on_disk_until_the_sound_changes(corpus, monkeypatch):
    asked = []
    monkeypatch.setattr(
        module, "phonetic_scores", lambda waveform, backend: asked.append(backend) or np.ones((9, 29), np.float32)
    )
    track = read_tracks([corpus], "train")[0]
    track.scores("hama"), track.scores("hama")
    track.scores("hama", 0.9)
    assert len(asked) == 2
    newest = max(path.stat().st_mtime for path in (corpus / "features").iterdir())
    __import__("os").utime(track.sequence.sound, (newest + 5, newest + 5))
    track.scores("hama")
    assert len(asked) == 3


def test_slow_sound_has_more_frames(corpus):
    track = read_tracks([corpus], "train")[0]
    assert len(track.pham()) == 60
    assert len(track.pham(0.5)) == 120


def test_drawn_offsets_move_like_the_tracks(meshes):
    drawn = sample_offsets(read_tracks([meshes], "train"), 50)
    assert drawn.shape == (50, 4, 3)
    assert drawn[:, 2, 1].std() > 1e-3 and drawn[:, 0].abs().max() < 1e-6
