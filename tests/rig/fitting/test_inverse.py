from dataclasses import replace

import numpy as np
import pytest

from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.fitting.inverse import BLINKS, closed_eyes, weights_of_vertices
from talkinghead.rig.rig import Rig


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


def without_names(*, but: str = "") -> Rig:
    """The default rig's expressions, those that begin so, in FLAME's way: nameless, in a mixture."""
    rig = default_rig()
    kept = [k for k, name in enumerate(RIG_NAMES) if name.startswith(but)]
    mixture = np.eye(len(kept)) + 0.2 * np.random.default_rng(0).normal(size=(len(kept), len(kept)))
    offsets = np.einsum("jk,kvi->jvi", mixture, rig.expressions[kept]).astype(np.float32)
    both = np.concatenate([offsets, -offsets])
    return replace(rig, expressions=both, expression_names=tuple(f"flame{k}" for k in range(len(both))))


def test_blinks_are_used_where_there_are_any():
    weights = closed_eyes(default_rig())
    assert {RIG_NAMES[k] for k in np.flatnonzero(weights)} == set(BLINKS) and weights.max() == 1


def test_eyes_of_a_rig_without_blinks_are_shut_and_the_mouth_is_left_alone():
    rig = without_names()
    shut = rig.vertices(closed_eyes(rig)[None])
    rest = rig.neutral[None]
    assert rig.eye_opening(shut)[0] < 0.3 * rig.eye_opening(rest)[0]
    assert abs(rig.mouth_opening(shut)[0] - rig.mouth_opening(rest)[0]) < 1e-3
    assert np.abs(rig.landmarks_3d(shut) - rig.landmarks_3d(rest))[0, 48:].max() < 2e-3


def test_a_rig_whose_lids_do_not_move_cannot_blink():
    assert not closed_eyes(without_names(but="jaw")).any()
