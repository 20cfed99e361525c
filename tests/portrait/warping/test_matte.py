"""The person's matte: the network against its reference, and what becomes of its map."""

import numpy as np
import pytest
import torch
from jaxtyping import Float32

from talkinghead.portrait.warping.matte import SIDE, guided_filter, matte_network, person_matte
from talkinghead.testing.drawing import draw_person
from talkinghead.testing.drawn_person import Pose

REFERENCE = {
    (226, 31): 0.2295,
    (34, 161): 0.5137,
    (24, 115): 0.1401,
    (176, 159): 0.3415,
    (125, 190): 0.3578,
    (109, 192): 0.7913,
    (26, 146): 0.4527,
    (189, 94): 0.7409,
    (20, 20): 0.0,
    (100, 128): 1.0,
    (128, 30): 0.0,
    (250, 128): 1.0,
}
"""What the original selfie_segmentation.tflite makes of `figure()` in LiteRT, at some pixels (row, column)."""


def figure() -> Float32[np.ndarray, "256 256 3"]:
    """A head, its hair and shoulders as soft ellipses before a seeded gradient; made by arithmetic alone."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    picture = np.random.default_rng(0).random((2, 2, 3))[[0, 0, 1, 1], [0, 1, 0, 1]]
    corners = np.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], -1)
    picture = corners @ picture
    ellipses = [
        (0.5, 1.02, 0.42, 0.3, (0.25, 0.3, 0.45)),
        (0.5, 0.4, 0.25, 0.31, (0.2, 0.13, 0.1)),
        (0.5, 0.47, 0.19, 0.27, (0.85, 0.66, 0.55)),
        (0.42, 0.43, 0.035, 0.018, (0.1, 0.1, 0.15)),
        (0.58, 0.43, 0.035, 0.018, (0.1, 0.1, 0.15)),
        (0.5, 0.62, 0.07, 0.02, (0.7, 0.3, 0.3)),
    ]
    for across, down, width, height, colour in ellipses:
        distance = np.hypot((x - across) / width, (y - down) / height)
        share = np.clip((1 - distance) * 20 + 0.5, 0, 1)[..., None]
        picture = picture * (1 - share) + share * np.array(colour)
    return picture.astype(np.float32)


def at(matte: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The matte at landmarks."""
    height, width = matte.shape
    return matte[(landmarks[:, 1] * height).astype(int), (landmarks[:, 0] * width).astype(int)]


def test_the_network_gives_what_the_original_gives():
    with torch.inference_mode():
        seen = matte_network()(torch.from_numpy(figure()).permute(2, 0, 1)[None])[0, 0].numpy()
    assert {pixel: float(seen[pixel]) for pixel in REFERENCE} == pytest.approx(REFERENCE, abs=1e-3)
    assert seen.mean() == pytest.approx(0.43066, abs=1e-4)


@pytest.mark.parametrize(("seed", "size"), [(0, 128), (2, 256), (5, 512)])
def test_a_drawn_face_is_inside_and_the_upper_corners_are_not(seed, size):
    frame, landmarks = draw_person(seed, Pose(yaw=0.2), size=size)
    matte = person_matte(frame, landmarks)
    assert matte.shape == (size, size)
    assert at(matte, landmarks[17:]).min() > 0.99  # the jaw's points lie on the edge
    corner = size // 12
    assert max(matte[:corner, :corner].max(), matte[:corner, -corner:].max()) == 0
    assert 0.25 < matte.mean() < 0.6


def test_of_two_people_the_one_with_the_landmarks_is_taken():
    frame = np.full((320, 320, 3), (90, 110, 140), np.uint8)
    of_frame = []
    for seed, left in ((1, 0), (7, 192)):
        person, landmarks = draw_person(seed, size=128)
        frame[192:, left : left + 128] = person
        of_frame.append((landmarks * 128 + [left, 192]) / 320)
    for taken, other in (of_frame, of_frame[::-1]):
        matte = person_matte(frame, taken.astype(np.float32))
        assert at(matte, taken[17:]).min() > 0.99
        assert at(matte, other).max() == 0


def test_nobody_is_seen_where_nobody_is_but_a_face_is_believed():
    frame = np.full((64, 64, 3), 90, np.uint8)
    assert person_matte(frame).max() == 0
    _, landmarks = draw_person(0)
    assert at(person_matte(frame, landmarks), landmarks[27:]).min() > 0.9


def test_landmarks_far_outside_do_no_harm():
    frame, landmarks = draw_person(5, size=128)
    np.testing.assert_array_equal(person_matte(frame, landmarks + 50), person_matte(frame))


def test_holes_in_a_person_are_filled():
    frame, landmarks = draw_person(5, size=256)
    whole = person_matte(frame, landmarks)
    x, y = (landmarks[8] * 256).astype(int)
    frame[y + 14 : y + 24, x - 5 : x + 5] = frame[10:20, 10:20]  # a patch of background on the neck
    assert person_matte(frame, landmarks)[y + 12 : y + 26, x - 7 : x + 7].min() > 0.9
    assert whole[y + 12 : y + 26, x - 7 : x + 7].min() > 0.9


def test_the_guided_filter_moves_an_edge_onto_the_pictures():
    frame = np.full((256, 256, 3), (200, 60, 60), np.uint8)
    frame[:, 129:] = (60, 129, 60)  # the two are equally bright: only their colours tell them apart
    coarse = np.zeros((256, 256), np.float32)
    coarse[:, 128:] = 1
    matte = guided_filter(frame, coarse)
    assert matte[:, 128].max() < 0.25
    assert matte[:, 129:].min() > 0.95
