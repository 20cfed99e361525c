"""Crops are exact: landmarks, pixels and fractions agree, also at the border."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkinghead.face.crop import LIFT, MARGIN, CropWindow, crop_frame, stable_windows, to_crop, window_for
from talkinghead.testing.synthetic import Pose, draw_person

NUMBERS = st.floats(-500, 500)


def face_at(x: float, y: float, height: float = 100, width: float = 80) -> np.ndarray:
    """68 points that fill a box."""
    across = np.linspace(-0.5, 0.5, 68)
    points = np.stack([across * width, np.sin(across * 40) / 2 * height], 1)
    points[0, 1], points[1, 1] = -height / 2, height / 2
    return (points + [x, y]).astype(np.float32)


@given(NUMBERS, NUMBERS, st.floats(1, 900), st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5))
def test_fractions_are_of_the_side_from_the_windows_corner(x, y, side, points):
    pixels = np.array(points)
    fractions = to_crop(pixels, CropWindow(x, y, side))
    assert np.allclose([x - side / 2, y - side / 2] + fractions * side, pixels, atol=1e-6)


def test_the_centre_is_one_half():
    assert np.allclose(to_crop(np.array([[30.0, 40.0]]), CropWindow(30, 40, 77)), 0.5)


def test_framing_is_as_agreed():
    window = window_for(face_at(200, 150))
    assert window.side == pytest.approx(MARGIN * 100, rel=1e-5)
    assert (window.x, window.y) == pytest.approx((200, 150 - LIFT * 100), abs=1e-3)


def test_a_window_on_the_pixel_grid_copies_the_pixels():
    frame = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    window = CropWindow(10 + 15.5, 5 + 15.5, 32)  # left edge of pixel 10 to right edge of pixel 41
    assert np.array_equal(crop_frame(frame, window, 32), frame[5:37, 10:42])


def test_shrinking_averages():
    frame = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    small = crop_frame(frame, CropWindow(31.5, 31.5, 64), 16)
    means = frame.reshape(16, 4, 16, 4, 3).mean((1, 3))
    assert np.abs(small - means).max() < 2


def test_outside_the_image_its_border_is_repeated():
    frame = np.full((20, 20, 3), 90, np.uint8)
    frame[:, -1] = 200
    crop = crop_frame(frame, CropWindow(19.5, 9.5, 20), 20)
    assert (crop[:, 10:] == 200).all()
    assert (crop_frame(frame, CropWindow(-500, 9.5, 20), 20) == 90).all()


@pytest.mark.parametrize("size", [64, 200, 517])
@pytest.mark.parametrize("centre", [(70.3, 64.8), (8.0, 5.0), (125.0, 60.2)])
def test_a_dot_is_where_its_landmark_says(size, centre):
    """Also with the window half outside, enlarged and shrunk: to a tenth of a pixel of the source."""
    y, x = np.mgrid[:128, :128]
    dot = np.exp(-((x - 70.3) ** 2 + (y - 64.8) ** 2) / 50)
    frame = np.repeat((255 * dot).astype(np.uint8)[..., None], 3, 2)
    window = CropWindow(*centre, 150.0)
    crop = crop_frame(frame, window, size)[..., 0].astype(float)
    rows, columns = np.mgrid[:size, :size]
    found = np.array([(crop * columns).sum(), (crop * rows).sum()]) / crop.sum()
    wanted = to_crop(np.array([[70.3, 64.8]]), window)[0] * size - 0.5
    assert np.abs(found - wanted).max() * 150 / size < 0.1


def test_grey_frames_are_cropped_too():
    assert crop_frame(np.zeros((30, 30), np.uint8), CropWindow(10, 10, 20), 8).shape == (8, 8)


def test_the_window_of_a_still_head_stands_still():
    trembling = np.stack([face_at(200 + 3 * np.sin(i), 150 + 2 * np.cos(i), 100 + i % 3) for i in range(40)])
    windows = stable_windows(trembling)
    assert np.ptp(windows, axis=0).max() == 0


def test_the_window_follows_a_head_that_travels_without_zoom_or_jerk():
    walk = np.stack([face_at(100 + 5 * i + 3 * (-1) ** i, 150) for i in range(60)])
    windows = stable_windows(walk)
    assert np.ptp(windows[:, 2]) == 0
    steps = np.diff(windows[:, 0])
    assert 0 <= steps.min() < steps.max() < 6
    inside = np.stack([to_crop(one, CropWindow(*at)) for one, at in zip(walk, windows.tolist(), strict=True)])
    assert inside.min() > 0
    assert inside.max() < 1


def test_a_head_stands_still_within_a_tenth_of_the_window():
    """One frame of five is elsewhere: 18 of 200 pixels away, the camera stands as for the rest; 24 away, it goes."""

    def centres(away):
        return stable_windows(np.stack([face_at(200 + away * (i == 2), 150) for i in range(5)]), smoothing=0.5)[:, 0]

    assert centres(18) == pytest.approx(200, abs=1e-3)
    assert centres(24)[2] > 210


def test_landmarks_in_one_place_have_a_window_of_a_pixel():
    assert stable_windows(np.full((1, 68, 2), 7.0, np.float32)).tolist() == [[7, 7, 1]]


@pytest.mark.parametrize(
    ("face", "window"),
    [
        ((520, 200, 100), (499.5, 188, 200)),  # moved to the right edge
        ((80, 320, 100), (99.5, 299.5, 200)),  # to the left and the lower one
        ((560, 100, 100), (530, 99.5, 200)),  # by 0.15 of 200 at most
        ((300, 200, 210), (300, 199.5, 400)),  # shrunk from 420 to the height of the picture
        ((300, 230, 300), (300, 199.5, 480)),  # from 600 to 480 at most, and in the middle
    ],
)
def test_windows_of_a_picture_of_600_by_400(face, window):
    x, y, height = face
    found = stable_windows(face_at(x, y, height)[None], frame_size=(400, 600))[0]
    assert found == pytest.approx(window, abs=0.01)


def test_near_the_border_the_window_moves_and_shrinks_a_little():
    def edges(windows):
        return windows[:, :2] - windows[:, 2:] / 2 + 0.5, windows[:, :2] + windows[:, 2:] / 2 + 0.5

    tight = stable_windows(face_at(110, 125, 120)[None], frame_size=(224, 224))
    low, high = edges(tight)
    assert low.min() >= 0
    assert high.max() <= 224
    assert tight[0, 2] == pytest.approx(224)
    centre = stable_windows(face_at(300, 300)[None], frame_size=(600, 600))
    assert np.allclose(centre, stable_windows(face_at(300, 300)[None]))
    lost = stable_windows(face_at(0, 0, 100)[None], frame_size=(600, 600))
    assert np.abs(lost - stable_windows(face_at(0, 0, 100)[None]))[0, :2].max() == pytest.approx(30, abs=0.1)


def test_a_drawn_face_lands_on_its_landmarks():
    frame, landmarks = draw_person(2, Pose(yaw=0.2), size=256)
    pixels = landmarks * 256 - 0.5
    window = window_for(pixels)
    crop = crop_frame(frame, window, 256)
    again, _ = draw_person(2, Pose(yaw=0.2), size=256)
    there = np.round(to_crop(pixels, window) * 256 - 0.5).astype(int)[36:48].mean(0).astype(int)
    here = np.round(pixels)[36:48].mean(0).astype(int)
    assert np.abs(crop[tuple(there[::-1])].astype(int) - again[tuple(here[::-1])]).max() < 40
