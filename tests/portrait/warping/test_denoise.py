"""Movement without the detector's noise."""

import numpy as np
import pytest
from people import turned_face as turned

from talkinghead.face.alignment import similarity
from talkinghead.face.landmarks import EYELID_PAIRS, INNER_LIP_PAIRS, MIRROR, OUTER_LIP_PAIRS, mirror
from talkinghead.portrait.warping.denoise import denoised, measure_movement_filter, movement_filter


def size(movement: np.ndarray) -> float:
    return float(np.sqrt((movement**2).mean()))


def test_no_movement_and_a_moved_head_are_left_as_they_are():
    face = turned(0)
    assert denoised(face, face) == pytest.approx(face, abs=1e-6)
    spin = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    elsewhere = (1.2 * (face - 0.5) @ spin.T + [0.4, 0.55]).astype(np.float32)
    assert denoised(face, elsewhere) == pytest.approx(elsewhere, abs=1e-5)


def test_noise_goes_and_a_turn_stays():
    face, other = turned(0), turned(12)
    turn = other - similarity(face, other)(face)
    lost = denoised(face, other) - other
    assert size(lost) < 0.35 * size(turn)
    noise = np.random.default_rng(0).normal(0, 0.004, (68, 2)).astype(np.float32)
    left = denoised(face, other + noise) - denoised(face, other)
    free = np.setdiff1d(np.arange(68), np.concatenate([EYELID_PAIRS, INNER_LIP_PAIRS, OUTER_LIP_PAIRS]))
    assert size(left[free]) < 0.6 * size(noise[free])


def test_lids_and_lips_stand_as_far_apart_as_in_the_target():
    face = turned(0)
    upper, lower = np.concatenate([EYELID_PAIRS, INNER_LIP_PAIRS, OUTER_LIP_PAIRS]).T
    blink = face.copy()
    blink[upper[:4]] = blink[lower[:4]]
    blink[lower[4:]] += np.float32([0, 0.05])
    moved = denoised(face, blink)
    assert moved[lower] - moved[upper] == pytest.approx(blink[lower] - blink[upper], abs=1e-6)


def test_it_turns_grows_and_mirrors_with_the_picture():
    face, other = turned(0), turned(9) + np.random.default_rng(1).normal(0, 0.003, (68, 2)).astype(np.float32)
    spin = 0.7 * np.array([[np.cos(0.5), -np.sin(0.5)], [np.sin(0.5), np.cos(0.5)]], np.float32)

    def elsewhere(landmarks: np.ndarray) -> np.ndarray:
        return ((landmarks - 0.5) @ spin.T + 0.45).astype(np.float32)

    assert denoised(elsewhere(face), elsewhere(other)) == pytest.approx(elsewhere(denoised(face, other)), abs=1e-5)
    assert denoised(mirror(face), mirror(other)) == pytest.approx(mirror(denoised(face, other)), abs=1e-4)


def test_landmarks_that_all_fall_together_are_survived():
    face = turned(0)
    assert np.isfinite(denoised(face, np.full_like(face, 0.5))).all()
    assert np.isfinite(denoised(np.full_like(face, 0.5), face)).all()


def test_the_shipped_filter_hardly_enlarges_and_knows_no_side():
    gain = movement_filter()
    assert np.linalg.norm(gain, 2) < 1.2
    assert 0 < np.linalg.eigvals(gain).real.max() <= 1.0001
    order = np.stack([2 * MIRROR, 2 * MIRROR + 1], -1).ravel()
    sign = np.tile([-1, 1], 68)
    assert sign[:, None] * gain[np.ix_(order, order)] * sign == pytest.approx(gain, abs=1e-3)


def test_the_measured_filter_keeps_what_moves_and_drops_what_shakes():
    rng = np.random.default_rng(2)
    face = turned(0).astype(np.float64)
    open_mouth = np.zeros((68, 2))
    open_mouth[[6, 7, 8, 9, 10, 56, 57, 58, 65, 66, 67], 1] = 1
    videos = []
    for _ in range(12):
        strength = 0.04 * np.sin(np.arange(60) / 9 + rng.uniform(0, 6))
        clean = face + strength[:, None, None] * open_mouth
        videos.append((clean + rng.normal(0, 0.002, clean.shape)).astype(np.float32))
    gain = measure_movement_filter(videos)
    centred = open_mouth - open_mouth.mean(0)
    movement = centred.ravel() / np.linalg.norm(centred)
    shake = np.zeros(136)
    shake[2 * 20 : 2 * 25 + 1] = rng.normal(0, 1, 11)  # brows
    assert movement @ gain @ movement > 0.7
    assert np.linalg.norm(gain @ shake) < 0.45 * np.linalg.norm(shake)


def test_videos_without_neighbours_teach_nothing():
    with pytest.raises(ValueError, match="ten frames"):
        measure_movement_filter([np.stack([turned(0)] * 9)])
