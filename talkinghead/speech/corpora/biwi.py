"""The Biwi 3-D Audiovisual Corpus (B3D(AC)2): meshes of 23,370 vertices at 25 frames a second, with sound.

Two layouts are read:

* as distributed: `faces/F1/e01/*.vl` (or `faces/F1/e01.tar`), `rigid_scans/F1.obj`, and `audio/F1_e01.wav`. A .vl file
  is a count (uint32) and that many points (float32 x, y, z), y down and z away from the viewer;
* as FaceFormer and its successors store it: `vertices_npy/F2_e01.npy` (frames, 70110), `wav/F2_e01.wav` and
  `templates.pkl`.

References:
    Fanelli et al. 2010, A 3-D Audio-Visual Corpus of Affective Communication.
    Fan et al. 2022, FaceFormer, section 4.1 (the split).
"""

import re
import tarfile
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int32

from talkinghead.errors import UserError
from talkinghead.media.audio import read_sound
from talkinghead.media.safe_pickle import load_pickle
from talkinghead.rig.files.meshes import read_mesh
from talkinghead.speech.corpora.recordings import Recording, Source, Take, key_of
from talkinghead.speech.corpora.vocaset import mesh_motion

FPS = Fraction(25)
TRAIN_SPEAKERS = ("F2", "F3", "F4", "M3", "M4", "M5")
TRAIN_SENTENCES, VAL_SENTENCES, TEST_SENTENCES = range(1, 33), range(33, 37), range(37, 41)
"""Of the training speakers. The eight others are heard in the test with its four sentences alone (Test B)."""

UPRIGHT = np.array([1, -1, -1], np.float32)
"""What turns a distributed mesh upright: half a turn about x."""

MILLIMETRES = 10.0
"""A head taller than this is measured in millimetres."""

SOUND_FOLDERS = ("audio", "wav")
_NAME = re.compile(r"([FM]\d+)_e(\d\d)")


def find_biwi(folder: Path) -> Source:
    """The emotional sentences of Biwi, in the split that published results use.

    Raises:
        UserError: if the folder has neither layout.
    """
    folder = Path(folder)
    if (folder / "vertices_npy").is_dir():
        return _processed(folder)
    if (folder / "faces").is_dir():
        return _distributed(folder)
    raise UserError(f"{folder}: neither faces/ nor vertices_npy/ is there; give the folder that holds Biwi.")


def split_of(speaker: str, sentence: int) -> str | None:
    """Which split a sentence belongs to; None if no published result uses it."""
    if sentence in TEST_SENTENCES:
        return "test"
    if speaker not in TRAIN_SPEAKERS:
        return None
    return "train" if sentence in TRAIN_SENTENCES else "val" if sentence in VAL_SENTENCES else None


def read_vl(data: bytes) -> Float32[np.ndarray, "v 3"]:
    """The points of a .vl file.

    Raises:
        ValueError: if it does not hold as many as it says.
    """
    count = int(np.frombuffer(data, "<u4", 1)[0]) if len(data) >= 4 else 0
    if count < 1 or len(data) != 4 + 12 * count:
        raise ValueError(f"{len(data)} bytes for {count} points")
    return np.frombuffer(data, "<f4", 3 * count, 4).reshape(count, 3)


def _distributed(folder: Path) -> Source:
    templates: dict[str, np.ndarray] = {}
    recordings, topology, scale = [], None, 1.0
    for speaker_folder in sorted(path for path in (folder / "faces").iterdir() if path.is_dir()):
        speaker = speaker_folder.name
        obj = folder / "rigid_scans" / f"{speaker}.obj"
        if not obj.is_file():
            raise UserError(f"{obj}: the speaker's template is missing; it is part of the distribution.")
        points, faces = read_mesh(obj)
        template, topology = points.astype(np.float32), faces.astype(np.int32)
        scale = 1e-3 if np.ptp(template[:, 1]) > MILLIMETRES else 1.0
        middle = template.mean(0)
        templates[speaker] = (template - middle) * UPRIGHT * np.float32(scale)
        for place in sorted(path for path in speaker_folder.iterdir() if path.suffix == ".tar" or path.is_dir()):
            name = f"{speaker}_{place.stem}"
            recordings += _recording(folder, name, place, partial(_read_vl_frames, place, middle, scale))
    return _source(folder, recordings, templates, topology)


def _processed(folder: Path) -> Source:
    heads = load_pickle(folder / "templates.pkl")
    if not isinstance(heads, dict):
        raise UserError(f"{folder / 'templates.pkl'}: a dict by speaker is needed, it holds a {type(heads).__name__}.")
    templates = {name: np.asarray(head, np.float32).reshape(-1, 3) for name, head in heads.items()}
    recordings = []
    for path in sorted((folder / "vertices_npy").glob("*.npy")):
        recordings += _recording(folder, path.stem, path, partial(_read_npy_frames, path))
    return _source(folder, recordings, templates, None)


def _source(
    folder: Path,
    recordings: list[Recording],
    templates: dict[str, np.ndarray],
    topology: Int32[np.ndarray, "f 3"] | None,
) -> Source:
    if not recordings:
        raise UserError(f"{folder}: no emotional sentence (such as F2_e01) was found; is the corpus unpacked?")
    used = {one.speaker for one in recordings}
    heads = {name: head for name, head in templates.items() if name in used}
    return Source("biwi", recordings, templates=heads, topology=topology)


def _recording(folder: Path, name: str, place: Path, frames: "partial[np.ndarray]") -> list[Recording]:
    """The recording of that name, if it is an emotional sentence of a split."""
    match = _NAME.fullmatch(name)
    split = match and split_of(match[1], int(match[2]))
    if not match or not split:
        return []
    return [
        Recording(
            name=name,
            speaker=match[1],
            split=split,
            sentence=match[2],
            emotion="emotional",
            key=key_of("biwi 1", place),
            read=partial(_read, folder, name, frames),
        )
    ]


def _read(folder: Path, name: str, frames: "partial[np.ndarray]") -> list[Take]:
    sounds = [path for place in SOUND_FOLDERS for path in sorted((folder / place).glob(f"{name}*.wav"))]
    if not sounds:
        raise UserError(f"{name}: there is no {name}.wav in {' or '.join(SOUND_FOLDERS)}.")
    waveform, rate = read_sound(sounds[0])
    return [Take(waveform, rate, mesh_motion(frames(), FPS))]


def _read_npy_frames(path: Path) -> Float32[np.ndarray, "t v 3"]:
    try:
        frames = np.load(path, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not an array of vertices ({error}).") from error
    return frames.reshape(len(frames), -1, 3)


def _read_vl_frames(place: Path, middle: Float32[np.ndarray, " 3"], scale: float) -> Float32[np.ndarray, "t v 3"]:
    try:
        frames = np.stack([read_vl(data) for data in _vl_files(place)])
    except (OSError, ValueError, tarfile.TarError) as error:
        raise UserError(f"{place}: its frames cannot be read ({error}).") from error
    return (frames - middle) * UPRIGHT * np.float32(scale)


def _vl_files(place: Path) -> Iterator[bytes]:
    """The .vl files of a folder or an archive, in the order of their names."""
    if place.is_dir():
        for path in sorted(place.rglob("*.vl")):
            yield path.read_bytes()
        return
    with tarfile.open(place) as archive:
        for member in sorted((one for one in archive if one.name.endswith(".vl")), key=lambda one: one.name):
            file = archive.extractfile(member)
            if file is not None:
                yield file.read()
