"""The neural detectors: MTCNN's boxes, FAN's landmarks through a network that stands in for it."""

import builtins
from urllib.error import URLError

import numpy as np
import pytest
import torch

from talkinghead.errors import UserError
from talkinghead.face.detection import neural as detect_neural
from talkinghead.face.detection.choice import make_detector
from talkinghead.face.detection.detector import box_around
from talkinghead.face.detection.neural import FanDetector, MtcnnDetector, decode_heatmaps
from talkinghead.face.track import overlap
from talkinghead.testing.synthetic import draw_person

SIZE = 200


@pytest.fixture(scope="module")
def mtcnn() -> MtcnnDetector:
    return MtcnnDetector()


class BrightestPoint(torch.nn.Module):
    """Every heatmap is the picture's brightness, made small."""

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        small = torch.nn.functional.avg_pool2d(pictures.mean(1, keepdim=True), 4)
        return [small.expand(-1, 68, -1, -1)]


def test_mtcnn_draws_the_box_that_dlib_would_draw(mtcnn, shared):
    from talkinghead.face.detection.dlib import DlibDetector
    from talkinghead.media.video import read_frames

    _, frame = next(read_frames(shared / "data/clips/val/id235_dpe/00.mp4"))
    ours, theirs = mtcnn.detect(frame)[0].box, DlibDetector().detect(frame)[0].box
    assert overlap(ours, theirs) > 0.6


def test_mtcnn_takes_empty_grey_and_tiny_pictures(mtcnn):
    assert mtcnn.detect(np.full((120, 160, 3), 128, np.uint8)) == []
    assert mtcnn.detect(np.full((120, 160), 128, np.uint8)) == []
    assert mtcnn.detect(np.full((8, 8, 3), 128, np.uint8)) == []


def test_mtcnn_fits_with_dlib(mtcnn):
    frame, landmarks = draw_person(1, size=SIZE)
    pixels = (landmarks * SIZE - 0.5).astype(np.float32)
    found = mtcnn.landmarks(frame, box_around(pixels)[0])
    assert np.linalg.norm(found - pixels, axis=-1).mean() < 8


def test_fan_brings_points_back_to_the_picture():
    frame = np.zeros((SIZE, SIZE, 3), np.uint8)
    frame[78:83, 118:123] = 255
    detector = FanDetector(network=BrightestPoint())
    landmarks, confidence = detector.fit([frame, frame], [(60.0, 40.0, 160.0, 140.0)] * 2, [0.0, 0.3])
    assert landmarks.shape == (2, 68, 2)
    assert np.abs(landmarks - [120, 80]).max() < 2
    assert (confidence > 0.5).all()
    assert detector.landmarks(frame, (60.0, 40.0, 160.0, 140.0)).shape == (68, 2)


def test_fan_takes_no_frames_and_grey_frames():
    detector = FanDetector(network=BrightestPoint())
    landmarks, confidence = detector.fit([], [], [])
    assert landmarks.shape == (0, 68, 2)
    assert confidence.shape == (0,)
    dark, unsure = detector.fit([np.zeros((90, 90), np.uint8)], [(10.0, 10.0, 80.0, 80.0)], [0.0])
    assert np.isfinite(dark).all()
    assert unsure[0] < 0.1


def test_heatmaps_give_their_peaks_to_a_quarter_of_a_pixel():
    heatmaps = torch.zeros(1, 68, 64, 64)
    heatmaps[0, :, 20, 30], heatmaps[0, :, 20, 31], heatmaps[0, :, 19, 30] = 0.9, 0.5, 0.4
    points, peaks = decode_heatmaps(heatmaps)
    assert points[0, 0].tolist() == [30.25, 19.75]
    assert peaks[0] == pytest.approx(0.9)


def test_a_batch_gives_what_single_frames_give():
    frames = [draw_person(seed, size=SIZE)[0] for seed in range(3)]
    boxes = [(50.0, 50.0, 150.0, 150.0), (60.0, 40.0, 150.0, 130.0), (40.0, 40.0, 160.0, 160.0)]
    detector = FanDetector(network=BrightestPoint())
    together, _ = detector.fit(frames, boxes, [0.0, 0.1, 0.2])
    for i, roll in enumerate([0.0, 0.1, 0.2]):
        assert np.allclose(detector.fit([frames[i]], [boxes[i]], [roll])[0][0], together[i], atol=1e-4)


def test_weights_that_cannot_be_had_are_said_plainly(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("face_alignment.utils.get_dir", lambda: str(tmp_path))

    def offline(*_args, **_kwargs):
        raise URLError("offline")

    monkeypatch.setattr("face_alignment.utils.download_url_to_file", offline)
    assert not detect_neural.fan_weights_present()
    with pytest.raises(UserError, match="2DFAN4.*could not be downloaded"):
        make_detector("face-alignment")
    assert type(make_detector("auto", "meta")).__name__ == "DlibDetector"


@pytest.mark.parametrize(
    ("package", "make", "message"),
    [
        ("facenet_pytorch", MtcnnDetector, "pip install 'facenet-pytorch<2.6'"),
        ("face_alignment", detect_neural._load_fan, "pip install face-alignment"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, package, make, message):
    plain_import = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return plain_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match=message):
        make()
