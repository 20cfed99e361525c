"""Videos of people who talk -> takes: the face of the speaker followed, the rig fitted to it, the sound cut to it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from talkinghead.errors import UserError
from talkinghead.face.crop import CropWindow, stable_windows, to_crop
from talkinghead.face.detection.choice import make_detector
from talkinghead.face.detection.detector import FaceDetector
from talkinghead.face.frames import fill_gaps
from talkinghead.face.landmarks import mouth_opening
from talkinghead.face.track import FaceTrack, track_faces
from talkinghead.media.audio import read_sound
from talkinghead.media.collection import VIDEO_SUFFIXES, identity_of, read_listing
from talkinghead.media.files import is_hidden
from talkinghead.media.video import probe, read_frames
from talkinghead.motion.motion import TRACKED_SIDE, Motion
from talkinghead.motion.rig_tracking import inspect_fit, track_rig
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.rig import Rig
from talkinghead.speech.corpora.corpus import SPLITS
from talkinghead.speech.corpora.recordings import Recording, Source, Take, key_of
from talkinghead.speech.mouth_check import check_mouth, is_silent

SEEN = 0.8
"""Frames with less sure landmarks are made up, or end a take."""

LONGEST_GAP = 0.2
"""Seconds for which landmarks are made up."""

LEAST_SECONDS = 1.0
"""Shorter takes are dropped."""

VALIDATION_SHARE = 8
"""Without splits, every so many-th speaker is for validation."""

SHOWN = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight")
"""Weights whose 99th percentiles are reported: a speaker opens the jaw and blinks."""

SPLIT_NAMES = {**{name: name for name in SPLITS}, "valid": "val", "validation": "val", "dev": "val"}
SILENT_WORDS = ("n", "no", "0", "false")


Measure = Callable[[Take], tuple[float, dict[str, Any]] | None]
"""Of a take: seconds that its sound comes after its picture, and figures for the report; None if its mouth does not
follow the sound at all."""


@dataclass(frozen=True)
class Listed:
    """What is known of a video before it is opened."""

    speaker: str
    split: str | None
    delay: float = 0.0
    """Seconds that its sound comes after its picture."""


class VideoTracker:
    """Turns a video into takes. Each speaker's identity is fitted once, to the first video that is read."""

    def __init__(
        self,
        detector: str = "auto",
        device: str = "cpu",
        *,
        finder: FaceDetector | None = None,
        measure: Measure | None = None,
    ) -> None:
        """Choose how faces are found and sound is laid.

        Args:
            detector: its name.
            device: for the neural ones.
            finder: a detector made already, instead of one by name.
            measure: finds the delay of a take's sound, which is then taken out; None leaves sound where it is.
        """
        self.names = (detector, device)
        self.measure = measure
        self.rig: Rig = default_rig()
        self._finder = finder
        self._identities: dict[str, Float[np.ndarray, " m"]] = {}

    @property
    def finder(self) -> FaceDetector:
        """The detector, made when it is first needed."""
        if self._finder is None:
            self._finder = make_detector(*self.names)
        return self._finder

    def __call__(self, path: Path, speaker: str, delay: float = 0.0) -> list[Take]:
        """The takes of a video: stretches in which one face is seen well. Where faces are seen at once, only that
        whose mouth follows the sound best. `delay`: seconds that the sound comes after the picture, to be taken out.

        Raises:
            UserError: if the video cannot be read, has no sound, shows no face long enough, or no mouth follows the
                sound (where that is measured).
        """
        info = probe(path)
        if not info.has_sound:
            raise UserError(f"{path}: there is no sound in it.")
        waveform, rate = read_sound(path)
        if is_silent(waveform):
            raise UserError(f"{path}: its sound is silent.")
        waveform = _earlier(waveform, round(delay * rate))
        frames = read_frames(path, max_side=TRACKED_SIDE, colour=self.finder.colour)
        tracks = track_faces(frames, self.finder, max_frames=10**9)
        parts = [part for track in tracks for part in seen_parts(track, info.fps)]
        if not parts:
            raise UserError(f"{path}: no face is seen well for {LEAST_SECONDS:g} s.")
        takes = [
            Take(_sound(waveform, rate, part), rate, part.motion, about={"delay": delay, **part.about()})
            for part in parts
        ]
        chosen = [(parts[index], self._fitted(takes[index], speaker)) for index in speaking(parts, takes)]
        if self.measure is None:
            return [take for _, take in chosen]
        laid = [one for part, take in chosen if (one := self._laid(take, part, waveform, rate)) is not None]
        if not laid:
            raise UserError(f"{path}: no mouth in it follows the sound, however far that is shifted.")
        return laid

    def _laid(self, take: Take, part: "Part", waveform: Float[np.ndarray, " s"], rate: int) -> Take | None:
        """The take with the measured delay of its sound taken out; None if its mouth does not follow the sound."""
        assert self.measure is not None
        measured = self.measure(take)
        if measured is None:
            return None
        delay, figures = measured
        about = {**take.about, "delay": round(take.about["delay"] + delay, 3), **figures}
        return replace(take, waveform=_sound(_earlier(waveform, round(delay * rate)), rate, part), about=about)

    def _fitted(self, take: Take, speaker: str) -> Take:
        """The take with pose and blendshapes."""
        assert take.motion is not None
        motion, fit = track_rig(take.motion, self.rig, identity=self._identities.get(speaker))
        self._identities.setdefault(speaker, fit.identity)
        shown = fit.weights[:, [self.rig.expression_names.index(name) for name in SHOWN]]
        highest = dict(zip(SHOWN, np.percentile(shown, 99, axis=0).tolist(), strict=True))
        about = {
            **take.about,
            "reprojection_error": round(float(np.nanmedian(fit.reprojection_error)), 5),
            **{f"most_{name}": round(weight, 3) for name, weight in highest.items()},
            **inspect_fit(take.motion, fit, self.rig).sanity(),
        }
        return replace(take, motion=motion, identity=fit.identity.astype(float).round(4).tolist(), about=about)


@dataclass(frozen=True, eq=False)
class Part:
    """A stretch of a video in which one face is seen well."""

    start: int
    """Its first frame."""
    motion: Motion
    made_up: float
    """Share of its frames whose landmarks were made up."""

    def about(self) -> dict[str, float]:
        """For the report."""
        return {"start": round(float(self.start / self.motion.fps), 3), "made_up": round(self.made_up, 4)}


def seen_parts(track: FaceTrack, fps: Fraction) -> list[Part]:
    """The stretches of a track in which its landmarks are sure, short gaps filled."""
    seen = _bridged(track.confidence >= SEEN, round(LONGEST_GAP * fps))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(np.int8))).reshape(-1, 2)
    parts = []
    for start, stop in edges.tolist():
        if stop - start < LEAST_SECONDS * fps:
            continue
        pixels, confidence = track.landmarks_px[start:stop], track.confidence[start:stop]
        windows = stable_windows(pixels)
        rows = [to_crop(points, CropWindow(*window)) for points, window in zip(pixels, windows.tolist(), strict=True)]
        sure = confidence >= SEEN
        landmarks = fill_gaps(np.array(rows, np.float32), sure, fps=float(fps), how="fade")
        motion = Motion(landmarks.astype(np.float32), confidence.astype(np.float32), fps)
        parts.append(Part(int(track.frame_index[start]), motion, float(1 - sure.mean())))
    return parts


def speaking(parts: list[Part], takes: list[Take]) -> list[int]:
    """Which parts to keep: of those seen at the same time, the one whose mouth follows the sound best."""
    scores = []
    for take in takes:
        assert take.motion is not None
        check = check_mouth(mouth_opening(take.motion.landmarks), take.waveform, take.sample_rate, fps=take.motion.fps)
        scores.append(check.correlation if check else -1.0)
    kept: list[int] = []
    for index in sorted(range(len(parts)), key=lambda index: -scores[index]):
        if not any(_overlap(parts[index], parts[other]) for other in kept):
            kept.append(index)
    return sorted(kept, key=lambda index: parts[index].start)


def find_talking_videos(folder: Path, track: VideoTracker, *, listing: Path | None = None) -> Source:
    """The videos of a folder, searched through and through.

    Who speaks is the name of the folder under train/, val/ or test/, if there are such, or under the source; or what
    the listing says, whose videos alone are read then. Without splits, every eighth speaker is for validation; of a
    single speaker with several videos the last one.

    Args:
        folder: with videos.
        track: turns a video into takes.
        listing: a CSV with the columns path (from the folder) and person, and maybe split, talking (n: left out) and
            delay (seconds that the sound comes after the picture).

    Raises:
        UserError: if there is no video, or the listing cannot be read.
    """
    folder = Path(folder)
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    files = {name: path for name, path in paths.items() if path.is_file() and not is_hidden(path, folder)}
    videos = {name: path for name, path in files.items() if path.suffix.lower() in VIDEO_SUFFIXES}
    known = {name: by_folder(name) for name in videos} if listing is None else listed(listing)
    missing = [name for name in known if name not in videos]
    if missing:
        raise UserError(f"{listing}: {missing[0]} is not in {folder}; its paths start in that folder.")
    if not known:
        raise UserError(f"{folder}: there is no video in it.")
    splits = {name: about.split or "" for name, about in known.items()}
    if not any(splits.values()):
        splits = _default_splits(known)
    recordings = [
        Recording(
            name=name.rpartition(".")[0],
            speaker=about.speaker,
            split=splits[name] or "train",
            key=key_of("videos 1", videos[name], *track.names, about.speaker, about.delay, track.measure is not None),
            read=partial(track, videos[name], about.speaker, about.delay),
        )
        for name, about in known.items()
    ]
    return Source("videos", recordings, rig=track.rig.name)


def by_folder(video: str) -> Listed:
    """What a path says: "val/anna/1.mp4" shows anna and is for validation."""
    top, _, rest = video.partition("/")
    split = SPLIT_NAMES.get(top.lower()) if rest else None
    return Listed(identity_of(rest if split else video), split)


def listed(path: Path) -> dict[str, Listed]:
    """Video -> what a CSV says of it; those who do not talk, or have no sound, are left out.

    Raises:
        UserError: if it cannot be read, lacks a column, or names an unknown split.
    """
    found = {}
    for video, person, row in read_listing(path):
        if any(row.get(name, "").strip().lower() in SILENT_WORDS for name in ("talking", "audio")):
            continue
        split = row.get("split", "").strip().lower()
        if split and split not in SPLIT_NAMES:
            raise UserError(f"{path}: {video} is in the split {split!r}; give train, val or test.")
        try:
            delay = float(row.get("delay") or 0)
        except ValueError:
            raise UserError(f"{path}: {video} has the delay {row['delay']!r}; give seconds.") from None
        found[video] = Listed(person, SPLIT_NAMES.get(split), delay)
    return found


def _default_splits(known: dict[str, Listed]) -> dict[str, str]:
    speakers = sorted({about.speaker for about in known.values()})
    if len(speakers) == 1:
        last = max(known) if len(known) > 1 else None
        return {name: "val" if name == last else "train" for name in known}
    held_out = set(speakers[VALIDATION_SHARE - 1 :: VALIDATION_SHARE]) or {speakers[-1]}
    return {name: "val" if about.speaker in held_out else "train" for name, about in known.items()}


def _bridged(seen: Bool[np.ndarray, " t"], longest: int) -> Bool[np.ndarray, " t"]:
    """With gaps inside of up to `longest` frames counted as seen."""
    bridged = seen.copy()
    known = np.flatnonzero(seen)
    for before, after in zip(known[:-1].tolist(), known[1:].tolist(), strict=True):
        if 1 < after - before <= longest + 1:
            bridged[before:after] = True
    return bridged


def _earlier(waveform: Float[np.ndarray, " s"], samples: int) -> Float[np.ndarray, " z"]:
    """The sound that many samples earlier; later if negative."""
    return waveform[samples:] if samples >= 0 else np.pad(waveform, (-samples, 0))


def _sound(waveform: Float[np.ndarray, " s"], rate: int, part: Part) -> Float[np.ndarray, " z"]:
    """The sound of a part."""
    fps = part.motion.fps
    first, last = (round(frame / fps * rate) for frame in (part.start, part.start + len(part.motion)))
    return waveform[first:last]


def _overlap(a: Part, b: Part) -> bool:
    return a.start < b.start + len(b.motion) and b.start < a.start + len(a.motion)
