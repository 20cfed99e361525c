"""The layers of a photo: the background without its person, the person's colours without the background."""

import numpy as np
import pytest

from talkinghead.portrait.warping.layers import BEYOND, foreground, plate, push_pull

SIDE = 120


def disk(radius: float, *, soft: float = 1.0) -> np.ndarray:
    """An alpha: 1 in the middle, 0 outside."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return np.clip((radius - np.hypot(x, y)) / soft + 0.5, 0, 1).astype(np.float32)


@pytest.fixture
def photo() -> np.ndarray:
    """A bright person before a dark background with noise."""
    background = np.random.default_rng(0).integers(20, 40, (SIDE, SIDE, 3)).astype(np.float32)
    alpha = disk(30, soft=6)[..., None]
    return np.rint(background * (1 - alpha) + (240, 200, 180) * alpha).astype(np.uint8)


def test_the_plate_is_the_photo_away_from_the_person(photo):
    away = disk(30 + BEYOND * SIDE + 5) == 0
    filled = plate(photo, disk(30, soft=6))
    np.testing.assert_array_equal(filled[away], photo[away])


@pytest.mark.parametrize("grain", [False, True])
def test_the_plate_has_no_trace_of_the_person(photo, grain):
    filled = plate(photo, disk(30, soft=6), grain=grain)
    assert filled.max() < (60 if grain else 40)
    assert filled[50:70, 50:70].mean() == pytest.approx(29.5, abs=2)


def test_grain_is_as_strong_as_the_photos_and_the_same_each_time(photo):
    alpha = disk(30, soft=6)
    grained = plate(photo, alpha)
    assert 3 < grained[45:75, 45:75].std() < 8  # the background's is 5.8
    assert plate(photo, alpha, grain=False)[45:75, 45:75].std() < 1.5
    np.testing.assert_array_equal(grained, plate(photo, alpha))


def test_a_person_who_is_everywhere_leaves_one_colour(photo):
    filled = plate(photo, np.ones((SIDE, SIDE), np.float32))
    assert filled.shape == photo.shape
    assert (filled == filled[0, 0]).all()


def test_a_person_who_leaves_a_corner_is_filled_from_it(photo):
    photo[:4, :4] = (10, 90, 20)
    alpha = np.ones((SIDE, SIDE), np.float32)
    alpha[:4, :4] = 0
    np.testing.assert_allclose(plate(photo, alpha, grain=False)[60, 60], (10, 90, 20), atol=1)


def test_a_head_cut_by_the_photo_leaves_no_streaks_in_the_padding(photo):
    padded = np.concatenate([np.repeat(photo[45:46], 20, 0), photo[45:]])
    alpha = np.concatenate([np.zeros((20, SIDE)), disk(30, soft=6)[45:]]).astype(np.float32)
    for turns in range(4):
        filled = plate(np.ascontiguousarray(np.rot90(padded, turns)), np.ascontiguousarray(np.rot90(alpha, turns)))
        assert filled.max() < 60


def test_the_foreground_is_the_photo_inside(photo):
    inside = disk(24) == 1
    np.testing.assert_array_equal(foreground(photo, disk(30, soft=6))[inside], photo[inside])


def test_the_foregrounds_soft_edge_has_the_persons_colours(photo):
    alpha = disk(30, soft=6)
    edge = (alpha > 0.02) & (alpha < 0.98)
    assert photo[edge].min() < 60
    assert np.abs(foreground(photo, alpha)[edge] - np.array([240.0, 200, 180])).max() < 12


def test_a_foreground_of_nobody_is_the_photo(photo):
    np.testing.assert_array_equal(foreground(photo, np.zeros((SIDE, SIDE), np.float32)), photo)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (33, 50), (64, 64)])
def test_push_pull_keeps_what_is_known_and_fills_the_rest_from_it(shape):
    picture = np.full((*shape, 3), 77, np.uint8)
    known = np.zeros(shape, np.float32)
    known[0, 0] = 1
    np.testing.assert_allclose(push_pull(picture, known), 77, atol=0.01)
