import numpy as np
import pytest

from talkinghead.face.smooth import OneEuro, one_euro

FPS = 25.0


def still(frames: int = 100, *, noise: float = 0.0015, seed: int = 0) -> np.ndarray:
    points = np.random.default_rng(seed).uniform(0.3, 0.7, (1, 68, 2))
    return (points + np.random.default_rng(seed + 1).normal(0, noise, (frames, 68, 2))).astype(np.float32)


def test_strength_zero_gives_the_input_back():
    landmarks = still()
    assert np.array_equal(one_euro(landmarks, FPS, strength=0), landmarks)


def test_a_still_face_stays_exactly_where_it_is():
    landmarks = np.repeat(still(1), 30, 0)
    assert np.allclose(one_euro(landmarks, FPS), landmarks, atol=1e-7)


def test_jitter_of_a_still_face_shrinks():
    landmarks = still()
    smooth = one_euro(landmarks, FPS)
    assert np.diff(smooth, axis=0).std() < 0.5 * np.diff(landmarks, axis=0).std()


def test_more_strength_is_smoother():
    landmarks = still()
    jitter = [np.diff(one_euro(landmarks, FPS, strength=s), axis=0).std() for s in (0.2, 1.0, 5.0)]
    assert jitter == sorted(jitter, reverse=True)


def test_a_blink_survives():
    landmarks = np.repeat(still(1, noise=0), 40, 0)
    shut = 0.022 * np.array([0, 0.5, 1, 1, 0.5, 0])  # an eyelid, as fast as they close at 25 frames a second
    landmarks[17:23, 37, 1] += shut
    fall = one_euro(landmarks, FPS)[:, 37, 1] - landmarks[0, 37, 1]
    assert fall.max() > 0.85 * 0.022


def test_a_movement_is_not_delayed():
    time = np.arange(100) / FPS
    landmarks = np.zeros((100, 68, 2), np.float32) + 0.5
    landmarks[..., 0] += 0.1 * np.sin(2 * np.pi * 0.8 * time)[:, None]
    smooth = one_euro(landmarks, FPS)
    error = {lag: np.abs(smooth[10 + lag : 90 + lag] - landmarks[10:90]).mean() for lag in (-1, 0, 1)}
    assert min(error, key=error.__getitem__) == 0


def test_every_point_is_filtered_by_itself():
    landmarks = still()
    moved = landmarks.copy()
    moved[:, 5] += np.linspace(0, 0.3, len(moved))[:, None].astype(np.float32)
    others = np.arange(68) != 5
    assert np.array_equal(one_euro(landmarks, FPS)[:, others], one_euro(moved, FPS)[:, others])


def test_one_frame_at_a_time_is_the_forward_filter():
    landmarks = still(5).astype(np.float64)
    live = OneEuro(FPS)
    first, second = live(landmarks[0]), live(landmarks[1])
    assert np.array_equal(first, landmarks[0])
    assert (np.abs(second - first) <= np.abs(landmarks[1] - landmarks[0]) + 1e-12).all()


def test_no_frames_stay_no_frames():
    assert one_euro(np.zeros((0, 68, 2)), FPS).shape == (0, 68, 2)


@pytest.mark.parametrize(("fps", "strength"), [(0.0, 1.0), (-25.0, 1.0), (25.0, -1.0)])
def test_impossible_settings_are_refused(fps: float, strength: float):
    with pytest.raises(ValueError, match="fps is"):
        one_euro(still(3), fps, strength=strength)
