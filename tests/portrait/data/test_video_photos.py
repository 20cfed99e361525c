"""Photos from a video: as different as it has them, framed as its track is."""

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.face.landmarks import mouth_opening
from talkinghead.portrait.data.video_photos import spread_apart, video_photos
from talkinghead.testing.synthetic import Pose, write_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Twelve frames at rest, two with the mouth open, two turned away."""
    path = tmp_path_factory.mktemp("clip") / "anna.mp4"
    poses = [Pose()] * 12 + [Pose(mouth_open=0.9)] * 2 + [Pose(yaw=0.35)] * 2
    write_clip(path, 1, poses=poses, sound=False)
    return path


def test_rare_poses_and_expressions_are_picked(clip):
    photos = video_photos(clip, count=3, size=128)
    assert photos.frames.shape == (3, 128, 128, 3)
    at_rest, open_mouth, turned = photos.landmarks
    assert mouth_opening(open_mouth) > mouth_opening(at_rest) + 0.1
    assert abs(turned[30, 0] - turned[[0, 16], 0].mean()) > 0.03
    assert photos.names[0].startswith("anna.mp4 at 0.")


def test_a_short_video_gives_what_it_has(clip):
    assert len(video_photos(clip, count=100, size=64)) <= 16


def test_no_frames_wanted_is_an_error(clip):
    with pytest.raises(UserError, match=r"0 frames of .* take at least 1"):
        video_photos(clip, count=0, size=64)


def test_a_video_without_a_face_is_an_error(tmp_path):
    from fractions import Fraction

    from talkinghead.media.video import VideoWriter

    with VideoWriter(tmp_path / "wall.mp4", fps=Fraction(25)) as writer:
        for _ in range(3):
            writer.write(np.full((160, 160, 3), 90, np.uint8))
    with pytest.raises(UserError, match=r"wall\.mp4: no face"):
        video_photos(tmp_path / "wall.mp4", count=1, size=64)


def test_the_picks_are_the_extremes_and_keep_to_those_allowed():
    random = np.random.default_rng(0)
    landmarks = random.uniform(0.3, 0.7, (1, 68, 2)) + random.normal(0, 1e-4, (9, 68, 2))
    landmarks[4] += 0.2
    landmarks[7] -= 0.2
    everything = np.arange(9)
    assert set(spread_apart(landmarks, 3, among=everything)) >= {4, 7}
    assert 4 not in spread_apart(landmarks, 3, among=np.delete(everything, 4))
    assert len(spread_apart(landmarks, 50, among=everything)) == 9
