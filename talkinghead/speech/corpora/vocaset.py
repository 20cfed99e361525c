"""VOCASET as it is distributed: meshes of FLAME's topology at 60 frames a second, with sound.

The folder holds data_verts.npy, raw_audio_fixed.pkl, templates.pkl and subj_seq_to_idx.pkl.

References:
    Cudeiro et al. 2019, section 4 and the published code's configuration (the split).
"""

from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int32

from talkinghead.errors import UserError
from talkinghead.media.safe_pickle import load_pickle
from talkinghead.motion.motion import Motion
from talkinghead.speech.corpora.recordings import Recording, Source, Take, key_of

FPS = Fraction(60)
FILES = ("data_verts.npy", "raw_audio_fixed.pkl", "templates.pkl", "subj_seq_to_idx.pkl")

TRAIN = [
    "FaceTalk_170728_03272_TA",
    "FaceTalk_170904_00128_TA",
    "FaceTalk_170725_00137_TA",
    "FaceTalk_170915_00223_TA",
    "FaceTalk_170811_03274_TA",
    "FaceTalk_170913_03279_TA",
    "FaceTalk_170904_03276_TA",
    "FaceTalk_170912_03278_TA",
]
"""In the order of the one-hot codes."""

SPLIT = {
    **dict.fromkeys(TRAIN, "train"),
    **dict.fromkeys(("FaceTalk_170811_03275_TA", "FaceTalk_170908_03277_TA"), "val"),
    **dict.fromkeys(("FaceTalk_170809_00138_TA", "FaceTalk_170731_00024_TA"), "test"),
}
"""The 8/2/2 split by speaker."""

HELD_OUT_SENTENCES = range(21, 41)
"""Speakers of validation and test are heard with these alone: the others were spoken by those of training too."""


def find_vocaset(folder: Path, *, fps: Fraction = FPS, topology: Int32[np.ndarray, "f 3"] | None = None) -> Source:
    """The sequences of VOCASET. Those without sound or meshes are left out, as the authors do.

    Args:
        folder: with the four files.
        fps: 60, or 30 for every other frame (what FaceFormer and its successors use).
        topology: triangles of the meshes, if known (they are FLAME's, and are not in the distribution).

    Raises:
        UserError: if a file is missing or is not what it should be, or fps is neither.
    """
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder}: {missing[0]} is missing; give the folder with VOCASET's {', '.join(FILES)}.")
    if fps not in (FPS, FPS / 2):
        raise UserError(f"VOCASET has 60 frames a second, --fps is {fps}; give 60 or 30.")
    vertices = _open_vertices(folder / FILES[0])
    sounds, templates, rows = (_mapping(folder / name) for name in FILES[1:])
    step = int(FPS / fps)
    recordings = []
    for speaker in sorted(rows, key=_order):
        for sequence in sorted(set(rows[speaker]) & set(sounds.get(speaker, {}))):
            split = SPLIT.get(speaker, "train")
            if split != "train" and sequence_number(sequence) not in HELD_OUT_SENTENCES:
                continue
            recordings.append(
                Recording(
                    name=f"{speaker}_{sequence}",
                    speaker=speaker,
                    split=split,
                    sentence=sequence,
                    key=key_of("vocaset 1", *(folder / name for name in FILES), step),
                    read=partial(_read, vertices, rows[speaker][sequence], sounds[speaker][sequence], step, topology),
                )
            )
    if not recordings:
        raise UserError(f"{folder}: no sequence has both sound and meshes; are these the files of one distribution?")
    heads = {name: np.asarray(templates[name], np.float32) for name in rows if name in templates}
    return Source("vocaset", recordings, templates=heads, topology=topology, about={"fps": str(fps)})


def sequence_number(name: str) -> int:
    """ "sentence07" -> 7; -1 if it has no number."""
    digits = name[len(name.rstrip("0123456789")) :]
    return int(digits) if digits else -1


def mesh_motion(
    vertices: Float[np.ndarray, "t v 3"], fps: Fraction, topology: Int32[np.ndarray, "f 3"] | None = None
) -> Motion:
    """A motion of meshes alone. Its landmarks are not known: zero, with confidence 0."""
    frames = len(vertices)
    return Motion(
        np.zeros((frames, 68, 2), np.float32),
        np.zeros(frames, np.float32),
        fps,
        vertices=np.asarray(vertices, np.float32),
        topology=topology,
    )


def _read(
    vertices: Float[np.ndarray, "n v 3"],
    rows: Mapping[int, int],
    sound: Mapping[str, Any],
    step: int,
    topology: Int32[np.ndarray, "f 3"] | None,
) -> list[Take]:
    order = [rows[frame] for frame in sorted(rows)][::step]
    if not order or not 0 <= min(order) <= max(order) < len(vertices):
        raise UserError(f"its rows reach to {max(order, default=None)} of {len(vertices)} meshes.")
    waveform = np.asarray(sound["audio"])
    scale = 2**15 if waveform.dtype.kind == "i" else 1
    heads = np.stack([vertices[row] for row in order])
    motion = mesh_motion(heads, FPS / step, topology)
    return [Take(waveform.astype(np.float32) / scale, int(sound["sample_rate"]), motion)]


def _order(speaker: str) -> tuple[int, str]:
    return (TRAIN.index(speaker) if speaker in TRAIN else len(TRAIN), speaker)


def _open_vertices(path: Path) -> Float[np.ndarray, "n v 3"]:
    try:
        vertices = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not an array of vertices ({error}).") from error
    if vertices.ndim != 3 or vertices.shape[2] != 3 or vertices.dtype.kind != "f":
        raise UserError(
            f"{path}: an array {vertices.shape} of {vertices.dtype}; (frames, vertices, 3) floats are needed."
        )
    return vertices


def _mapping(path: Path) -> dict[str, Any]:
    content = load_pickle(path)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise UserError(f"{path}: a dict by speaker is needed, it holds a {type(content).__name__}.")
    return content
