"""Recordings of any kind -> a speech corpus: each is read, checked and stored; one that is finished stays finished."""

import json
import logging
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors.numpy import save_file

from talkinghead.claims import LOCK
from talkinghead.errors import DiskFullError, UserError
from talkinghead.face.landmarks import mouth_opening
from talkinghead.media.audio import write_sound
from talkinghead.media.files import atomic_path, run_folder
from talkinghead.memory import give_back
from talkinghead.motion.motion import Motion
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.corpus import FORMAT, INDEX, MESHES, TOPOLOGY, VERSION, Sequence, SpeechCorpus, to_line
from talkinghead.speech.corpora.recordings import Recording, Source, SpeechRecord, Take, key_of
from talkinghead.speech.mouth_check import check_mouth, is_silent

log = logging.getLogger(__name__)

PARTS = ".parts"
"""Folder, inside the output, of the records of a run that is not finished."""

REPORT = "report.json"
MOTIONS, SOUNDS = "motions", "sounds"
LEAST_SECONDS = 0.5
"""Shorter takes are dropped."""


Progress = Callable[[SpeechRecord], None]
"""Called for each finished recording."""


def write_corpus(
    source: Source,
    output: Path,
    *,
    min_correlation: float | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[SpeechRecord]:
    """Read all recordings and store those that are good, with a report on each. A stopped run goes on where it stood.

    Args:
        source: what a reader found.
        output: a new or half-finished folder.
        min_correlation: takes whose mouth follows the loudness less than this are dropped; None keeps all.
        overwrite: replace a corpus that is there.
        progress: told of each finished recording.

    Raises:
        UserError: if nothing is kept, or the output holds something else.
    """
    with run_folder(output):
        return _write_corpus(source, output, min_correlation, overwrite=overwrite, progress=progress)


def _write_corpus(
    source: Source, output: Path, min_correlation: float | None, *, overwrite: bool, progress: Progress | None
) -> list[SpeechRecord]:
    _check_output(output, overwrite=overwrite)
    for folder in (PARTS, MOTIONS, SOUNDS):
        (output / folder).mkdir(parents=True, exist_ok=True)
    records, names = [], set()
    for recording in source.recordings:
        stem = _stem(recording.name)
        if stem in names:
            raise UserError(f"{recording.name}: two recordings have this name; give each its own.")
        names.add(stem)
        path = output / PARTS / f"{key_of(recording.key, recording.name, recording.split, min_correlation)}.json"
        record = _finished(path, output)
        if record is None:
            record = _store(recording, output, stem, min_correlation)
            with atomic_path(path, overwrite=True) as temporary:
                temporary.write_text(json.dumps(asdict(record)))
            give_back()
        records.append(record)
        if progress:
            progress(record)
    _write_report(source, records, output)
    if not any(record.sequences for record in records):
        raise UserError(f"nothing was kept of {len(records)} recordings; {output / REPORT} says why.")
    _write_index(source, records, output)
    shutil.rmtree(output / PARTS)
    return records


def _store(recording: Recording, output: Path, stem: str, min_correlation: float | None) -> SpeechRecord:
    """Read, check and write one recording; what is wrong with it stands in its record."""
    record = SpeechRecord(recording.name, recording.speaker, recording.split)
    try:
        takes = recording.read()
    except DiskFullError:
        raise
    except UserError as error:
        record.why = str(error).rstrip(".")
        return record
    except (ValueError, ArithmeticError, OSError, RuntimeError) as error:
        log.warning("%s could not be read", recording.name, exc_info=True)
        record.why = f"failed: {type(error).__name__}: {error}"
        return record
    for take in takes:
        take = _fitted(take)
        checks, why = _checked(take, min_correlation)
        record.takes.append({**take.about, **checks, "fate": why or "kept"})
        record.identity = record.identity or take.identity
        if why:
            record.why = record.why or why
            continue
        number = len(record.sequences)
        sequence = _written(take, recording, output, f"{stem}.{number + 1}" if number else stem)
        record.sequences.append(to_line(replace(sequence, checks={**take.about, **checks}), output))
    if record.sequences:
        record.fate, record.why = "kept", ""
    elif not record.why:
        record.why = "there is nothing in it"
    return record


def _fitted(take: Take) -> Take:
    """Sound and motion cut to the same length."""
    if take.motion is None:
        return take
    fps = take.motion.fps
    frames = min(len(take.motion), math.ceil(len(take.waveform) / take.sample_rate * fps))
    samples = math.ceil(frames / fps * take.sample_rate)
    motion = take.motion.cut(0, frames) if 0 < frames < len(take.motion) else take.motion
    return replace(take, motion=motion, waveform=take.waveform[:samples])


def _checked(take: Take, min_correlation: float | None) -> tuple[dict[str, Any], str]:
    """What was measured, and why the take is dropped ("" if it is kept)."""
    seconds = len(take.waveform) / take.sample_rate
    if seconds < LEAST_SECONDS:
        return {"seconds": round(seconds, 3)}, f"it lasts {seconds:.2f} s"
    if is_silent(take.waveform):
        return {"seconds": round(seconds, 3)}, "it is silent"
    if take.motion is None or not take.motion.confidence.any():
        return {}, ""
    check = check_mouth(_opening(take.motion), take.waveform, take.sample_rate, fps=take.motion.fps)
    if check is None:
        return {}, "it is too short or too still to judge" if min_correlation is not None else ""
    if min_correlation is not None and check.correlation < min_correlation:
        return check.to_dict(), f"its mouth does not follow the sound (correlation {check.correlation:.2f})"
    return check.to_dict(), ""


def _opening(motion: Motion) -> Float[np.ndarray, " t"]:
    """How far the mouth is open: by the rig's expressions, which a model will learn, else by the landmarks."""
    rig = default_rig()
    if motion.blendshapes is None or motion.blendshape_names != rig.expression_names:
        return mouth_opening(motion.landmarks)
    points = rig.at_landmarks().vertices(motion.blendshapes)
    return mouth_opening(points[..., :2])


def _written(take: Take, recording: Recording, output: Path, stem: str) -> Sequence:
    sound = output / SOUNDS / f"{stem}.flac"
    waveform = np.clip(take.waveform, -1, 1 - 2**-15)
    with atomic_path(sound, overwrite=True) as temporary:
        write_sound(temporary, waveform, take.sample_rate)
    motion = None
    if take.motion is not None:
        motion = output / MOTIONS / f"{stem}.motion.safetensors"
        replace(take.motion, sound=None, video=None).save(motion, overwrite=True)
    return Sequence(
        name=stem,
        sound=sound,
        motion_path=motion,
        speaker=recording.speaker,
        sentence=recording.sentence,
        emotion=recording.emotion,
        split=recording.split,
        frames=0 if take.motion is None else len(take.motion),
        fps=Fraction(30) if take.motion is None else take.motion.fps,
        seconds=round(len(waveform) / take.sample_rate, 3),
    )


def _finished(path: Path, output: Path) -> SpeechRecord | None:
    """The record of a recording that an earlier run finished; None if it has to be done (again)."""
    try:
        record = SpeechRecord(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    files = [line[name] for line in record.sequences for name in ("sound", "motion") if line[name]]
    return record if all((output / name).is_file() for name in files) else None


def _check_output(output: Path, *, overwrite: bool) -> None:
    """Refuse a folder with a finished corpus (or remove it) and one that is not ours."""
    if (output / INDEX).exists() and not (output / PARTS).exists():  # else a run was killed while it tidied up
        if not overwrite:
            raise UserError(f"{output} holds a corpus; give another output or --overwrite.")
        for line in SpeechCorpus.load(output):
            for path in filter(None, (line.sound, line.motion_path)):
                path.unlink(missing_ok=True)
        for name in (INDEX, REPORT, MESHES):
            (output / name).unlink(missing_ok=True)
    elif output.exists():
        ours = {output / name for name in (PARTS, MOTIONS, SOUNDS, REPORT, LOCK)}
        others = sorted(set(output.iterdir()) - ours) if output.is_dir() else [output]
        if others:
            raise UserError(f"{output} holds other things ({others[0].name}); give a new folder.")


def _write_index(source: Source, records: list[SpeechRecord], output: Path) -> None:
    if source.templates:
        meshes: dict[str, np.ndarray] = {name: np.ascontiguousarray(mesh) for name, mesh in source.templates.items()}
        if source.topology is not None:
            meshes[TOPOLOGY] = np.ascontiguousarray(source.topology)
        with atomic_path(output / MESHES, overwrite=True) as temporary:
            save_file(meshes, temporary)
    identities: dict[str, list[float]] = {}
    for record in records:
        if record.identity and record.sequences:
            identities.setdefault(record.speaker, record.identity)
    index = {
        "format": FORMAT,
        "version": VERSION,
        "kind": source.kind,
        "rig": source.rig,
        "identities": identities,
        "sequences": [line for record in records for line in record.sequences],
    }
    with atomic_path(output / INDEX, overwrite=True) as temporary:
        temporary.write_text(json.dumps(index, indent=1))


def _write_report(source: Source, records: list[SpeechRecord], output: Path) -> None:
    lines = [line for record in records for line in record.sequences]
    totals: dict[str, Any] = {"recordings": len(records), "sequences": len(lines)}
    for split in dict.fromkeys(line["split"] for line in lines):
        part = [line for line in lines if line["split"] == split]
        totals[split] = {
            "sequences": len(part),
            "speakers": len({line["speaker"] for line in part}),
            "seconds": round(sum(line["seconds"] for line in part), 1),
            "frames": sum(line["frames"] for line in part),
        }
    shown = [{name: value for name, value in asdict(record).items() if name != "sequences"} for record in records]
    report = {"kind": source.kind, "totals": totals, "notes": source.about, "recordings": shown}
    with atomic_path(output / REPORT, overwrite=True) as temporary:
        temporary.write_text(json.dumps(report, indent=1))


def _stem(name: str) -> str:
    """A name as a file's."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "sequence"
