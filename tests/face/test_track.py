"""Faces followed through drawn videos: cuts, second persons, losses, and a stand-in detector that counts its work."""

import sys
from collections.abc import Sequence

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.face.detection.detector import Face, box_around
from talkinghead.face.detection.dlib import DlibDetector
from talkinghead.face.landmarks import interocular
from talkinghead.face.track import ROWS, SURE, SceneCuts, follow_face, overlap, track_faces
from talkinghead.testing.synthetic import Pose, draw_person, random_motion

SIZE = 160
EMPTY = np.full((SIZE, SIZE, 3), 100, np.uint8)


@pytest.fixture(scope="module")
def detector() -> DlibDetector:
    return DlibDetector()


def film(seed: int, count: int, *, size: int = SIZE, travel: float = 0.0):
    """Frames of a drawn person who talks, and the landmarks in pixels."""
    drawn = [draw_person(seed, pose, size=size) for pose in random_motion(2 * count, seed=seed, travel=travel)[::2]]
    return [frame for frame, _ in drawn], np.stack([landmarks * size - 0.5 for _, landmarks in drawn])


def timed(frames):
    return [(i / 12.5, frame) for i, frame in enumerate(frames)]


def test_a_face_is_one_track_with_right_landmarks(detector):
    frames, truth = film(1, 30, travel=0.1)
    (track,) = track_faces(timed(frames), detector)
    assert track.frame_index.tolist() == list(range(30))
    assert track.times[10] == pytest.approx(0.8)
    error = np.linalg.norm(track.landmarks_px - truth, axis=-1).mean(1) / interocular(truth)
    assert np.median(error[track.confidence > SURE]) < 0.1
    assert (track.confidence > SURE).mean() > 0.7


def test_a_cut_ends_one_track_and_begins_another(detector):
    first, _ = film(1, 12)
    second = [255 - frame[::-1] // 3 for frame in first[:1]]  # a shot without a face
    third, _ = film(2, 12)
    third = [np.clip(frame.astype(int) // 3, 0, 255).astype(np.uint8) for frame in third]
    tracks = track_faces(timed([*first, *second, *third]), detector)
    assert tracks[0].frame_index[0] == 0
    assert all(len(set(range(12)) & set(t.frame_index.tolist())) in (0, len(t)) for t in tracks)
    assert not any({11, 13} <= set(track.frame_index.tolist()) for track in tracks)


def test_two_people_are_two_tracks(detector):
    left, left_truth = film(1, 14)
    right, right_truth = film(3, 14)
    both = [np.concatenate(pair, 1) for pair in zip(left, right, strict=True)]
    tracks = track_faces(timed(both), detector)
    assert len(tracks) == 2
    for track, truth in zip(tracks, (left_truth, right_truth + [SIZE, 0]), strict=True):
        assert np.abs(track.landmarks_px.mean(1) - truth[track.frame_index].mean(1)).max() < 8


def test_a_face_that_leaves_and_comes_back_is_found_again(detector):
    frames, _ = film(1, 20)
    gone = [*frames[:8], *[EMPTY] * 20, *frames[8:]]
    tracks = track_faces(timed(gone), detector)
    seen = np.concatenate([track.frame_index[track.confidence > SURE] for track in tracks])
    assert set(range(1, 7)) <= set(seen.tolist())
    assert not set(range(8, 28)) & set(seen.tolist())
    assert set(range(29, 40)) <= set(seen.tolist())


def test_long_tracks_are_cut_without_a_gap(detector):
    frames, _ = film(1, 25)
    tracks = track_faces(timed(frames), detector, max_frames=10)
    assert [len(track) for track in tracks] == [10, 10, 5]
    assert np.concatenate([track.frame_index for track in tracks]).tolist() == list(range(25))


def test_nothing_is_found_in_nothing(detector):
    assert track_faces(timed([EMPTY] * 5), detector) == []
    assert track_faces([], detector) == []


def test_follow_face_gives_every_frame(detector):
    frames, _ = film(1, 16)
    track = follow_face(timed([EMPTY, EMPTY, *frames, EMPTY, EMPTY]), detector)
    assert len(track) == 20
    assert (track.confidence[[0, 18, 19]] == 0).all()
    assert np.array_equal(track.landmarks_px[18], track.landmarks_px[17])
    assert np.isfinite(track.landmarks_px).all()
    assert track.landmarks_px[0].any()


def test_follow_face_takes_the_larger_of_two(detector):
    large, truth = film(1, 10)
    small, _ = film(3, 10, size=100)
    wide = [np.pad(frame, ((0, 0), (0, 100), (0, 0)), mode="edge") for frame in large]
    for frame, other in zip(wide, small, strict=True):
        frame[:100, SIZE:] = other
    track = follow_face(timed(wide), detector)
    assert np.abs(track.landmarks_px.mean(1) - truth.mean(1)).max() < 8


def test_follow_face_without_a_face_is_an_error(detector):
    with pytest.raises(UserError, match="holiday.mp4: no face was found in its 3 frames"):
        follow_face(timed([EMPTY] * 3), detector, name="holiday.mp4")


class Counting:
    """Finds one face that moves to the right by `speed` pixels a frame, which its frames say by their brightness."""

    colour = "rgb"

    def __init__(self, batch: int, *, speed: float = 0.0) -> None:
        self.batch, self.speed = batch, speed
        self.searches = 0
        self.batches: list[int] = []
        self._shape = draw_person(1)[1] * 100

    def truth(self, frame: np.ndarray) -> np.ndarray:
        return (self._shape + [20 + self.speed * float(frame.mean()), 30]).astype(np.float32)

    def detect(self, frame: np.ndarray, *, min_face: float = 64) -> list[Face]:
        self.searches += 1
        return [Face(box_around(self.truth(frame))[0], 1.0)]

    def fit(self, frames: Sequence[np.ndarray], boxes, rolls):
        self.batches.append(len(frames))
        wanted = [self.truth(frame) for frame in frames]
        near = [overlap(box, box_around(one)[0]) for box, one in zip(boxes, wanted, strict=True)]
        return np.stack(wanted), np.array(near, np.float32) ** 0.5

    def landmarks(self, frame: np.ndarray, box) -> np.ndarray:
        return self.truth(frame)


def brightening(count: int) -> list[np.ndarray]:
    ramp = np.broadcast_to(np.linspace(0, 200, 300).astype(np.uint8)[:, None], (200, 300, 3))
    return [ramp + np.uint8(i) for i in range(count)]


def test_the_detector_is_asked_only_every_so_often():
    detector = Counting(1)
    (track,) = track_faces(timed(brightening(48)), detector, detect_every=12)
    assert len(track) == 48
    assert detector.searches == 4


def test_a_batching_detector_is_given_batches():
    detector = Counting(8, speed=1.0)
    (track,) = track_faces(timed(brightening(40)), detector, detect_every=8)
    assert len(track) == 40
    assert track.confidence.min() > SURE
    assert detector.batches.count(8) >= 5
    assert len(detector.batches) < 12


def test_tracks_of_batches_equal_tracks_of_single_frames():
    single, batched = (track_faces(timed(brightening(21)), Counting(size, speed=0.5))[0] for size in (1, 8))
    assert np.array_equal(single.landmarks_px, batched.landmarks_px)
    assert np.array_equal(single.frame_index, batched.frame_index)


def test_a_track_longer_than_a_block_is_whole():
    ramp = brightening(200)
    frames = (ramp + ramp[::-1]) * 3
    (track,) = track_faces(timed(frames), Counting(8, speed=0.5), max_frames=10**9)
    assert len(track) == len(frames) > ROWS
    detector = Counting(1, speed=0.5)
    assert np.array_equal(track.landmarks_px, np.stack([detector.truth(frame) for frame in frames]))
    assert np.array_equal(track.frame_index, np.arange(len(frames)))
    assert np.allclose(track.times, np.arange(len(frames)) / 12.5)


def test_a_frame_leaves_no_small_objects_behind():
    """Strewn among pictures that come and go, they kept 100 MB of a ten-minute video's from being used again."""
    held = []

    def film_that_counts():
        for index in range(900):
            if index in (100, 899):
                held.append(sys.getallocatedblocks())
            yield index / 25, still

    still = brightening(1)[0]
    track_faces(film_that_counts(), Counting(1), max_frames=10**9)
    assert held[1] - held[0] < 400


def test_cuts_are_told_from_flashes_and_hands():
    def ramp(seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        return np.kron(random.integers(0, 256, (6, 6)), np.ones((20, 20))).astype(np.uint8)

    scene = ramp(0) // 2
    brighter = np.clip(scene.astype(int) + 40, 0, 255).astype(np.uint8)
    hand = scene.copy()
    hand[40:110, 30:100] = 70
    other = 255 - ramp(5) // 2
    cuts = SceneCuts()
    shown = [scene, scene, brighter, scene, hand, scene, other, other, scene]
    assert [cuts.is_cut(frame) for frame in shown] == [False] * 6 + [True, False, True]


def test_overlap_of_boxes():
    assert overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 2, 2), (2, 0, 4, 2)) == 0


def test_a_turned_head_lowers_the_confidence(detector):
    frames = [draw_person(1, Pose(yaw=yaw), size=SIZE)[0] for yaw in (0.0, 0.2)]
    (track,) = track_faces(timed(frames), detector)
    assert track.confidence[0] > SURE
