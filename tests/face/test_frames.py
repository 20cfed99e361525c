import numpy as np
import pytest

from talkinghead.face.frames import between, correlation, evenly_spread, fill_gaps, from_known

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


def test_some_frames_are_spread_evenly_with_both_ends():
    assert evenly_spread(101, 5).tolist() == [0, 25, 50, 75, 100]
    assert evenly_spread(3, 5).tolist() == [0, 1, 2]
    assert evenly_spread(3, 5, repeat=True).tolist() == [0, 0, 1, 2, 2]
    assert evenly_spread(0, 5).tolist() == []
    assert evenly_spread(0, 2, repeat=True).tolist() == [0, 0]


def test_values_between_frames_lie_on_a_line_and_the_ends_go_on():
    values = np.array([[0, 10], [2, 30], [4, 20]], np.float32)
    assert between(values, np.array([-3, 0.5, 1.25, 9])).tolist() == [[0, 10], [1, 20], [2.5, 27.5], [4, 20]]
    assert (
        between(values, np.array([[0.5], [2]])).shape == (2, 1, 2) and between(values, np.zeros(1)).dtype == np.float32
    )
    assert between(values[:1], np.array([0, 0.7])).tolist() == [[0, 10]] * 2


def test_a_period_goes_on_with_its_first_frame():
    values = np.array([0.0, 1, 2])
    assert np.allclose(between(values, np.array([2.5, 3.5, 7.0, -0.5]), wrap=True), [1, 0.5, 1, 1])


def test_values_known_at_some_times_are_joined_by_lines():
    values = np.array([[[1.0, 5]], [[3, 5]]])
    joined = from_known(values, np.array([1, 3]), np.arange(5))
    assert joined.shape == (5, 1, 2)
    assert joined[:, 0, 0].tolist() == [1, 1, 2, 3, 3] and (joined[..., 1] == 5).all()
    assert from_known(np.array([2.0, 4]), np.array([0, 2]), np.arange(3)).tolist() == [2, 3, 4]


def test_a_late_curve_correlates_at_its_lag():
    noise = np.random.default_rng(0).normal(size=60)
    first, late = noise[5:], noise[:-5]
    assert correlation(first, late, lag=5) == pytest.approx(1) == correlation(late, first, lag=-5)
    assert abs(correlation(first, late)) < 0.5
    assert correlation(first, first[:40]) == pytest.approx(1)
    assert correlation(first, -3 * first + 2) == pytest.approx(-1)


def test_what_is_still_correlates_with_nothing():
    wave, flat = np.sin(np.arange(20)), np.full(20, 0.3)
    assert correlation(wave, flat) == 0 and np.isnan(correlation(flat, wave, still=float("nan")))
