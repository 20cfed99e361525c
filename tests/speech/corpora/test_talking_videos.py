"""Videos of drawn people who talk -> takes and corpora."""

from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from drawn_detector import DrawnDetector

from talkinghead.errors import UserError
from talkinghead.face.track import FaceTrack
from talkinghead.motion.motion import Motion
from talkinghead.speech.corpora.corpus import SpeechCorpus
from talkinghead.speech.corpora.recordings import Take
from talkinghead.speech.corpora.talking_videos import (
    Part,
    VideoTracker,
    by_folder,
    find_talking_videos,
    listed,
    seen_parts,
    speaking,
)
from talkinghead.speech.corpora.write import write_corpus
from talkinghead.testing.synthetic import Pose, draw_sequence, random_motion, write_clip

FPS = Fraction(25)
SIZE = 96


@cache
def drawn(person: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Frames and landmarks of a drawn person who talks."""
    return draw_sequence(person, talk(frames, person), size=SIZE)


def talk(frames: int = 50, seed: int = 1) -> list[Pose]:
    return random_motion(frames, seed=seed)


def tracker(*people: int, frames: int = 50, **settings) -> VideoTracker:
    """A tracker that knows drawn people and how they move."""
    known = [drawn(person, frames) for person in people]
    return VideoTracker(finder=DrawnDetector(*(np.concatenate(part) for part in zip(*known, strict=True))), **settings)


def write(path: Path, person: int = 1, *, frames: int = 50, sound: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(path, person, frames=frames, size=SIZE, sound=sound, poses=talk(frames, person))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Two seconds of the first drawn person."""
    return write(tmp_path_factory.mktemp("v") / "train" / "anna" / "1.mp4")


def track(frames: int, confidence: np.ndarray, start: int = 0) -> FaceTrack:
    landmarks = drawn(1, frames)[1] * SIZE
    index = np.arange(start, start + frames)
    return FaceTrack(landmarks, confidence.astype(np.float32), index, index / float(FPS))


def test_a_talking_video_becomes_a_sequence_with_pose_and_expressions(clip, tmp_path):
    write_corpus(find_talking_videos(clip.parents[2], tracker(1)), tmp_path / "c", min_correlation=0.2)
    corpus = SpeechCorpus.load(tmp_path / "c")
    (one,) = corpus
    assert (one.name, one.speaker, one.split, one.fps, corpus.kind) == ("train_anna_1", "anna", "train", 25, "videos")
    motion = one.motion
    assert abs(len(motion) - 50) <= 1
    assert one.seconds == pytest.approx(len(motion) / 25, abs=0.02)
    assert motion.pose is not None and motion.blendshapes is not None
    jaw = motion.blendshapes[:, motion.blendshape_names.index("jawOpen")]
    opened = np.array([pose.mouth_open for pose in talk()])[: len(motion)]
    assert np.corrcoef(jaw, opened)[0, 1] > 0.7
    assert one.checks["correlation"] > 0.6 and abs(one.checks["lag_seconds"]) < 0.06
    assert one.checks["reprojection_error"] < 0.1
    assert one.checks["mouth_agreement"] > 0.8 and one.checks["blinks_a_minute"] >= 0
    assert -1 <= one.checks["blink_agreement"] <= 1
    assert len(corpus.identities["anna"]) > 0


def test_the_second_video_of_a_speaker_has_the_identity_of_the_first(clip):
    follow = tracker(1)
    first, second = (follow(clip, "anna")[0] for _ in range(2))
    assert first.identity == second.identity


def test_a_take_that_begins_late_takes_its_own_sound():
    confidence = np.ones(100)
    confidence[:40] = 0.1
    (part,) = seen_parts(track(100, confidence, start=10), FPS)
    assert (part.start, len(part.motion), part.about()) == (50, 60, {"start": 2.0, "made_up": 0.0})


def test_short_gaps_are_made_up_and_long_ones_end_a_part():
    confidence = np.ones(120)
    confidence[20:24] = 0.2
    confidence[60:80] = 0.2
    first, second = seen_parts(track(120, confidence), FPS)
    assert (first.start, len(first.motion), second.start, len(second.motion)) == (0, 60, 80, 40)
    assert first.made_up == pytest.approx(4 / 60)
    assert np.abs(np.diff(first.motion.landmarks[18:26], axis=0)).max() < 0.05
    assert seen_parts(track(20, np.ones(20)), FPS) == []


@pytest.mark.parametrize("delay", [0.2, -0.2])
def test_a_known_delay_of_the_sound_is_taken_out(clip, delay):
    (plain,), (moved,) = tracker(1)(clip, "anna"), tracker(1)(clip, "anna", delay)
    shift = round(0.2 * plain.sample_rate)
    early, late = (moved, plain) if delay > 0 else (plain, moved)
    both = len(late.waveform) - shift
    assert both > plain.sample_rate
    assert (plain.about["delay"], moved.about["delay"]) == (0, delay)
    assert np.array_equal(early.waveform[:both], late.waveform[shift:])


def test_a_measured_delay_is_taken_out_beside_a_known_one(clip):
    (known,) = tracker(1)(clip, "anna", 0.2)
    (moved,) = tracker(1, measure=lambda take: (-0.12, {"sync_lead": 0.5}))(clip, "anna", 0.2)
    shift = round(0.12 * known.sample_rate)
    assert np.array_equal(moved.waveform[shift:], known.waveform[: len(moved.waveform) - shift])
    assert moved.about["delay"] == pytest.approx(0.08) and moved.about["sync_lead"] == 0.5


def test_a_mouth_that_does_not_follow_the_sound_is_left_out(clip):
    with pytest.raises(UserError, match="no mouth in it follows the sound"):
        tracker(1, measure=lambda take: None)(clip, "anna")


def test_of_two_faces_the_one_that_moves_with_the_sound_speaks(tmp_path):
    from talkinghead.media.audio import read_sound

    path = write(tmp_path / "a.mp4", 2)
    waveform, rate = read_sound(path)
    landmarks = [draw_sequence(2, talk(50, seed), size=SIZE)[1] for seed in (5, 2)]
    parts = [Part(0, Motion(points, np.ones(50, np.float32), FPS), 0.0) for points in landmarks]
    later = Part(50, parts[0].motion, 0.0)
    takes = [Take(waveform, rate, part.motion) for part in (*parts, later)]
    assert speaking([*parts, later], takes) == [1, 2]


def test_folders_say_split_and_speaker():
    assert (by_folder("val/anna/1.mp4").speaker, by_folder("val/anna/1.mp4").split) == ("anna", "val")
    assert (by_folder("anna/1.mp4").speaker, by_folder("anna/1.mp4").split) == ("anna", None)
    assert (by_folder("train.mp4").speaker, by_folder("train.mp4").split) == ("train", None)


@pytest.mark.parametrize(
    ("names", "held_out"),
    [
        (["anna/1", "anna/2", "anna/3"], {"anna/3"}),
        (["anna/1"], set()),
        (["anna/1", "ben/1"], {"ben/1"}),
        ([f"p{i:02d}/1" for i in range(16)], {"p07/1", "p15/1"}),
    ],
)
def test_without_splits_some_are_held_out(tmp_path, names, held_out):
    for name in names:
        path = tmp_path / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found = find_talking_videos(tmp_path, tracker(1))
    assert {one.name for one in found.recordings if one.split == "val"} == held_out


def test_a_listing_says_who_talks_where(tmp_path):
    for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4"):
        (tmp_path / name).write_bytes(b"")
    rows = ["path,person,split,talking,audio", "a.mp4,anna,valid,y,1", "b.mp4,ben,,n,1", "c.mp4,cleo,,y,0"]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    (one,) = find_talking_videos(tmp_path, tracker(1), listing=tmp_path / "list.csv").recordings
    assert (one.name, one.speaker, one.split) == ("a", "anna", "val")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,y\n1,2", "columns path and person"),
        ("", "it has none"),
        ("path,person,split\na.mp4,anna,exam", "'exam'"),
        ("path,person\nother.mp4,anna", "other.mp4 is not in"),
        ("path,person,delay\na.mp4,anna,late", "the delay 'late'"),
    ],
)
def test_bad_listings_are_said_in_a_sentence(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        find_talking_videos(tmp_path, tracker(1), listing=tmp_path / "list.csv")


def test_a_listing_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "list.csv").write_bytes(b"path,person\n\xff\xfe\xff")
    with pytest.raises(UserError, match="cannot be read"):
        listed(tmp_path / "list.csv")


def test_a_folder_without_videos_is_refused(tmp_path):
    with pytest.raises(UserError, match="no video"):
        find_talking_videos(tmp_path, tracker(1))


def test_videos_without_sound_or_face_are_refused(tmp_path):
    with pytest.raises(UserError, match="no sound"):
        tracker(1)(write(tmp_path / "a.mp4", frames=5, sound=False), "anna")
    with pytest.raises(UserError, match="no face is seen well for 1 s"):
        tracker(1)(write(tmp_path / "b.mp4", frames=15), "anna")
    path = tmp_path / "c.mp4"
    write_clip(path, 1, size=SIZE, poses=[Pose()] * 30)
    with pytest.raises(UserError, match="silent"):
        tracker(1)(path, "anna")
