"""The nearest photo, and a photo warped."""

import cv2
import numpy as np
import pytest

from talkinghead.face.alignment import similarity
from talkinghead.portrait.warping import warp
from talkinghead.portrait.warping.source_photos import nearest_source, source_distances


@pytest.fixture
def face() -> np.ndarray:
    """68 points in a face's rough arrangement: a jaw, brows, nose, eyes and lips."""
    jaw = [(0.5 - 0.25 * np.cos(a), 0.5 + 0.3 * np.sin(a)) for a in np.linspace(0, np.pi, 17)]
    brows = [(x, 0.42) for x in np.linspace(0.3, 0.45, 5)] + [(x, 0.42) for x in np.linspace(0.55, 0.7, 5)]
    nose = [(0.5, y) for y in np.linspace(0.46, 0.58, 4)] + [(x, 0.61) for x in np.linspace(0.45, 0.55, 5)]

    def ring(x: float, y: float, width: float, height: float, count: int) -> list[tuple[float, float]]:
        angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
        return [(x - width * np.cos(a), y - height * np.sin(a)) for a in angles]

    eyes = ring(0.38, 0.48, 0.05, 0.02, 6) + ring(0.62, 0.48, 0.05, 0.02, 6)
    lips = ring(0.5, 0.7, 0.09, 0.04, 12) + ring(0.5, 0.7, 0.06, 0.015, 8)
    return np.array(jaw + brows + nose + eyes + lips, np.float32)


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def moved(photo: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    return warp.Warp(photo, source, denoise=False, sharp=False).to(target)


def test_crossed_lids_close_and_leave_the_rest(face, photo):
    crossed = face.copy()
    crossed[[37, 38, 43, 44], 1] += 0.04
    assert (crossed[[41, 40, 47, 46], 1] < crossed[[37, 38, 43, 44], 1]).all()
    given = crossed.copy()
    closed = warp.uncrossed(crossed)
    assert np.array_equal(crossed, given)
    assert (closed[[41, 40, 47, 46]] - closed[[37, 38, 43, 44]])[:, 1] == pytest.approx(0.01 * 0.34, abs=1e-4)
    lids = [37, 38, 40, 41, 43, 44, 46, 47]
    assert np.array_equal(np.delete(closed, lids, 0), np.delete(crossed, lids, 0))
    assert np.array_equal(warp.uncrossed(face), face)
    white = cv2.fillPoly(np.zeros((256, 256, 3), np.uint8), [np.int32(face[36:42] * 256)], (255, 255, 255))
    assert moved(white, face, crossed).sum() < 0.4 * white.sum()


def test_nearest_source_is_the_one_with_the_same_pose(face):
    sources = np.stack([face + np.float32([0.1, 0]), face * 0.9, face + np.float32([0.005, 0])]).astype(np.float32)
    assert nearest_source(face, sources) == 2
    assert source_distances(face, sources)[2] == pytest.approx(0.005 / 0.34, abs=1e-3)


def test_a_photo_made_ready_once_is_moved_as_often_as_wanted(photo, face):
    ready = warp.Warp(photo, face)
    assert isinstance(ready, warp.Warping)
    first = ready.to(face + np.float32([0.03, 0]))
    ready.to(face + np.float32([0, 0.05]))
    assert np.array_equal(ready.to(face + np.float32([0.03, 0])), first)
    box = slice(20, 50), slice(30, 70)
    assert np.array_equal(ready.to(face + np.float32([0.03, 0]), box=box), first[box])


def test_noise_in_the_target_moves_a_denoised_warp_less(photo, face):
    noisy = (face + np.random.default_rng(1).normal(0, 0.01, face.shape)).astype(np.float32)
    away = [
        np.abs(warp.Warp(photo, face, denoise=denoise).to(noisy).astype(int) - photo).mean()
        for denoise in (False, True)
    ]
    assert 0 < away[1] < away[0]


def test_warp_to_the_same_landmarks_changes_nothing(photo, face):
    assert np.array_equal(moved(photo, face, face), photo)


def test_warp_brings_the_landmarks_to_the_target(face):
    target = similarity(face, face + np.float32(0.04))(face).astype(np.float32)
    side = 128
    photo = np.zeros((side, side, 3), np.uint8)
    x, y = (face[30] * side - 0.5).round().astype(int)
    photo[y - 1 : y + 2, x - 1 : x + 2] = 255
    warped = moved(photo, face, target)
    rows, columns = np.nonzero(warped[..., 0] > 128)
    assert np.array([columns.mean() + 0.5, rows.mean() + 0.5]) / side == pytest.approx(target[30], abs=0.012)


def test_warp_leaves_no_cracks(face):
    white = np.full((96, 96, 3), 255, np.uint8)
    rng = np.random.default_rng(3)
    target = face + rng.normal(0, 0.02, face.shape).astype(np.float32)
    assert (moved(white, face, target) == 255).all()


def test_warp_survives_a_closed_mouth_and_points_outside_the_crop(photo, face):
    closed = face.copy()
    closed[[61, 62, 63]] = closed[[67, 66, 65]]
    assert moved(photo, closed, face).shape == photo.shape
    assert moved(photo, face, closed + np.float32(0.4)).shape == photo.shape


def test_hair_moves_with_the_head_and_the_corner_stays(face):
    target = face + np.float32([0.05, 0])
    source_points, target_points = warp.Warp(np.zeros((8, 8, 3), np.uint8), face).control_points(target)
    hair = source_points[68 + 3]
    assert hair[1] < face[17:27, 1].min()
    assert target_points[68 + 3] - hair == pytest.approx((0.05, 0), abs=1e-6)
    assert (0.0, 0.0) in {tuple(p) for p in target_points}


def control_points(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points in the photo and in the target that a warp is hung on."""
    return warp.Warp(np.zeros((8, 8, 3), np.uint8), source).control_points(target)


def test_part_of_a_warp_is_that_part_of_the_whole(photo, face):
    target, box = face + np.float32([0.04, 0.02]), (slice(10, 50), slice(20, 90))
    for sharp in (False, True):
        ready = warp.Warp(photo, face, denoise=False, sharp=sharp)
        assert np.array_equal(ready.to(target, box=box), ready.to(target)[box])
    assert not np.array_equal(ready.to(target), warp.Warp(photo, face, denoise=False, sharp=False).to(target))


def test_the_hair_lies_on_an_arc_above_the_brows(face):
    """Round the middle between the ears at (0.5, 0.5), 1.15 of 0.25 wide and of 0.3 high, from 200 to 340 degrees."""
    arc = warp.head_anchors(face)
    assert len(arc) == 7
    assert arc[3] == pytest.approx((0.5, 0.5 - 1.15 * 0.3), abs=1e-6)
    assert arc[0] == pytest.approx(
        (0.5 + 1.15 * 0.25 * np.cos(np.radians(200)), 0.5 + 1.15 * 0.3 * np.sin(np.radians(200))), abs=1e-6
    )
    assert arc[6] == pytest.approx((1 - arc[0, 0], arc[0, 1]), abs=1e-6)


def test_hair_follows_brows_nose_and_corners_of_the_eyes_alone(face):
    _, still = control_points(face, face)
    pulling = []
    for point in range(68):
        target = face.copy()
        target[point, 0] += 0.002
        _, pulled = control_points(face, target)
        if np.abs(pulled[68:] - still[68:]).max() > 1e-7:
            pulling.append(point)
    assert pulling == [*range(17, 36), 36, 39, 42, 45]


def test_the_edge_is_held_by_points_a_sixth_apart_that_are_not_beside_the_face(face):
    edge = {tuple(point) for point in warp.frame_points().round(6).tolist()}
    sixths = np.linspace(0, 1, 7).round(6).tolist()
    assert edge == {(x, y) for x in sixths for y in sixths if x in (0, 1) or y in (0, 1)}
    low = face + np.float32([0, 0.19])  # the chin 0.01 above the edge
    for source, target in ((low, face), (face, low)):
        for points in control_points(source, target):
            held = {tuple(point) for point in points[68:].round(6).tolist()} & edge
            assert held == edge - {(0.5, 1.0)}


@pytest.mark.parametrize("shift", [(0, -0.3), (0, 0.6), (-0.5, 0), (0.5, 0)])
def test_hair_beyond_the_crop_holds_nothing(face, shift):
    away = face + np.float32(shift)
    for source, target in ((face, away), (away, face), (away, away)):
        pairs = control_points(source, target)
        assert len(pairs[0]) == len(pairs[1])
        for points in pairs:
            assert ((points[68:-4] >= 0) & (points[68:-4] <= 1)).all()


@pytest.mark.parametrize("corner", [(-0.4, -0.4), (0.4, -0.4), (-0.4, 0.4), (0.4, 0.4)])
def test_nothing_tears_where_a_face_covers_a_corner_of_the_crop(face, corner):
    source = face + np.float32(corner)
    target = source + np.float32([0.03, -0.02])
    ramp = np.linspace(0, 255, 96).astype(np.uint8)
    for photo in (ramp[None, :], ramp[:, None]):
        shown = moved(np.repeat(np.broadcast_to(photo, (96, 96))[..., None], 3, 2), source, target)
        steps = [np.abs(np.diff(shown[..., 0].astype(int), axis=axis)).max() for axis in (0, 1)]
        assert max(steps) < 20
