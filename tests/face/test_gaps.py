import numpy as np
import pytest

from talkinghead.face.gaps import fill_gaps

FPS = 10.0


def walk(frames: int) -> np.ndarray:
    """Landmarks that move right, one hundredth a frame."""
    return np.full((frames, 68, 2), 0.2, np.float32) + np.arange(frames, dtype=np.float32)[:, None, None] / 100


def seen(frames: int, *lost: int) -> np.ndarray:
    return ~np.isin(np.arange(frames), lost)


def spoil(landmarks: np.ndarray, known: np.ndarray) -> np.ndarray:
    spoilt = landmarks.copy()
    spoilt[~known] = 99
    return spoilt


@pytest.mark.parametrize("how", ["hold", "fade", "fail"])
def test_a_track_without_gaps_is_left_alone(how):
    assert np.array_equal(fill_gaps(walk(6), seen(6), fps=FPS, how=how), walk(6))


def test_hold_repeats_the_last_face_and_begins_with_the_first():
    known = seen(6, 0, 1, 4)
    filled = fill_gaps(spoil(walk(6), known), known, fps=FPS)
    assert np.array_equal(filled, walk(6)[[2, 2, 2, 3, 3, 5]])


@pytest.mark.parametrize("how", ["hold", "fade"])
def test_seen_frames_are_never_touched(how):
    known = seen(60, 0, *range(10, 14), *range(20, 50), 59)
    filled = fill_gaps(spoil(walk(60), known), known, fps=FPS, how=how)
    assert np.array_equal(filled[known], walk(60)[known])
    assert filled.max() < 1


def test_a_short_gap_fades_from_one_face_to_the_next():
    known = seen(12, *range(4, 8))
    filled = fill_gaps(spoil(walk(12), known), known, fps=FPS, how="fade")[:, 0, 0]
    assert (np.diff(filled) > 0).all()
    assert np.allclose((filled[3] + filled[8]) / 2, (filled[5] + filled[6]) / 2)


def test_a_long_gap_comes_to_rest_and_leaves_again():
    known = seen(61, *range(10, 50))
    landmarks = spoil(walk(61), known)
    landmarks[50:] = walk(11) + 0.5  # far from where it was
    filled = fill_gaps(landmarks, known, fps=FPS, how="fade")
    rest = filled[30]
    assert any(np.array_equal(rest, frame) for frame in landmarks[known])
    assert np.array_equal(filled[20], rest) and np.array_equal(filled[40], rest)
    assert np.abs(np.diff(filled[:, 0, 0])).max() < 0.6 * np.abs(filled[50] - filled[9]).max()


def test_a_face_that_goes_for_good_comes_to_rest():
    known = seen(30, *range(10, 30))
    filled = fill_gaps(spoil(walk(30), known), known, fps=FPS, how="fade")
    assert np.array_equal(filled[20], filled[29])
    assert any(np.array_equal(filled[29], frame) for frame in walk(10))


def test_what_cannot_be_filled_is_refused():
    with pytest.raises(ValueError, match="none of the 3 frames"):
        fill_gaps(walk(3), seen(3, 0, 1, 2), fps=FPS)
    with pytest.raises(ValueError, match="2 of 5 frames show no face, the first is 1"):
        fill_gaps(walk(5), seen(5, 1, 3), fps=FPS, how="fail")
    with pytest.raises((ValueError, TypeError), match="how"):
        fill_gaps(walk(3), seen(3), fps=FPS, how="guess")
