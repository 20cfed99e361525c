"""Recordings -> a corpus: what is stored, what is dropped and why, interruptions, the output folder."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from speech_recordings import RATE, THIRTY, hum, opening

from talkinghead.errors import UserError
from talkinghead.motion.from_rig import motion_of_weights
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.corpus import SpeechCorpus
from talkinghead.speech.corpora.recordings import Recording, Source, Take, key_of
from talkinghead.speech.corpora.write import write_corpus


def take(seed: int = 0, *, frames: int = 60, sound_seed: int | None = None) -> Take:
    """A jaw that opens, and its sound (or another's)."""
    rig = default_rig()
    weights = np.zeros((frames, len(rig.expression_names)), np.float32)
    weights[:, rig.expression_names.index("jawOpen")] = opening(frames, seed=seed)
    sound = hum(opening(frames, seed=seed if sound_seed is None else sound_seed))
    return Take(sound, RATE, motion_of_weights(weights, THIRTY, rig))


def recording(name: str, *takes: Take, speaker: str = "anna", split: str = "train", key: str = "") -> Recording:
    return Recording(name, speaker, split, key or key_of(name), lambda: list(takes), sentence="Hello", emotion="calm")


def failing(name: str, error: Exception) -> Recording:
    def read() -> list[Take]:
        raise error

    return Recording(name, "anna", "train", key_of(name), read)


def source(*recordings: Recording) -> Source:
    return Source("videos", list(recordings), rig=default_rig().name)


def test_what_is_written_is_read_back(tmp_path):
    one = take()
    write_corpus(source(recording("a/1", one), recording("b", take(1), speaker="ben", split="val")), tmp_path / "c")
    corpus = SpeechCorpus.load(tmp_path / "c")
    assert (len(corpus), corpus.speakers, corpus.emotions, corpus.rig) == (2, ("anna",), ("calm",), default_rig().name)
    first, second = corpus
    assert (first.name, first.speaker, first.sentence, first.split) == ("a_1", "anna", "Hello", "train")
    assert [len(corpus.of(split)) for split in ("train", "val", "test")] == [1, 1, 0]
    assert second.speaker == "ben"
    motion = first.motion
    assert np.array_equal(motion.blendshapes, one.motion.blendshapes)
    assert (motion.sound, motion.video, motion.fps) == (first.sound, None, THIRTY)
    assert np.allclose(first.audio(RATE), one.waveform, atol=1e-4)
    assert len(first.audio(44100)) / 44100 == pytest.approx(first.seconds, abs=0.01)
    assert first.checks["correlation"] > 0.7
    assert not (tmp_path / "c" / ".parts").exists()


def test_a_corpus_of_an_older_version_says_the_same(old_files):
    corpus = SpeechCorpus.load(old_files / "corpus")
    assert (corpus.kind, corpus.rig, corpus.speakers) == ("videos", "ICT-FaceKit, reduced", ("anna",))
    (held_out,) = corpus.of("val")
    assert (held_out.name, held_out.speaker, held_out.sentence, held_out.emotion) == ("ben0", "ben", "Hello", "calm")
    assert (held_out.fps, held_out.frames, held_out.seconds) == (THIRTY, 30, 1.0)
    assert held_out.checks["correlation"] == 0.8965
    assert np.abs(held_out.audio(RATE)).mean() == pytest.approx(0.06625, abs=1e-4)
    motion = held_out.motion
    assert motion.blendshapes[:, motion.blendshape_names.index("jawOpen")].sum() == pytest.approx(7.88438, abs=1e-4)
    assert motion.landmarks[3, 30] == pytest.approx((0.5, 0.52027), abs=1e-4)


def test_a_corpus_of_meshes_of_an_older_version_says_the_same(old_files):
    corpus = SpeechCorpus.load(old_files / "mesh-corpus")
    assert (corpus.kind, corpus.rig, set(corpus.templates)) == ("vocaset", None, {"anna", "ben"})
    assert corpus.topology.tolist() == [[0, 1, 2], [0, 1, 3]]
    assert corpus.templates["ben"].sum() == pytest.approx(0.3)
    assert corpus.of("val")[0].motion.vertices[:, 2, 1].mean() == pytest.approx(0.09474, abs=1e-5)


def test_a_moved_corpus_finds_its_sounds(tmp_path):
    write_corpus(source(recording("a", take())), tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    (one,) = SpeechCorpus.load(tmp_path / "new")
    assert one.motion.sound == tmp_path / "new" / "sounds" / "a.flac"


def test_sound_and_motion_are_cut_to_the_same_length(tmp_path):
    long = take(frames=90)
    short_sound = replace(long, waveform=long.waveform[: 2 * RATE])
    long_sound = replace(long, waveform=np.tile(long.waveform, 2))
    write_corpus(source(recording("a", short_sound), recording("b", long_sound)), tmp_path / "c")
    a, b = SpeechCorpus.load(tmp_path / "c")
    assert (a.frames, a.seconds) == (60, 2.0)
    assert (b.frames, b.seconds) == (90, 3.0)


def test_bad_takes_are_dropped_and_reported(tmp_path):
    good = take(frames=300)
    takes = [
        recording("good", good, replace(good, waveform=np.zeros_like(good.waveform)), take(3)),
        recording("dubbed", take(1, frames=600, sound_seed=2)),
        recording("short", take(frames=5)),
        recording("still", replace(take(), motion=motion_of_weights(np.zeros((60, 46)), THIRTY, default_rig()))),
        recording("empty"),
        failing("absent", UserError("x.mp4: there is no such file.")),
        failing("broken", ValueError("bad value")),
    ]
    records = write_corpus(source(*takes), tmp_path / "c", min_correlation=0.5)
    assert [record.fate for record in records] == ["kept"] + 6 * ["rejected"]
    reasons = ["", "does not follow", "lasts 0.17", "too still", "nothing in it", "no such file", "bad value"]
    assert all(reason in record.why for reason, record in zip(reasons, records, strict=True))
    assert [one.name for one in SpeechCorpus.load(tmp_path / "c")] == ["good", "good.2"]
    report = json.loads((tmp_path / "c" / "report.json").read_text())
    assert report["totals"]["train"]["sequences"] == 2
    assert [one["fate"] for one in report["recordings"][0]["takes"]] == ["kept", "it is silent", "kept"]


def test_a_stopped_run_goes_on(tmp_path):
    def stop() -> list[Take]:
        raise KeyboardInterrupt

    stopping = replace(recording("b"), read=stop)
    with pytest.raises(KeyboardInterrupt):
        write_corpus(source(recording("a", take()), stopping), tmp_path / "c")
    must_not_read = failing("a", AssertionError("read again"))
    seen = []
    write_corpus(
        source(must_not_read, recording("b", take(1))), tmp_path / "c", progress=lambda one: seen.append(one.name)
    )
    assert seen == ["a", "b"]
    assert len(SpeechCorpus.load(tmp_path / "c")) == 2


def test_a_recording_whose_file_is_gone_is_read_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_corpus(source(recording("a", take()), failing("b", KeyboardInterrupt())), tmp_path / "c")  # type: ignore[arg-type]
    (tmp_path / "c" / "sounds" / "a.flac").unlink()
    write_corpus(source(recording("a", take())), tmp_path / "c")
    assert (tmp_path / "c" / "sounds" / "a.flac").is_file()


def test_the_key_counts_content_and_settings(tmp_path):
    path = tmp_path / "x"
    path.write_text("one")
    before = key_of(path, 1)
    assert key_of(path, 1) == before != key_of(path, 2)
    path.write_text("longer")
    assert key_of(path, 1) != before


def test_meshes_and_identities_are_kept(tmp_path):
    found = Source(
        "vocaset",
        [recording("a", replace(take(), identity=[0.5, -1.0]))],
        templates={"anna": np.ones((4, 3), np.float32)},
        topology=np.array([[0, 1, 2]], np.int32),
    )
    write_corpus(found, tmp_path / "c")
    corpus = SpeechCorpus.load(tmp_path / "c")
    assert corpus.templates["anna"].shape == (4, 3)
    assert corpus.topology is not None and corpus.topology.tolist() == [[0, 1, 2]]
    assert corpus.identities == {"anna": [0.5, -1.0]}


def test_an_output_with_a_corpus_or_other_things_is_refused(tmp_path):
    write_corpus(source(recording("a", take())), tmp_path / "c")
    with pytest.raises(UserError, match="--overwrite"):
        write_corpus(source(recording("b", take())), tmp_path / "c")
    write_corpus(source(recording("b", take())), tmp_path / "c", overwrite=True)
    assert [path.name for path in (tmp_path / "c" / "sounds").iterdir()] == ["b.flac"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="thesis.txt"):
        write_corpus(source(recording("a", take())), tmp_path / "mine")


def test_nothing_kept_and_names_used_twice_are_errors(tmp_path):
    with pytest.raises(UserError, match="nothing was kept of 1"):
        write_corpus(source(recording("a")), tmp_path / "c")
    with pytest.raises(UserError, match="two recordings have this name"):
        write_corpus(source(recording("a b", take()), recording("a/b", take())), tmp_path / "d")


def damaged(folder: Path, **changes: object) -> Path:
    """A corpus whose index was changed."""
    write_corpus(source(recording("a", take())), folder)
    index = json.loads((folder / "corpus.json").read_text())
    for name, value in changes.items():
        (index if name in index else index["sequences"][0])[name] = value
    (folder / "corpus.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "its format is 'other'"),
        ({"version": 99}, "its version is 99"),
        ({"split": "validation"}, "in the split 'validation'"),
        ({"sound": "../../etc/passwd"}, "outside the corpus"),
        ({"motion": "/etc/passwd"}, "outside the corpus"),
        ({"fps": "fast"}, "damaged"),
        ({"sequences": None}, "damaged"),
    ],
)
def test_a_damaged_corpus_is_said_in_a_sentence(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        SpeechCorpus.load(damaged(tmp_path / "c", **changes))


def test_a_folder_without_a_corpus_is_refused(tmp_path):
    with pytest.raises(UserError, match="no speech corpus"):
        SpeechCorpus.load(tmp_path)


def test_sound_alone_is_a_sequence_without_a_motion(tmp_path):
    write_corpus(source(recording("a", replace(take(), motion=None))), tmp_path / "c")
    corpus = SpeechCorpus.load(tmp_path / "c")
    (one,) = corpus
    assert (corpus.of("train"), corpus.speakers, one.frames, one.fps) == ([], ("anna",), 0, Fraction(30))
    with pytest.raises(UserError, match="no motion"):
        one.motion
