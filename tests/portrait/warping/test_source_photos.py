"""Photos laid over each other: which, with which weights, and never those of two scenes."""

import numpy as np
import pytest
from people import turned_face as turned

from talkinghead.portrait.warping.source_photos import (
    MOST,
    SourcePhotos,
    blend_weights,
    edge_differences,
    face_mask,
    scenes,
)


@pytest.fixture
def photos() -> SourcePhotos:
    """Three noisy pictures of one scene, the head farther to the right in each, and one of another scene."""
    rng = np.random.default_rng(0)
    frames = rng.integers(60, 120, (4, 64, 64, 3), dtype=np.uint8)
    frames[3] += 130
    landmarks = np.stack([turned(0) + np.float32([x, 0]) for x in (0, 0.03, 0.08, 0.01)]).astype(np.float32)
    return SourcePhotos(frames, landmarks)


def test_edges_tell_scenes_apart_and_leave_out_the_middle():
    frames = np.full((3, 64, 64, 3), 100, np.uint8)
    frames[1, 16:, 16:48] = 200
    frames[2, :, :8] = 160
    apart = edge_differences(frames)
    assert apart[0, 1] == 0
    assert apart[0, 2] == pytest.approx(60 * (2 * 2 + 9 * 2) / (2 * 16 + 9 * 6), abs=0.5)
    frames[2, :, :24] = 255
    assert [scene.tolist() for scene in scenes(frames)] == [[0, 1], [0, 1], [2]]


def test_the_nearest_weighs_most_and_all_weigh_one():
    chosen, weights = blend_weights(np.array([0.2, 0.1, 0.15]))
    assert chosen.tolist() == [1, 2, 0]
    assert weights.sum() == pytest.approx(1)
    assert (np.diff(weights) < 0).all()
    chosen, weights = blend_weights(np.array([0.3]))
    assert (chosen.tolist(), weights.tolist()) == ([0], [1.0])
    assert len(blend_weights(np.full(9, 0.1))[0]) == MOST
    assert blend_weights(np.array([0.0, 9.0]))[0].tolist() == [0]


def test_no_weight_jumps_where_a_photo_comes_or_goes():
    at = np.array([0.0, 0.03, 0.05, 0.09, 0.1, 0.14])

    def weights_from(place: float) -> np.ndarray:
        chosen, weights = blend_weights(np.abs(at - place))
        spread = np.zeros(len(at))
        spread[chosen] = weights
        return spread

    path = np.stack([weights_from(place) for place in np.linspace(0, 0.14, 1401)])
    assert (path > 0).any(0).all()
    assert np.abs(np.diff(path, axis=0)).max() < 0.02


def test_one_photo_is_moved_and_of_several_the_faces_are_averaged(photos):
    target = turned(5) + np.float32([0.04, 0])
    one = photos.moved(target[None], among=[np.array([1])])[0]
    assert np.array_equal(one, photos.warps[1].to(target))
    both = photos.moved(target[None], among=[np.array([1, 2])])[0]
    other = photos.warps[2].to(target)
    face = face_mask(target, 64)[..., 0]
    assert np.array_equal(both[face == 0], one[face == 0])  # hair and background are the nearest photo's
    low, high = np.minimum(one, other), np.maximum(one, other)
    assert ((both >= low) & (both <= high)).all()
    assert (both != one)[face == 1].mean() > 0.5
    shown = photos.moved(target[None], background=2)[0]
    assert np.array_equal(shown[face == 0], other[face == 0])


def test_the_mask_is_the_face():
    mask = face_mask(turned(0), 128)[..., 0]
    x, y = (turned(0) * 128).astype(int).T
    assert mask[y[30], x[30]] == 1
    assert (mask[y[17:27], x[17:27]] > 0.7).all()
    assert mask[0].max() == mask[:, 0].max() == 0
    lying = (turned(0) - 0.5) @ np.float32([[0, 1], [-1, 0]]) + 0.5  # a quarter turn
    assert np.abs(face_mask(lying, 128)[..., 0] - np.rot90(mask, -1)).max() < 0.1
    assert face_mask(turned(0) + np.float32(5), 128).max() == 0
    assert np.isfinite(face_mask(np.full((68, 2), 0.5, np.float32), 128)).all()


def test_scenes_are_never_mixed(photos):
    assert [scene.tolist() for scene in photos.scenes] == [[0, 1, 2], [0, 1, 2], [0, 1, 2], [3]]
    near_the_other = photos.landmarks[3][None]
    assert photos.moved(near_the_other).min() > 160
    assert photos.moved(near_the_other, background=0).max() < 160
    assert photos.background(near_the_other) == 3
    assert photos.background(photos.landmarks[:3]) == 1
    assert photos.others(1).tolist() == [0, 2]
    assert photos.others(3).tolist() == [3]


def test_a_clip_does_not_jump(photos):
    for ready, shade in zip(photos.warps, (60, 90, 120, 200), strict=True):
        ready.photo[:] = shade
    path = np.stack([turned(0) + np.float32([x, 0]) for x in np.linspace(0, 0.1, 400)]).astype(np.float32)
    clip = photos.moved(path, background=1).astype(int)
    assert np.abs(np.diff(clip, axis=0)).max() <= 4
    assert (clip[:, 0] == 90).all()
    assert clip[0].min() < 70
    assert clip[-1].max() > 110
