"""From records to numbers: who counts how much, the far third, movement."""

from functools import cache

import numpy as np
import pytest

from talkinghead.portrait.evaluation.report.aggregate import (
    cross_driving,
    farthest,
    goodness,
    movement,
    row,
    select,
    turned,
)
from talkinghead.portrait.evaluation.report.records import Record
from talkinghead.testing.synthetic import draw_sequence, random_motion

NAMES = ["ssim", "landmark_error", "csim_dlib_centred", "perceptual_dlib", "sharp_face", "sharp_mouth"]


@cache
def talking(frames: int) -> np.ndarray:
    return draw_sequence(1, random_motion(frames, seed=1), size=16)[1]


def make_record(person: str, *, ssim: float, video: str = "00.mp4", shots: int = 8, frames: int = 6, **more) -> Record:
    rng = np.random.default_rng(0)
    wanted = talking(frames).copy()
    values = {"wanted": wanted, "distance": np.arange(frames, dtype=np.float32), "turn": np.arange(frames) * 6.0}
    for method in ("ft", "copy", "truth"):
        values |= {f"{method}/{name}": np.full(frames, ssim, np.float32) for name in NAMES}
        values["truth/landmark_error"] = np.zeros(frames, np.float32)
        values |= {
            f"{method}/embedding": rng.normal(size=(frames, 4)),
            f"{method}/landmarks": wanted.copy(),
            f"{method}/csim_sources": np.full(frames, ssim, np.float32),
        }
    return Record(person, f"{person}/{video}", shots, shots, values | more)


def test_people_count_alike_however_many_videos_they_have():
    records = [
        make_record("anna", ssim=0.2),
        make_record("anna", ssim=0.4, video="01.mp4"),
        make_record("ben", ssim=0.9),
    ]
    assert row(records, "ft", NAMES)["ssim"] == pytest.approx((0.3 + 0.9) / 2)


def test_missing_faces_are_counted_and_left_out_of_the_error():
    record = make_record("anna", ssim=0.5)
    record["ft/landmark_error"][:] = [0.1, np.nan, 0.3, np.nan, np.nan, 0.2]
    measured = row([record], "ft", NAMES)
    assert measured["missed"] == pytest.approx(0.5)
    assert measured["landmark_error"] == pytest.approx(0.2)


def test_frames_whose_landmarks_the_truth_does_not_confirm_judge_nothing():
    record = make_record("anna", ssim=0.5)
    record["truth/landmark_error"][:] = [0, 0, 0.5, np.nan, 0, 0]
    record["ft/landmark_error"][:] = [0.1, 0.1, 9, 9, np.nan, 0.1]
    record["ft/landmarks"][2:4] = 7
    measured = row([record], "ft", NAMES)
    assert measured["landmark_error"] == pytest.approx(0.1)
    assert measured["missed"] == pytest.approx(0.25)
    assert measured["ssim"] == pytest.approx(0.5)
    assert movement([record], "ft") == pytest.approx({"mouth": 1, "eyes": 1, "jitter": np.nan}, nan_ok=True)


def test_the_far_third_looks_at_the_farthest_targets_alone():
    record = make_record("anna", ssim=0.5)
    record["ft/ssim"][:] = [0, 0, 0, 0, 0.6, 0.8]
    assert row([record], "ft", NAMES, where=farthest)["ssim"] == pytest.approx(0.7)


def test_the_true_frames_have_no_distance_to_themselves():
    records = [make_record("anna", ssim=0.5), make_record("ben", ssim=0.5)]
    assert row(records, "truth", NAMES)["frechet_dlib"] == pytest.approx(0, abs=1e-9)
    assert "fid" not in row(records, "truth", NAMES)
    assert "frechet_dlib" not in row(records, "truth", NAMES, sets=False)


def test_fid_is_there_when_inception_has_looked():
    rng = np.random.default_rng(1)
    features = {f"{method}/inception": rng.normal(size=(6, 4)) for method in ("ft", "copy", "truth")}
    assert row([make_record("anna", ssim=0.5, **features)], "ft", NAMES)["fid"] > 0


def test_movement_is_one_when_the_result_moves_as_it_should():
    record = make_record("anna", ssim=0.5, frames=12)
    assert movement([record], "ft") == pytest.approx({"mouth": 1, "eyes": 1, "jitter": np.nan}, nan_ok=True)
    record["copy/landmarks"][:] = record["wanted"][:1]
    assert np.isnan(movement([record], "copy")["mouth"])


def test_cross_driving_compares_likeness_and_shake():
    crossed = {
        "cross/csim_sources": np.full(9, 0.6, np.float32),
        "cross/acceleration": np.array([0.03, 0.02]),
        "cross/driving": make_record("ben", ssim=0, frames=9)["wanted"],
        "cross/landmarks": make_record("ben", ssim=0, frames=9)["wanted"],
    }
    measured = cross_driving([make_record("anna", ssim=0.7, **crossed), make_record("ben", ssim=0.1)], "ft")
    assert measured["csim_drop"] == pytest.approx(0.1)
    assert measured["acceleration_ratio"] == pytest.approx(1.5)
    assert measured["mouth"] == pytest.approx(1)
    assert cross_driving([make_record("ben", ssim=0.1)], "ft") == {}


def test_records_of_one_number_of_photos_are_selected():
    records = [make_record("anna", ssim=0.1, shots=shots) for shots in (1, 8)]
    assert select(records, 8) == [records[1]]


def test_a_range_of_turns_counts_its_own_frames_alone():
    record = make_record("anna", ssim=0.5)  # turned by 0, 6, 12, 18, 24, 30 degrees
    record["ft/ssim"][:] = [0.1, 0.3, 0.5, 0.7, 0.8, 1.0]
    means = [
        row([record], "ft", NAMES, where=turned(*span), sets=False)["ssim"] for span in ((0, 10), (10, 20), (20, 45))
    ]
    assert means == pytest.approx([0.2, 0.6, 0.9])
    assert np.isnan(row([record], "ft", NAMES, where=turned(60, 90), sets=False)["ssim"])


def test_more_goodness_is_better_whichever_way_a_measure_points():
    assert goodness("ssim", np.array([0.2])) == pytest.approx(0.2)
    assert goodness("l1", np.array([0.2])) == pytest.approx(-0.2)
    assert goodness("sharp_face", np.array([0.8, 1.2])) == pytest.approx([-0.2, -0.2])


def test_jitter_is_the_results_acceleration_over_the_truths():
    shakes = [{"ft/acceleration": np.array(pair)} for pair in ([0.03, 0.01], [0.01, 0.01], [np.nan, 0.5])]
    records = [make_record("anna", ssim=0.5, **shake) for shake in shakes]
    assert movement(records, "ft")["jitter"] == pytest.approx(2)
