import cv2
import numpy as np
import pytest

from talkinghead.face.landmarks import MIRROR
from talkinghead.portrait.data.augment import NO_AUGMENTATION, AugmentConfig, EpisodeAugmentation

SIZE = 128
STRONG = AugmentConfig(mirror=0.5, shape=1.0, colour=0.0, landmark_noise=0)


def dotted(landmarks: np.ndarray) -> np.ndarray:
    """A black frame with a soft white dot at each landmark."""
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    for point in landmarks:
        cv2.circle(frame, tuple(np.round((point * SIZE - 0.5) * 16).astype(int)), 3 * 16, (255, 255, 255), -1, 16, 4)
    return frame


def brightest(frame: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Centre of the dot near a point, as a fraction of the side."""
    yy, xx = np.mgrid[:SIZE, :SIZE]
    window = np.hypot(xx - (near[0] * SIZE - 0.5), yy - (near[1] * SIZE - 0.5)) < 5
    mass = frame[..., 0].astype(float) * window
    return np.array([(mass * xx).sum(), (mass * yy).sum()]) / mass.sum() / SIZE + 0.5 / SIZE


def spread_landmarks() -> np.ndarray:
    grid = np.stack(np.meshgrid(np.linspace(0.2, 0.8, 9), np.linspace(0.2, 0.8, 8)), -1).reshape(-1, 2)
    return grid[:68].astype(np.float32)


@pytest.mark.parametrize("seed", range(6))
def test_landmarks_move_with_the_picture(seed):
    landmarks = spread_landmarks()
    change = EpisodeAugmentation(STRONG, SIZE, np.random.default_rng(seed))
    frame = change.frames(dotted(landmarks)[None])[0]
    moved = change.landmarks(landmarks[None])[0]
    if change.mirror:
        moved = moved[np.argsort(MIRROR)]
    error = [np.linalg.norm(brightest(frame, point) - point) for point in moved]
    assert max(error) * SIZE < 0.75
    assert np.abs(moved - landmarks).max() * SIZE > 1


@pytest.mark.parametrize("seed", range(3))
def test_landmarks_follow_a_warp_that_one_step_does_not_undo(seed):
    """The picture says by its colours where each pixel comes from; one step alone is two pixels beside it."""
    strong = AugmentConfig(mirror=0, shape=1.0, warp=0.04, colour=0.0)
    landmarks = spread_landmarks()
    change = EpisodeAugmentation(strong, SIZE, np.random.default_rng(seed))
    across, down = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    map_of_origins = np.stack([across, down, 0 * across], -1).astype(np.uint8)
    moved = change.landmarks(landmarks[None])[0] * SIZE - 0.5
    found = cv2.remap(change.frames(map_of_origins[None])[0], moved[:, None], None, cv2.INTER_LINEAR)[:, 0, :2]
    inside = ((moved > 2) & (moved < SIZE - 3)).all(1)
    assert inside.sum() > 50
    assert np.abs(found - (landmarks * SIZE - 0.5))[inside].max() < 1.1


def test_every_frame_of_an_episode_gets_the_same_change():
    rng = np.random.default_rng(0)
    change = EpisodeAugmentation(AugmentConfig(shape=1.0, colour=0.3), SIZE, rng)
    frame = rng.integers(0, 255, (SIZE, SIZE, 3), np.uint8)
    one, other = change.frames(np.stack([frame, frame]))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, frame)


def test_no_augmentation_changes_nothing():
    rng = np.random.default_rng(0)
    change = EpisodeAugmentation(NO_AUGMENTATION, SIZE, rng)
    frames = rng.integers(0, 255, (2, SIZE, SIZE, 3), np.uint8)
    landmarks = rng.random((2, 68, 2), np.float32)
    assert np.array_equal(change.frames(frames), frames)
    assert np.array_equal(change.landmarks(landmarks), landmarks)


def test_mirrored_landmarks_keep_their_meaning():
    change = EpisodeAugmentation(AugmentConfig(mirror=1.0, shape=0.0, colour=0.0), SIZE, np.random.default_rng(0))
    landmarks = np.random.default_rng(1).random((1, 68, 2), np.float32)
    mirrored = change.landmarks(landmarks)
    assert mirrored[0, 36] == pytest.approx([1 - landmarks[0, 45, 0], landmarks[0, 45, 1]])
    assert mirrored[0, 8] == pytest.approx([1 - landmarks[0, 8, 0], landmarks[0, 8, 1]])


def test_pictures_of_many_pixels_are_changed_too():
    change = EpisodeAugmentation(AugmentConfig(shape=1), 256, np.random.default_rng(0))
    assert change.frames(np.zeros((1, 256, 256, 3), np.uint8)).shape == (1, 256, 256, 3)
