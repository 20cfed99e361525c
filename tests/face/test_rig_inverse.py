import numpy as np
import pytest

from talkinghead.face.rig import default_rig
from talkinghead.face.rig_inverse import weights_of_vertices


def test_the_weights_that_made_the_vertices_are_found():
    rig, random = default_rig(), np.random.default_rng(0)
    true = (random.uniform(0, 0.8, (20, 46)) * (random.random((20, 46)) < 0.15)).astype(np.float32)
    found = weights_of_vertices(rig.vertices(true), rig)
    assert np.abs(rig.vertices(found) - rig.vertices(true)).max() < 5e-4
    assert np.abs(found - true).mean() < 0.02
    assert found.min() >= 0 and found.max() <= 1


def test_a_resting_face_has_no_expression():
    rig = default_rig()
    assert weights_of_vertices(rig.neutral[None], rig).max() < 1e-3


def test_vertices_of_something_else_are_refused():
    with pytest.raises(ValueError, match="4 vertices, rig"):
        weights_of_vertices(np.zeros((1, 4, 3), np.float32), default_rig())
