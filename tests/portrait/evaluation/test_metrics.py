"""Formulas against known values and against scikit-image."""

import cv2
import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from talkinghead.face.landmarks import OUTER_LIPS
from talkinghead.portrait.evaluation import metrics
from talkinghead.portrait.evaluation.metrics import region, sharpness
from talkinghead.testing.synthetic import drawn_track


@pytest.fixture
def frames() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 3, 40, 48, generator=generator) * 2 - 1
    return (truth + 0.3 * torch.randn(truth.shape, generator=generator)).clamp(-1, 1), truth


@pytest.fixture
def landmarks() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 0.8, (12, 68, 2)).astype(np.float32)


def test_equal_frames_have_ssim_one_no_l1_and_the_highest_psnr(frames):
    _, truth = frames
    assert metrics.ssim(truth, truth) == pytest.approx(1, abs=1e-5)
    assert metrics.l1(truth, truth).max() == 0
    assert metrics.psnr(truth, truth) == pytest.approx(metrics.MAX_PSNR, abs=1e-3)


def test_ssim_agrees_with_scikit_image(frames):
    result, truth = frames
    ours = metrics.ssim(result, truth)
    for index in range(2):
        theirs = structural_similarity(
            result[index].numpy(),
            truth[index].numpy(),
            channel_axis=0,
            data_range=2.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert float(ours[index]) == pytest.approx(theirs, abs=1e-5)


def test_ssim_does_not_depend_on_the_scale_when_the_range_is_told(frames):
    result, truth = frames
    assert metrics.ssim(result / 2 + 0.5, truth / 2 + 0.5, data_range=1.0).shape == (2,)
    flat = torch.zeros(1, 3, 16, 16)
    assert metrics.ssim(flat, flat + 1) < metrics.ssim(flat, flat + 1, data_range=20.0)


def test_ssim_refuses_frames_smaller_than_its_window():
    tiny = torch.zeros(1, 3, 8, 8)
    with pytest.raises(ValueError, match="at least 11 px, not 8x8"):
        metrics.ssim(tiny, tiny)


def test_ssim_of_frames_as_small_as_its_window_is_one_window():
    bright, dark = torch.full((1, 3, 11, 11), 0.5), torch.full((1, 3, 11, 11), 0.25)
    c1 = 0.02**2
    wanted = (2 * 0.5 * 0.25 + c1) / (0.5**2 + 0.25**2 + c1)  # flat frames differ in luminance alone
    assert float(metrics.ssim(bright, dark)[0]) == pytest.approx(wanted, abs=1e-4)


def test_psnr_agrees_with_scikit_image(frames):
    result, truth = frames
    theirs = peak_signal_noise_ratio(truth[0].numpy(), result[0].numpy(), data_range=2.0)
    assert float(metrics.psnr(result, truth)[0]) == pytest.approx(theirs, abs=1e-4)


def test_l1_is_a_fraction_of_the_range():
    black = -torch.ones(1, 3, 16, 16)
    assert float(metrics.l1(black, -black)) == pytest.approx(1)


def test_feature_distance_ignores_the_strength_of_features_but_not_their_direction():
    features = [torch.rand(2, 4, 5, 5), torch.rand(2, 8, 3, 3)]
    assert metrics.feature_distance(features, [3 * one for one in features]).max() < 1e-6
    assert metrics.feature_distance(features, [-one for one in features]) == pytest.approx(4, abs=1e-5)
    east, north = torch.zeros(1, 4, 5, 5), torch.zeros(1, 4, 5, 5)
    east[:, 0], north[:, 1] = 2.0, 3.0
    assert metrics.feature_distance([east, east], [north, east]) == pytest.approx(1)  # 2 in one layer, 0 in the other


def test_frechet_distance_of_shifted_sets_is_the_squared_shift():
    rows = np.random.default_rng(0).normal(size=(200, 6))
    assert metrics.frechet_distance(rows, rows) == pytest.approx(0, abs=1e-8)
    assert metrics.frechet_distance(rows, rows + 2) == pytest.approx(4 * 6, rel=1e-6)


def test_frechet_distance_of_scaled_sets_compares_their_deviations():
    rows = np.random.default_rng(0).normal(size=(300, 4))
    rows -= rows.mean(0)
    trace = np.trace(np.cov(rows, rowvar=False))
    assert metrics.frechet_distance(rows, 3 * rows) == pytest.approx(4 * trace, rel=1e-6)


def test_frechet_distance_of_a_single_row_is_unknown():
    assert np.isnan(metrics.frechet_distance(np.zeros((1, 4)), np.zeros((9, 4))))


def test_landmark_error_is_a_share_of_the_distance_between_the_eyes(landmarks):
    assert metrics.landmark_error(landmarks, landmarks).max() == 0
    wanted = landmarks.copy()
    wanted[:, 36], wanted[:, 45] = (0.3, 0.5), (0.7, 0.5)
    found = wanted + np.array([0.0, 0.04], np.float32)
    assert metrics.landmark_error(found, wanted) == pytest.approx(0.1, abs=1e-5)
    found[3] = np.nan
    assert np.isnan(metrics.landmark_error(found, wanted)).tolist() == [i == 3 for i in range(12)]


def test_movement_correlation_sees_movement_and_not_the_resting_state():
    t = np.linspace(0, 6, 40)
    driving = [np.sin(t), np.cos(t)]
    assert metrics.movement_correlation(driving, [0.2 * np.sin(t) + 5, 0.2 * np.cos(t) - 3]) == pytest.approx(1)
    assert metrics.movement_correlation(driving, [-np.sin(t), -np.cos(t)]) == pytest.approx(-1)


def test_two_frames_are_a_movement_and_one_is_none():
    assert metrics.movement_correlation([np.array([0.0, 1])], [np.array([3.0, 5])]) == pytest.approx(1)
    assert np.isnan(metrics.movement_correlation([np.array([0.0])], [np.array([3.0])]))


def test_as_many_results_as_truths_are_asked_for():
    clip = np.arange(3.0)
    with pytest.raises(ValueError, match="zip"):
        metrics.movement_correlation([clip], [clip, clip])
    maps = torch.rand(1, 2, 3, 3)
    with pytest.raises(ValueError, match="zip"):
        metrics.feature_distance([maps], [maps, maps])


def test_movement_correlation_leaves_missing_frames_out_and_is_unknown_where_nothing_moves():
    t = np.linspace(0, 6, 40)
    broken = np.sin(t)
    broken[5:9] = np.nan
    assert metrics.movement_correlation([np.sin(t)], [broken]) == pytest.approx(1)
    assert np.isnan(metrics.movement_correlation([np.sin(t)], [np.ones(40)]))
    assert np.isnan(metrics.movement_correlation([np.sin(t)], [np.full(40, np.nan)]))


def test_acceleration_is_zero_for_even_movement_and_grows_with_shake(landmarks):
    still = np.repeat(landmarks[:1], 12, 0)
    even = still + np.linspace(0, 0.3, 12, dtype=np.float32)[:, None, None]
    assert metrics.acceleration(even) == pytest.approx(0, abs=1e-5)
    shake = np.random.default_rng(1).normal(0, 0.01, still.shape).astype(np.float32)
    assert metrics.acceleration(still + 2 * shake) == pytest.approx(2 * metrics.acceleration(still + shake), rel=0.2)


def test_acceleration_is_the_second_difference_over_the_distance_between_the_eyes(landmarks):
    moving = np.repeat(landmarks[:1], 5, 0)
    moving[:, 36], moving[:, 45] = (0.3, 0.5), (0.7, 0.5)
    moving += (0.01 * np.arange(5, dtype=np.float32) ** 2)[:, None, None] * np.float32([0.6, 0.8])
    assert metrics.acceleration(moving) == pytest.approx(0.02 / 0.4, rel=1e-3)


def test_acceleration_skips_missing_frames(landmarks):
    still = np.repeat(landmarks[:1], 12, 0)
    still[6] = np.nan
    assert metrics.acceleration(still) == pytest.approx(0, abs=1e-5)
    assert np.isnan(metrics.acceleration(np.full((12, 68, 2), np.nan, np.float32)))
    assert np.isnan(metrics.acceleration(still[:2]))


def test_far_third_takes_the_farthest_targets():
    assert metrics.far_third(np.array([1.0, 9, 2, 8, 3, 7])).tolist() == [False, True, False, True, False, False]
    assert metrics.far_third(np.arange(7.0)).sum() == 3
    assert metrics.far_third(np.zeros(0)).sum() == 0


def test_sharpness_is_that_of_the_truth_and_falls_where_the_result_is_blurred():
    track = drawn_track(0, frames=3, side=128)
    truth = track.frames()
    noisy = np.clip(truth + np.random.default_rng(0).normal(0, 20, truth.shape), 0, 255).astype(np.uint8)
    same = sharpness(noisy, noisy, track.landmarks)
    assert set(same) == {"sharp_face", "sharp_mouth", "sharp_eyes"}
    for values in same.values():
        assert values == pytest.approx(1)
    mouth = np.stack([region(one, (OUTER_LIPS,), 128) for one in track.landmarks])[..., None]
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 3) for frame in noisy])
    measured = sharpness(np.where(mouth, blurred, noisy), noisy, track.landmarks)
    assert (measured["sharp_mouth"] < 0.5).all()
    assert measured["sharp_eyes"] == pytest.approx(1, abs=0.05)
    assert ((measured["sharp_mouth"] < measured["sharp_face"]) & (measured["sharp_face"] < 1)).all()


def test_regions_outside_the_frame_are_unknown():
    frame = np.zeros((1, 32, 32, 3), np.uint8)
    measured = sharpness(frame, frame, np.full((1, 68, 2), 3, np.float32) + np.random.default_rng(0).random((1, 68, 2)))
    assert all(np.isnan(values).all() for values in measured.values())
