"""What tools/fuzz does: a small valid file of each kind, spoilt in a thousand ways, given to its reader.

A reader may read a spoilt file, or refuse it with a `UserError`. Anything else it raises, an end that does not come and
memory without bounds are faults. Each reader works in a process of its own, which is killed where it hangs.
"""

import json
import multiprocessing
import os
import random
import resource
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

PATIENCE = 5.0
"""Seconds that a reader may take for one file."""

ROOM = (10, 500_000_000)
"""A reader may take so many times the file's length, and so many bytes besides."""

EXTREMES = (b"\0", b"\xff", b"\x7f", b"\x80", b"1", b"9", b"-", b"e", b'"', b"{", b"[", b",", b":")


@dataclass(frozen=True)
class Reader:
    """How a valid file is made and read."""

    make: Callable[[Path], Path]
    """Writes what the reader needs into a folder; the file to be spoilt."""
    read: Callable[[Path], Any]


@dataclass
class Tally:
    """What became of the spoilt files."""

    tried: int = 0
    read: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        """For a person to read."""
        return f"{name}: {self.tried} tried, {self.read} read, {self.refused} refused, {len(self.faults)} faults"


def spoil(content: bytes, seed: int) -> bytes:
    """The file with one to four changes: bytes, numbers, digits, ends, parts lost, doubled or moved."""
    draw = random.Random(seed)
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        room = min(len(data), 2048) if draw.random() < 0.6 else len(data)  # headers break more than what follows them
        at = draw.randrange(room) if room else 0
        length = min(draw.choice((1, 2, 4, 8, 64, 1024)), len(data) - at)
        kind = draw.randrange(8)
        if kind == 0:
            data[at : at + 1] = bytes([draw.randrange(256)])
        elif kind == 1:
            data[at : at + length] = draw.randbytes(length)
        elif kind == 2:
            data[at : at + length] = draw.choice(EXTREMES) * length
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            del data[at : at + length]
        elif kind == 5:
            data[at:at] = data[at : at + length] * draw.choice((1, 2, 100))
        elif kind == 6:
            size = draw.choice((2, 4, 8))
            data[at : at + size] = draw.choice((0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1))).to_bytes(
                size, "little"
            )
        else:
            digits = [place for place in range(at, min(at + 256, len(data))) if 48 <= data[place] <= 57]
            for place in digits[:3]:
                data[place : place + 1] = draw.choice((b"0", b"9", b"-1", b"1e9", b"null", b"99999999"))
    return bytes(data)


def fuzz(name: str, times: int, *, seed: int = 0) -> Tally:
    """Give a reader spoilt files; the same seeds give the same files."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        target = READERS[name].make(Path(folder))
        content = target.read_bytes()
        READERS[name].read(target)  # the valid one must be read, which also imports what it needs
        number = seed
        while number < seed + times:
            number = _batch(name, target, content, number, seed + times, tally)
    return tally


def _batch(name: str, target: Path, content: bytes, first: int, stop: int, tally: Tally) -> int:
    """Let a child work until it is through or stuck; the number to go on with."""
    here, there = multiprocessing.get_context("fork").Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=_work, args=(name, target, content, first, stop, there))
    child.start()
    there.close()
    number = first
    try:
        while number < stop:
            if not here.poll(2 * PATIENCE):
                tally.faults.append(f"{name} {number}: no end within {2 * PATIENCE:g} s")
                break
            outcome = here.recv()
            tally.tried += 1
            number += 1
            if outcome == "read":
                tally.read += 1
            elif outcome == "refused":
                tally.refused += 1
            else:
                tally.faults.append(f"{name} {number - 1}: {outcome}")
        else:
            return stop
    except EOFError:
        tally.faults.append(f"{name} {number}: the process died")
    finally:
        child.kill()
        child.join()
    tally.tried += 1
    return number + 1


def _work(name: str, target: Path, content: bytes, first: int, stop: int, pipe: Any) -> None:
    import logging
    import warnings

    from talkinghead.errors import UserError

    logging.disable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders complain there by themselves
    warnings.simplefilter("ignore")
    before = _peak()
    for number in range(first, stop):
        spoilt = spoil(content, number)
        target.write_bytes(spoilt)
        began = time.perf_counter()
        try:
            READERS[name].read(target)
            outcome = "read"
        except UserError:
            outcome = "refused"
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcome = f"{type(error).__name__}: {str(error)[:100]} ({Path(where.filename).name}:{where.lineno})"
        taken = time.perf_counter() - began
        if taken > PATIENCE:
            outcome = f"{taken:.1f} s"
        grown = _peak() - before
        if grown > ROOM[0] * len(spoilt) + ROOM[1]:
            outcome, before = f"{grown / 1e6:.0f} MB for {len(spoilt)} bytes", _peak()
        pipe.send(outcome)


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _make_chunk(folder: Path) -> Path:
    from talkinghead.portrait.data.shards import write_shards
    from talkinghead.testing.synthetic import drawn_track

    write_shards((drawn_track(person, frames=4) for person in range(3)), folder / "shards")
    return folder / "shards" / "chunk-0-0.bin"


def _read_chunk(path: Path) -> None:
    from talkinghead.portrait.data.shards import Shards

    shards = Shards(path.parent)
    refusals = []
    for index in range(len(shards)):
        try:
            shards[index].frames()
        except Exception as error:
            refusals.append(error)
    if refusals:
        raise refusals[-1]


def _tiny(*, layers: bool = False) -> Any:
    from talkinghead.portrait.networks.config import CompositingConfig, PortraitConfig

    compositing = CompositingConfig(layers=layers)
    return PortraitConfig(
        size=64, min_channels=4, max_channels=8, embedding_dim=8, attention=False, compositing=compositing
    )


def _make_head(folder: Path) -> Path:
    from talkinghead.portrait.networks.head import FewShotHead

    FewShotHead(_tiny()).save(folder / "a.head.safetensors", {"made": "for a test"})
    return folder / "a.head.safetensors"


def _read_head(path: Path) -> None:
    from talkinghead.portrait.networks.head import FewShotHead

    FewShotHead.load(path)


def _make_avatar(folder: Path, *, layers: bool = False) -> Path:
    from talkinghead.portrait.avatar.avatar import feed_forward
    from talkinghead.portrait.data.photos import Photos
    from talkinghead.portrait.networks.head import FewShotHead, folded
    from talkinghead.testing.synthetic import draw_sequence, random_motion

    frames, landmarks = draw_sequence(1, random_motion(20, seed=1)[::10], size=64)
    photos = Photos(frames, landmarks, ("a", "b"), ("0", "1"))
    feed_forward(folded(FewShotHead(_tiny(layers=layers))), photos).save(folder / "a.avatar.safetensors")
    return folder / "a.avatar.safetensors"


def _read_avatar(path: Path) -> None:
    from talkinghead.portrait.avatar.avatar import Avatar

    Avatar.load(path)


def _make_motion(folder: Path) -> Path:
    from talkinghead.motion.from_rig import motion_of_weights
    from talkinghead.rig.files.own import default_rig

    weights = np.random.default_rng(0).random((6, 46))
    motion_of_weights(weights, Fraction(25), default_rig()).save(folder / "a.motion.safetensors")
    return folder / "a.motion.safetensors"


def _read_motion(path: Path) -> None:
    from talkinghead.motion.motion import Motion

    Motion.load(path)


def _make_rig(folder: Path) -> Path:
    from talkinghead.rig.files.own import default_rig, save_rig

    save_rig(default_rig().at_landmarks(), folder / "a.rig.safetensors")
    return folder / "a.rig.safetensors"


def _read_rig(path: Path) -> None:
    from talkinghead.rig.files.load import load_rig

    load_rig(path)


def _make_speech(folder: Path) -> Path:
    from talkinghead.weights.shipped import shipped

    path = folder / "a.speech.safetensors"
    path.write_bytes(shipped("voca.speech.safetensors").read_bytes())
    return path


def _read_speech(path: Path) -> None:
    from talkinghead.speech.model import SpeechModel

    SpeechModel.load(path)


def _make_corpus(folder: Path) -> Path:
    from talkinghead.speech.corpora.corpus import FORMAT, INDEX, VERSION

    line = {
        "name": "a", "sound": "a.flac", "motion": "a.npy", "speaker": "anna", "sentence": "one", "emotion": "calm",
        "split": "train", "frames": 30, "fps": "30", "seconds": 1.0, "checks": {},
    }  # fmt: skip
    about = {"format": FORMAT, "version": VERSION, "kind": "blendshapes", "sequences": [line] * 3, "rig": None}
    (folder / INDEX).write_text(json.dumps({**about, "identities": {}}))
    return folder / INDEX


def _read_corpus(path: Path) -> None:
    from talkinghead.speech.corpora.corpus import SpeechCorpus

    SpeechCorpus.load(path.parent)


def _make_glb(folder: Path) -> Path:
    from talkinghead.motion.formats.gltf import MorphAnimation, write_gltf
    from talkinghead.rig.files.own import default_rig

    rig = default_rig()
    names = rig.expression_names[:2]
    weights = np.zeros((2, 2), np.float32)
    write_gltf(
        MorphAnimation(rig.neutral, rig.faces, rig.expressions[:2], names, weights, Fraction(25)), folder / "a.glb"
    )
    corners = rig.faces[rig.landmark_faces, rig.landmark_weights.argmax(1)]
    (folder / "landmarks.json").write_text(json.dumps(corners.tolist()))
    return folder / "a.glb"


def _make_wav(folder: Path) -> Path:
    import soundfile

    soundfile.write(folder / "a.wav", 0.1 * np.sin(np.arange(2000) / 9), 16000)
    return folder / "a.wav"


def _read_wav(path: Path) -> None:
    from talkinghead.media.audio import read_sound

    read_sound(path)


def _make_picture(suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        from talkinghead.media.image import write_image

        write_image(folder / f"a{suffix}", np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8))
        return folder / f"a{suffix}"

    return make


def _read_picture(path: Path) -> None:
    from talkinghead.media.image import read_image

    read_image(path)


def _make_csv(folder: Path) -> Path:
    rows = "".join(f"10:00:00:{2 * row:02d}.000,2,0.{row:02d},0.5\n" for row in range(30))
    (folder / "a.csv").write_text("Timecode,BlendShapeCount,JawOpen,EyeBlinkLeft\n" + rows)
    return folder / "a.csv"


def _read_csv(path: Path) -> None:
    from talkinghead.motion.formats.arkit_csv import read_arkit_csv

    read_arkit_csv(path)


def _make_yaml(folder: Path) -> Path:
    text = "epochs: 20\ngenerator_lr: 1.0e-4\nloss_weights: &w {content: 1.0, match: [1, 2]}\nother: *w\n"
    (folder / "a.yaml").write_text(text)
    return folder / "a.yaml"


def _read_yaml(path: Path) -> None:
    from talkinghead.training.settings_file import read_settings

    read_settings(path)


def _make_video(folder: Path) -> Path:
    from talkinghead.media.video import VideoWriter

    draw = np.random.default_rng(0)
    with VideoWriter(folder / "a.mp4", fps=Fraction(25)) as writer:
        for _ in range(6):
            writer.write(draw.integers(0, 256, (48, 64, 3), np.uint8))
    return folder / "a.mp4"


def _read_video(path: Path) -> None:
    from talkinghead.media.video import read_frames

    for _ in read_frames(path):
        pass


READERS = {
    "chunk": Reader(_make_chunk, _read_chunk),
    "head": Reader(_make_head, _read_head),
    "avatar": Reader(_make_avatar, _read_avatar),
    "layers": Reader(partial(_make_avatar, layers=True), _read_avatar),
    "motion": Reader(_make_motion, _read_motion),
    "rig": Reader(_make_rig, _read_rig),
    "speech": Reader(_make_speech, _read_speech),
    "corpus": Reader(_make_corpus, _read_corpus),
    "glb": Reader(_make_glb, _read_rig),
    "wav": Reader(_make_wav, _read_wav),
    "png": Reader(_make_picture(".png"), _read_picture),
    "jpg": Reader(_make_picture(".jpg"), _read_picture),
    "csv": Reader(_make_csv, _read_csv),
    "yaml": Reader(_make_yaml, _read_yaml),
    "video": Reader(_make_video, _read_video),
}
