"""VOCASET in the form of its distribution."""

import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.speech.corpora.corpus import SpeechCorpus
from talkinghead.speech.corpora.vocaset import SPLIT, TRAIN, find_vocaset, sequence_number
from talkinghead.speech.corpora.write import write_corpus

RATE, FRAMES, VERTICES = 22_000, 60, 11
VAL, TEST = "FaceTalk_170811_03275_TA", "FaceTalk_170809_00138_TA"
SPOKEN = {
    TRAIN[1]: ["sentence01", "sentence40"],
    TRAIN[0]: ["sentence02"],
    VAL: ["sentence20", "sentence21"],
    TEST: ["sentence30"],
}


def write_vocaset(folder: Path) -> Path:
    """The four files, with eleven vertices; mesh row `r` has all coordinates `r / 1000`.

    The rows of a sequence run backwards through the file. One sequence has no sound, one has no meshes.
    """
    folder.mkdir()
    random = np.random.default_rng(0)
    sounds, rows, row = {}, {}, 0
    for speaker, sentences in SPOKEN.items():
        sounds[speaker] = {
            name: {"audio": random.integers(-9000, 9000, RATE).astype(np.int16), "sample_rate": RATE}
            for name in sentences
        }
        rows[speaker] = {}
        for name in sentences:
            rows[speaker][name] = {frame: row + FRAMES - 1 - frame for frame in range(FRAMES)}
            row += FRAMES
    rows[TEST]["sentence31"] = {0: 0}
    sounds[TEST]["sentence32"] = sounds[TEST]["sentence30"]
    vertices = np.broadcast_to(np.arange(row)[:, None, None] / 1000, (row, VERTICES, 3))
    np.save(folder / "data_verts.npy", vertices.astype(np.float32))
    templates = {speaker: np.full((VERTICES, 3), 0.25) for speaker in SPLIT}
    for name, content in (("raw_audio_fixed", sounds), ("templates", templates), ("subj_seq_to_idx", rows)):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return folder


@pytest.fixture
def vocaset(tmp_path):
    return write_vocaset(tmp_path / "VOCASET")


def test_the_split_is_the_papers(vocaset, tmp_path):
    assert [list(SPLIT.values()).count(split) for split in ("train", "val", "test")] == [8, 2, 2]
    write_corpus(find_vocaset(vocaset), tmp_path / "c")
    corpus = SpeechCorpus.load(tmp_path / "c")
    assert corpus.speakers == (TRAIN[0], TRAIN[1])
    spoken = [(one.speaker, one.sentence, one.split) for one in corpus]
    assert spoken == [
        (TRAIN[0], "sentence02", "train"),
        (TRAIN[1], "sentence01", "train"),
        (TRAIN[1], "sentence40", "train"),
        (TEST, "sentence30", "test"),
        (VAL, "sentence21", "val"),
    ]
    assert corpus.templates[VAL].shape == (VERTICES, 3)


def test_meshes_come_in_the_order_of_their_frames_with_their_sound(vocaset, tmp_path):
    write_corpus(find_vocaset(vocaset), tmp_path / "c")
    first = SpeechCorpus.load(tmp_path / "c").of("train")[1]
    motion = first.motion
    assert (motion.fps, len(motion), motion.blendshapes) == (60, FRAMES, None)
    assert np.allclose(motion.vertices[:, 0, 0], np.arange(FRAMES - 1, -1, -1) / 1000)
    assert not motion.confidence.any()
    sounds = pickle.loads((vocaset / "raw_audio_fixed.pkl").read_bytes())
    assert np.allclose(first.audio(RATE), sounds[TRAIN[1]]["sentence01"]["audio"] / 2**15, atol=1e-4)


def test_half_the_rate_is_every_other_frame(vocaset):
    topology = np.array([[0, 1, 2]], np.int32)
    source = find_vocaset(vocaset, fps=Fraction(30), topology=topology)
    (take,) = source.recordings[1].read()
    assert take.motion.fps == 30
    assert np.allclose(take.motion.vertices[:, 0, 0], np.arange(FRAMES - 1, -1, -2) / 1000)
    assert np.array_equal(take.motion.topology, topology)
    assert source.topology is topology


def test_the_number_of_a_sentence():
    assert (sequence_number("sentence07"), sequence_number("hello")) == (7, -1)


def spoil(folder, what):
    match what:
        case "no file":
            (folder / "templates.pkl").unlink()
        case "no array":
            (folder / "data_verts.npy").write_text("x")
        case "flat array":
            np.save(folder / "data_verts.npy", np.zeros((3, 33)))
        case "no dict":
            (folder / "templates.pkl").write_bytes(pickle.dumps([1]))
        case "strangers":
            (folder / "raw_audio_fixed.pkl").write_bytes(pickle.dumps({"anna": {}}))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no file", "templates.pkl is missing"),
        ("no array", "not an array of vertices"),
        ("flat array", "\\(frames, vertices, 3\\)"),
        ("no dict", "dict by speaker"),
        ("strangers", "both sound and meshes"),
    ],
)
def test_mistakes_are_said_in_a_sentence(vocaset, what, message):
    spoil(vocaset, what)
    with pytest.raises(UserError, match=message):
        find_vocaset(vocaset)


def test_another_rate_is_refused(vocaset):
    with pytest.raises(UserError, match="give 60 or 30"):
        find_vocaset(vocaset, fps=Fraction(25))


def test_rows_outside_the_array_are_refused(vocaset):
    source = find_vocaset(vocaset)
    rows = pickle.loads((vocaset / "subj_seq_to_idx.pkl").read_bytes())
    rows[TRAIN[0]]["sentence02"][0] = 10**6
    (vocaset / "subj_seq_to_idx.pkl").write_bytes(pickle.dumps(rows))
    source = find_vocaset(vocaset)
    with pytest.raises(UserError, match="reach to 1000000"):
        source.recordings[0].read()
