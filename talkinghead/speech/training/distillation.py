"""Sound alone -> takes: trained models that hear the future say what the face does, for a causal one to learn."""

from functools import partial
from pathlib import Path

import numpy as np

from talkinghead.errors import UserError
from talkinghead.media.audio import read_sound
from talkinghead.media.collection import identity_of
from talkinghead.media.files import is_hidden
from talkinghead.motion.from_rig import motion_of_weights
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.fitting.inverse import weights_of_vertices
from talkinghead.speech.corpora.recordings import Recording, Source, Take, key_of
from talkinghead.speech.evaluation.evaluation import motion_vertices
from talkinghead.speech.model import SpeechModel

SOUND_SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".ogg", ".m4a"})


def find_sounds(folder: Path, teachers: list[SpeechModel]) -> Source:
    """The sounds of a folder, searched through and through, each with the face that the teachers give it.

    Who speaks is the name of the folder under the source. All are for training: what a model says is nobody's truth.

    Args:
        folder: with sounds.
        teachers: their faces are averaged.

    Raises:
        UserError: if there is no sound, or a teacher's face is not the default rig's.
    """
    folder = Path(folder)
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not is_hidden(path, folder))
    paths = [path for path in paths if path.suffix.lower() in SOUND_SUFFIXES]
    if not paths:
        raise UserError(f"{folder}: there is no sound in it ({', '.join(sorted(SOUND_SUFFIXES))}).")
    rig = default_rig()
    for teacher in teachers:
        if teacher.rig != rig.name:
            raise UserError(f"a {teacher.kind} model whose face is not the rig {rig.name} cannot teach.")
    names = [path.relative_to(folder).as_posix() for path in paths]
    recordings = [
        Recording(
            name=name.rpartition(".")[0],
            speaker=identity_of(name),
            split="train",
            key=key_of("sounds 1", path, [[one.kind, one.provenance] for one in teachers]),
            read=partial(_read, path, teachers),
        )
        for name, path in zip(names, paths, strict=True)
    ]
    about = {"teachers": [teacher.kind for teacher in teachers]}
    return Source("sounds", recordings, rig=rig.name, about=about)


def _read(path: Path, teachers: list[SpeechModel]) -> list[Take]:
    waveform, rate = read_sound(path)
    rig = default_rig()
    fps = teachers[0].fps
    faces = [motion_vertices(teacher.predict(waveform, rate, fps=fps), rig) for teacher in teachers]
    weights = weights_of_vertices(np.mean(faces, 0), rig)
    return [Take(waveform, rate, motion_of_weights(weights, fps, rig))]
