"""The second identity network, where its weights are."""

import numpy as np
import pytest
import torch
from facenet_pytorch import InceptionResnetV1

from talkinghead.portrait.evaluation import second_identity
from talkinghead.portrait.evaluation.second_identity import FACENET_WEIGHTS, csim_second, embed_second, load_facenet
from talkinghead.testing.synthetic import drawn_track


def test_without_weights_there_is_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(second_identity, "get_dir", lambda: str(tmp_path))
    assert load_facenet(torch.device("cpu")) is None


def test_with_weights_the_same_face_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(second_identity, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.manual_seed(0)
    weights = InceptionResnetV1(pretrained=None).state_dict() | {"logits.bias": torch.zeros(8631)}
    torch.save(weights, tmp_path / "checkpoints" / FACENET_WEIGHTS)
    network = load_facenet(torch.device("cpu"))
    assert network is not None and not network.training
    track = drawn_track(0, frames=3, side=64)
    frames = torch.from_numpy(track.frames()).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        embedded = embed_second(network, frames, torch.from_numpy(track.landmarks))
    assert embedded.shape == (3, 512)
    assert csim_second(embedded, embedded).numpy() == pytest.approx(np.ones(3), abs=1e-5)
    assert not torch.equal(embedded[0], embedded[1])
