"""What the page has done: photos looked at, avatars made, clips rendered."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from talkinghead.app.jobs import Job, Report
from talkinghead.app.library import KEPT_BESIDE
from talkinghead.errors import UserError
from talkinghead.media.audio import read_sound, write_sound
from talkinghead.media.video import VideoWriter
from talkinghead.motion.formats.arkit_csv import read_arkit_csv
from talkinghead.motion.formats.export import ExportConfig, export_motion
from talkinghead.motion.motion import Motion
from talkinghead.motion.rig_tracking import track_rig
from talkinghead.motion.strength import UNCHANGED, Strength
from talkinghead.portrait.avatar.avatar import Avatar, feed_forward, origin
from talkinghead.portrait.avatar.retargeting import ReenactmentConfig
from talkinghead.portrait.data.photos import Photos, read_photos
from talkinghead.portrait.networks.head import FewShotHead, default_head_path
from talkinghead.portrait.training.fine_tuning import FineTuningConfig, fine_tune
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.model import load_model
from talkinghead.speech.speaking import head_motion
from talkinghead.speech.speaking.speaking_head import join, with_blendshapes
from talkinghead.speech.speaking.to_motion import Likeness
from talkinghead.speech.speech_synthesis import speak_text
from talkinghead.training.progress import ShowSteps
from talkinghead.weights.shipped import shipped

PREVIEW_FRAMES = 48
CHECKED_SIDE = 192
"""Pixels of the pictures that show how a photo is cut."""

Driver = Literal["example", "video", "voice", "text", "curves"]


@dataclass(frozen=True)
class Looked:
    """What was seen in one photo."""

    name: str
    picture: UInt8[np.ndarray, "s s 3"] | None
    """The head as it is cut, with its landmarks; None where there is none."""
    problem: str
    """One sentence; empty if the photo can be used."""


@dataclass(frozen=True)
class Wishes:
    """How a person is to be moved."""

    driver: Driver = "example"
    file: Path | None = None
    """A video, a sound or a CSV."""
    text: str = ""
    model: str = "karras"
    """What turns a voice into movement: karras, voca or pham."""
    relative: bool = False
    """Start from the photo and add the driver's movement."""
    smooth: float = 1.0
    turn_limit: float = 30.0
    strength: Strength = UNCHANGED
    """How far each part moves."""
    view: Literal["whole", "head"] = "whole"


def look_at(paths: Sequence[Path]) -> tuple[list[Looked], str]:
    """Each photo by itself, and what is wrong with them together (empty if nothing is)."""
    looked = [_look_at(path) for path in paths]
    usable = [path for path, one in zip(paths, looked, strict=True) if not one.problem]
    together = ""
    if len(usable) > 1:
        try:
            read_photos(usable)
        except UserError as error:
            together = in_words(error)
    return looked, together


def in_words(error: UserError) -> str:
    """A complaint without what only a program can give."""
    return re.sub(r",? or give allow=Allow\(\w+=True\)", "", str(error))


def _look_at(path: Path) -> Looked:
    try:
        photos = read_photos([path])
    except UserError as error:
        return Looked(path.name, None, in_words(error).replace(str(path), path.name))
    side = photos.side
    picture = photos.frames[0].copy()
    for x, y in np.round(photos.landmarks[0] * side).astype(int):
        cv2.circle(picture, (int(x), int(y)), max(side // 130, 1), (90, 220, 255), -1, cv2.LINE_AA)
    return Looked(path.name, cv2.resize(picture, (CHECKED_SIDE,) * 2, interpolation=cv2.INTER_AREA), "")


def make_avatar(job: Job, paths: Sequence[Path], target: Path, *, consent: str, steps: int | None = None) -> None:
    """An avatar of photos: at first as the head imagines it, then tuned; both are shown moving.

    Args:
        job: shows `preview` (a clip) and `avatar` (the file).
        paths: the photos.
        target: where the avatar goes.
        consent: what the person agreed to.
        steps: of tuning; None for the default.

    Raises:
        UserError: if a photo cannot be used.
    """
    if not paths:
        raise UserError("There is no photo yet; drop one or more photos of the person first.")
    if not consent.strip():
        raise UserError("Say first what the person agreed to, such as: Anna said yes, 3 May.")
    job.stage("looking at the photos")
    head, _ = FewShotHead.load(default_head_path())
    photos = read_photos(paths, size=head.config.photo_side)
    about = origin(default_head_path(), consent=consent.strip())
    first = feed_forward(head, photos, provenance=about)
    preview = target.with_name(f".{target.name}.{job.number}.1.mp4")
    try:
        write_preview(first, preview, job.stage("first preview"))
        job.shown["preview"] = preview
        report = job.stage("tuning to the person")
        tuned = tune(head, photos, about, report, steps)
        tuned.save(target, overwrite=False)
        job.shown["avatar"] = target
        better = preview.with_name(preview.name.replace(".1.mp4", ".2.mp4"))
        write_preview(tuned, better, job.stage("preview"))
        job.shown["preview"] = better
    except BaseException:
        preview.unlink(missing_ok=True)
        raise


def tune(
    head: FewShotHead, photos: Photos, about: dict[str, object], report: Report, steps: int | None = None
) -> Avatar:
    """The person's own avatar."""
    config = FineTuningConfig(steps=steps)
    return fine_tune(head, photos, config, provenance=about, callbacks=(ShowSteps(report),)).avatar


def write_preview(avatar: Avatar, path: Path, report: Report) -> None:
    """Two seconds of the motion that ships, as the square around the head."""
    motion = example_motion().cut(0, PREVIEW_FRAMES)
    with VideoWriter(path, fps=motion.fps, origin=avatar.origin(), overwrite=True) as writer:
        animation = avatar.animate(motion, ReenactmentConfig(view="head", motion="relative"))
        for done, frame in enumerate(animation, 1):
            writer.write(frame)
            report(done, len(motion))


def example_motion() -> Motion:
    """The motion that ships: see tools/make_demo_motion."""
    return Motion.load(shipped("demo.motion.safetensors"))


def drive(job: Job, avatar: Path, target: Path, wishes: Wishes) -> None:
    """A clip of an avatar, and its movement for other programs.

    Args:
        job: shows `clip` (an mp4) and `files` (what can be downloaded).
        avatar: the person's file.
        target: where the clip goes.
        wishes: how the person is moved.

    Raises:
        UserError: if the driver cannot be used.
    """
    job.stage("reading the avatar")
    person = Avatar.load(avatar)
    config = ReenactmentConfig(
        motion="relative" if wishes.relative else "absolute",
        smooth=wishes.smooth,
        turn_limit=wishes.turn_limit,
        view=wishes.view,
        strength=wishes.strength,
    )
    with movement(job, person, wishes) as (motion, landmarks):
        report = job.stage("rendering")
        moving = motion if landmarks is None else landmarks
        animation = person.animate(moving, config)
        origin = person.origin(wishes.file)
        with VideoWriter(target, fps=motion.fps, sound=motion.sound, origin=origin) as writer:
            for done, frame in enumerate(animation, 1):
                writer.write(frame)
                report(done, len(animation))
        job.shown["clip"] = target
        job.shown["files"] = [target, *kept_movement(motion, target)]


@contextmanager
def movement(job: Job, person: Avatar, wishes: Wishes) -> Iterator[tuple[Motion, Float[np.ndarray, "t 68 2"] | None]]:
    """The motion that is wished for; with a voice also its landmarks in the person's proportions."""
    if wishes.driver == "example":
        yield example_motion(), None
        return
    if wishes.driver in ("voice", "text"):
        with TemporaryDirectory() as folder:
            yield speech(job, person, wishes, Path(folder))
        return
    if wishes.file is None:
        raise UserError("There is nothing yet that moves the person; drop a file first.")
    if wishes.driver == "curves":
        yield read_arkit_csv(wishes.file), None
        return
    motion = Motion.from_video(wishes.file, progress=job.stage("tracking the video"))
    if not motion.seen.any():
        raise UserError(f"{wishes.file.name}: none of its {len(motion)} frames shows a face; take another video.")
    yield motion, None


def speech(job: Job, person: Avatar, wishes: Wishes, folder: Path) -> tuple[Motion, Float[np.ndarray, "t 68 2"]]:
    """What a voice, or a text that is spoken, moves."""
    job.stage("hearing the voice")
    if wishes.driver == "text":
        if not wishes.text.strip():
            raise UserError("There is no text yet; write what the person is to say.")
        said = speak_text(wishes.text.strip())
        sound = folder / "voice.wav"
        write_sound(sound, said.waveform, said.sample_rate)
    elif wishes.file is None:
        raise UserError("There is no voice yet; drop a sound file or record one.")
    else:
        sound = wishes.file
    waveform, rate = read_sound(sound)
    speaker = load_model(wishes.model)
    spoken = speaker.predict(waveform, rate)
    if not len(spoken):
        raise UserError(f"{sound.name}: the sound is shorter than a frame.")
    loud = head_motion.loudness_of(waveform, rate, spoken.fps, frames=len(spoken))
    head = head_motion.generate(len(spoken), spoken.fps, loudness=loud)
    head = replace(head, pose=(wishes.strength.head * head.pose).astype(np.float32))
    motion, rig = join(spoken, head, speaker)
    assert rig is not None
    motion = replace(with_blendshapes(motion, rig), sound=sound)
    face = replace(wishes.strength, head=1.0)
    return motion, Likeness.of(rig, person.source_landmarks).landmarks(motion, face)


def kept_movement(motion: Motion, clip: Path) -> list[Path]:
    """The movement beside a clip: for this program, as ARKit's curves, and as a head for Blender."""
    rig = default_rig()
    if motion.blendshapes is None and motion.vertices is None:
        motion, _ = track_rig(motion, rig)
    kept = replace(motion, sound=clip if motion.sound else None)
    files = [clip.with_suffix(suffix) for suffix in KEPT_BESIDE]
    kept.save(files[0])
    for file in files[1:]:
        export_motion(replace(kept, sound=None), file, rig, config=ExportConfig(sound=False))
    return files
