"""Biwi as distributed, and as later work stores it."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from talkinghead.errors import UserError
from talkinghead.speech.corpora.biwi import find_biwi, read_vl, split_of
from talkinghead.speech.corpora.corpus import SpeechCorpus
from talkinghead.speech.corpora.write import write_corpus

FRAMES, RATE = 25, 44_100
HEAD = np.array([[0, 10, 0], [80, 10, 0], [0, 190, 30], [0, 10, 90]], np.float32)
"""Millimetres, y down."""


def vl(points: np.ndarray) -> bytes:
    return np.uint32(len(points)).tobytes() + points.astype("<f4").tobytes()


def frame(index: int) -> np.ndarray:
    """The head with its last vertex moved down by so many millimetres."""
    moved = HEAD.copy()
    moved[3, 1] += index
    return moved


def write_sound(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / f"{name}.wav", 0.1 * np.sin(np.arange(RATE) / 20), RATE)


def write_distributed(folder: Path) -> Path:
    """F2 with a folder of frames and M1 with an archive; a neutral sentence and one that no split uses."""
    for speaker, sentences in {"F2": ["e01", "e33", "01"], "M1": ["e01"]}.items():
        for sentence in sentences:
            place = folder / "faces" / speaker / sentence
            place.mkdir(parents=True)
            for index in range(FRAMES):
                (place / f"frame_{index + 1:03d}.vl").write_bytes(vl(frame(index)))
            write_sound(folder / "audio", f"{speaker}_{sentence}")
    with tarfile.open(folder / "faces" / "M1" / "e40.tar", "w") as archive:
        for index in reversed(range(FRAMES)):
            member = tarfile.TarInfo(f"e40/frame_{index + 1:03d}.vl")
            member.size = len(vl(HEAD))
            archive.addfile(member, io.BytesIO(vl(frame(index))))
    write_sound(folder / "audio", "M1_e40")
    (folder / "rigid_scans").mkdir()
    lines = [f"v {x} {y} {z}" for x, y, z in HEAD] + ["vt 0 0", "f 1/1 2/1 3/1 4/1"]
    for speaker in ("F2", "M1"):
        (folder / "rigid_scans" / f"{speaker}.obj").write_text("\n".join(lines))
    return folder


def write_processed(folder: Path) -> Path:
    (folder / "vertices_npy").mkdir(parents=True)
    frames = np.stack([frame(index) / 500 for index in range(FRAMES)])
    for name in ("F2_e01", "F2_e34", "M1_e40", "M1_e02"):
        np.save(folder / "vertices_npy" / f"{name}.npy", frames.reshape(FRAMES, -1))
        write_sound(folder / "wav", name)
    (folder / "templates.pkl").write_bytes(pickle.dumps({"F2": HEAD / 500, "M1": HEAD / 500, "F9": HEAD}))
    return folder


def test_distributed_meshes_stand_upright_in_metres(tmp_path):
    write_corpus(find_biwi(write_distributed(tmp_path / "biwi")), tmp_path / "c")
    corpus = SpeechCorpus.load(tmp_path / "c")
    assert [(one.name, one.split) for one in corpus] == [("F2_e01", "train"), ("F2_e33", "val"), ("M1_e40", "test")]
    assert corpus.topology is not None and corpus.topology.tolist() == [[1, 2, 3], [1, 3, 0]]  # the shorter diagonal
    template = corpus.templates["F2"]
    assert np.allclose(template.mean(0), 0, atol=1e-6)
    assert np.allclose(template[2] - template[0], [0, -0.18, -0.03], atol=1e-6)
    for one in corpus:
        motion = one.motion
        assert motion.fps == 25
        assert np.allclose(motion.vertices[:, 3, 1] - template[3, 1], -np.arange(FRAMES) / 1000, atol=1e-6)
        assert np.allclose(motion.vertices[:, :3], template[:3], atol=1e-6)
        assert (one.emotion, one.frames, one.seconds) == ("emotional", FRAMES, 1.0)


def test_processed_meshes_are_kept_as_they_are(tmp_path):
    write_corpus(find_biwi(write_processed(tmp_path / "biwi")), tmp_path / "c")
    corpus = SpeechCorpus.load(tmp_path / "c")
    assert {one.name: one.split for one in corpus} == {"F2_e01": "train", "F2_e34": "val", "M1_e40": "test"}
    assert set(corpus.templates) == {"F2", "M1"}
    assert np.allclose(corpus.sequences[0].motion.vertices[4], frame(4) / 500)


def test_the_split_has_the_published_numbers():
    speakers = [f"F{i}" for i in range(1, 9)] + [f"M{i}" for i in range(1, 7)]
    splits = [split_of(speaker, sentence) for speaker in speakers for sentence in range(1, 41)]
    assert [splits.count(split) for split in ("train", "val", "test")] == [192, 24, 24 + 32]
    assert split_of("F2", 41) is None


def test_a_file_of_points_must_hold_what_it_says():
    assert np.array_equal(read_vl(vl(HEAD)), HEAD)
    for data in (b"", vl(HEAD)[:-1], b"\0\0\0\0"):
        with pytest.raises(ValueError, match="bytes for"):
            read_vl(data)


def spoil(folder, what):
    match what:
        case "no template":
            (folder / "rigid_scans" / "F2.obj").unlink()
        case "no mesh":
            (folder / "rigid_scans" / "F2.obj").write_text("v a b c")
        case "no sentence":
            for path in (folder / "faces").iterdir():
                path.rename(path.with_name("X" + path.name))
                (folder / "rigid_scans" / f"{path.name}.obj").rename(folder / "rigid_scans" / f"X{path.name}.obj")
        case "no layout":
            (folder / "faces").rename(folder / "fasces")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no template", "template is missing"),
        ("no mesh", "F2.obj: not a readable mesh"),
        ("no sentence", "no emotional sentence"),
        ("no layout", "neither faces/"),
    ],
)
def test_mistakes_are_said_in_a_sentence(tmp_path, what, message):
    spoil(write_distributed(tmp_path / "biwi"), what)
    with pytest.raises(UserError, match=message):
        find_biwi(tmp_path / "biwi")


def test_bad_recordings_are_said_in_a_sentence(tmp_path):
    distributed, processed = write_distributed(tmp_path / "a"), write_processed(tmp_path / "b")
    (distributed / "faces" / "F2" / "e01" / "frame_002.vl").write_bytes(b"x")
    (distributed / "audio" / "F2_e33.wav").unlink()
    broken, silent, _ = find_biwi(distributed).recordings
    with pytest.raises(UserError, match="frames cannot be read"):
        broken.read()
    with pytest.raises(UserError, match="there is no F2_e33.wav"):
        silent.read()
    (processed / "vertices_npy" / "F2_e01.npy").write_text("x")
    with pytest.raises(UserError, match="not an array of vertices"):
        find_biwi(processed).recordings[0].read()
    (processed / "templates.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(UserError, match="dict by speaker"):
        find_biwi(processed)
