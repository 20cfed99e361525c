"""What looks at results: known values, missing faces, and names that promise no more than they hold."""

import numpy as np
import pytest
import torch
from drawn_detector import DrawnDetector

from talkinghead.face.identity import face_centre
from talkinghead.portrait.evaluation import measures as judging
from talkinghead.portrait.evaluation.measures import Judges, to_tensor
from talkinghead.portrait.evaluation.report.aggregate import MEASURES
from talkinghead.portrait.evaluation.rig_distance import AED, APD
from talkinghead.testing.synthetic import draw_sequence, random_motion


@pytest.fixture(scope="module")
def person() -> tuple[np.ndarray, np.ndarray]:
    return draw_sequence(3, random_motion(3, seed=3), size=64)


@pytest.fixture(scope="module")
def judges(person) -> Judges:
    return Judges(DrawnDetector(*person))


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_the_truth_itself_is_perfect(judges, person):
    frames, landmarks = person
    own = judges.embed(frames, landmarks)
    scores = judges.measure(frames, frames, landmarks, true_embedding=own, source_embedding=own[0])
    assert scores["ssim"] == pytest.approx(1, abs=1e-5)
    assert scores["csim_dlib_centred"] == pytest.approx(1, abs=1e-5)
    assert scores["perceptual_dlib"] == pytest.approx(0, abs=1e-6)
    assert scores["landmark_error"] == pytest.approx(0, abs=1e-4)
    assert scores["csim_sources"][0] == pytest.approx(1, abs=1e-5)
    assert set(judges.names) - {AED, APD} <= set(scores)
    assert scores["sharp_face"] == pytest.approx(1)


def test_another_person_is_told_apart(judges, person):
    frames, landmarks = person
    others, other_landmarks = draw_sequence(8, random_motion(3, seed=3), size=64)
    own = judges.embed(frames, landmarks)
    scores = judges.measure(others, frames, landmarks, true_embedding=own, source_embedding=own[0])
    assert scores["csim_dlib_centred"].max() < 0.9
    assert scores["perceptual_dlib"].min() > 0
    assert np.isfinite(other_landmarks).all()


def test_a_frame_without_a_face_has_no_landmarks_and_still_a_score(judges, person):
    frames, landmarks = person
    spoilt = frames.copy()
    spoilt[1] = 0
    own = judges.embed(frames, landmarks)
    scores = judges.measure(spoilt, frames, landmarks, true_embedding=own, source_embedding=own[0])
    assert np.isnan(scores["landmark_error"]).tolist() == [False, True, False]
    assert np.isfinite(scores["csim_dlib_centred"]).all()


def test_a_face_in_the_wrong_place_is_a_missed_one(judges, person):
    frames, landmarks = person
    assert np.isnan(judges.find_landmarks(frames, landmarks + np.float32(0.6))).all()


def test_stand_ins_are_never_called_fid_or_lpips(empty_cache, person):
    stand_ins = Judges(DrawnDetector(*person))
    assert stand_ins.lpips is None
    assert stand_ins.inception is None
    frames, landmarks = person
    own = stand_ins.embed(frames, landmarks)
    scores = stand_ins.measure(frames, frames, landmarks, true_embedding=own, source_embedding=own[0])
    for name in (*scores, *stand_ins.names):
        assert "fid" not in name.lower()
        assert "lpips" not in name.lower()
    for name in (judging.PERCEPTUAL, judging.FRECHET, judging.CSIM):
        assert "dlib" in name
    for name in (judging.PERCEPTUAL, judging.FRECHET):
        assert "stand-in, not" in MEASURES[name][1]


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_lpips_is_measured_where_its_weights_are(empty_cache, person):
    from torchvision.models import alexnet

    torch.manual_seed(0)
    torch.save(alexnet().state_dict(), empty_cache / judging.ALEXNET_WEIGHTS)
    network = judging.load_lpips(torch.device("cpu"))
    frames = to_tensor(person[0])
    assert network is not None
    assert network(frames, frames).tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert network(frames, -frames).min() > 0
    assert len(network(frames[:2], frames[:2])) == 2


def test_inception_needs_package_and_weights(empty_cache, monkeypatch):
    assert judging.load_inception(torch.device("cpu")) is None
    (empty_cache / judging.INCEPTION_WEIGHTS).touch()
    monkeypatch.setattr(judging, "find_spec", lambda name: None)
    assert judging.load_inception(torch.device("cpu")) is None


def test_the_shipped_centre_parts_strangers(person):
    centre = face_centre()
    assert centre.shape == (128,)
    assert centre.norm() == pytest.approx(1.34, abs=0.1)  # embeddings have about this length: raw cosines are near 1
