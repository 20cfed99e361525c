"""A photo's head turned in three dimensions, on a drawn person."""

from functools import cache

import numpy as np
import pytest

from talkinghead.portrait.warping.head_mesh import Person, head_mesh
from talkinghead.portrait.warping.layered_sources import LayeredSources
from talkinghead.portrait.warping.mesh_warp import Maps, MeshWarp
from talkinghead.rig.files.own import default_rig
from talkinghead.testing.synthetic import Pose, draw_sequence

SIDE = 128
YAW = 0.4


@cache
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """A person from the front, turned to either side, with an open mouth, and from the front again."""
    poses = [Pose(), Pose(yaw=YAW), Pose(yaw=-YAW), Pose(mouth_open=0.8), Pose()]
    return draw_sequence(3, poses, size=SIDE)


@cache
def person() -> Person:
    return Person.fitted(drawn()[1])


def maps_to(index: int) -> Maps:
    landmarks = drawn()[1]
    return MeshWarp(landmarks[0], person()).maps(landmarks[index], person().states(landmarks[[index]]), SIDE)


def at(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of a grid in the cells that hold these points."""
    x, y = np.clip((points * len(values)).astype(int), 0, len(values) - 1).T
    return values[y, x]


def test_the_mesh_is_whole_and_its_eyes_and_mouth_are_closed():
    mesh = head_mesh()
    assert len(mesh.rims) == 3
    vertices = mesh.closed(mesh.neutral)
    assert set(np.unique(mesh.faces)) == set(range(len(vertices)))
    edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), 1)
    assert np.unique(edges, axis=0, return_counts=True)[1].max() == 2  # no edge has three triangles
    points = default_rig().landmarks_3d(default_rig().neutral[None])[0]
    assert np.linalg.norm(mesh.spread @ points.mean(0, keepdims=True).repeat(68, 0), axis=1).max() < 1


def test_a_residual_moves_its_own_landmark_and_leaves_far_ones():
    mesh, points = head_mesh(), default_rig().landmarks_3d(default_rig().neutral[None])[0]
    nearest = np.linalg.norm(mesh.neutral[:, None] - points[None], axis=-1).argmin(0)
    nose, brow = nearest[30], nearest[17]
    assert mesh.spread[nose, 30] > 0.8
    assert abs(mesh.spread[brow, 30]) < 0.1


@pytest.mark.parametrize("index", [1, 2, 3])
def test_landmarks_come_from_the_photos_landmarks(index):
    landmarks = drawn()[1]
    found = at(maps_to(index).face, landmarks[index][17:48])  # not the jaw, which lies on the mesh's edge
    apart = np.linalg.norm(found - landmarks[0][17:48], axis=1)
    assert np.median(apart) < 0.012
    assert apart.max() < 0.05


def test_the_same_landmarks_leave_everything_in_its_place():
    maps = maps_to(4)
    line = (np.arange(SIDE) + 0.5) / SIDE
    cells = np.stack(np.meshgrid(line, line), -1)
    assert np.abs(maps.head - cells).max() < 0.01
    assert np.abs((maps.face - cells)[maps.coverage > 0.5]).max() < 0.01


def test_a_turned_head_hides_a_cheek_and_reveals_the_other_side():
    covered = maps_to(0).coverage.sum()
    right, left = maps_to(1), maps_to(2)
    assert right.coverage.sum() < 0.97 * covered
    middle = SIDE // 2
    shown = [[part.revealed[:, :middle].sum(), part.revealed[:, middle:].sum()] for part in (right, left)]
    assert (shown[0][0] > 2 * shown[0][1]) != (shown[1][0] > 2 * shown[1][1])
    assert max(shown[0]) > 2 * min(shown[0])


def test_nothing_moves_at_the_edge_of_a_wide_picture_and_the_photo_stays_to_the_bit():
    frames, landmarks = drawn()
    photo = np.random.default_rng(0).integers(0, 255, (3 * SIDE, 3 * SIDE, 3), np.uint8)
    photo[SIDE : 2 * SIDE, SIDE : 2 * SIDE] = frames[0]
    placed = (landmarks + 1) / 3
    sources = LayeredSources([photo], placed[:1])
    result = sources.to(placed[1], sources.person.states(placed[[1]]), 3 * SIDE, background=0)
    far = np.ones(photo.shape[:2], bool)
    far[SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4] = False
    assert (result.frame[far] == photo[far]).all()
    assert (result.frame != photo).any()


def test_the_moved_photo_is_nearer_to_the_truth_than_the_photo():
    frames, landmarks = drawn()
    sources = LayeredSources(list(frames[:1]), landmarks[:1], person=person())
    for index in (1, 2):
        moved = sources.to(landmarks[index], person().states(landmarks[[index]]), SIDE).frame
        low, high = (getattr(landmarks[index][17:] * SIDE, side)(0).astype(int) for side in ("min", "max"))
        face = slice(low[1], high[1]), slice(low[0], high[0])
        error = [np.abs(one[face].astype(int) - frames[index][face]).mean() for one in (moved, frames[0])]
        assert error[0] < 0.8 * error[1]


def test_of_two_photos_the_nearer_gives_the_face_and_the_background_stays_that_of_one():
    frames, landmarks = drawn()
    both = LayeredSources(list(frames[:2]), landmarks[:2], person=person())
    state = person().states(landmarks[[1]])
    from_far = both.to(landmarks[1], state, SIDE, background=0, among=np.array([0])).frame
    from_both = both.to(landmarks[1], state, SIDE, background=0).frame
    nose = tuple((landmarks[1][30] * SIDE).astype(int)[::-1])
    around = tuple(slice(n - 8, n + 8) for n in nose)
    error = [np.abs(one[around].astype(int) - frames[1][around]).mean() for one in (from_far, from_both)]
    assert error[1] < 0.7 * error[0]
    assert (from_far[:6, :6] == from_both[:6, :6]).all()


def test_a_steadied_head_trembles_less_and_stays_a_rotation():
    rng = np.random.default_rng(3)
    frames = drawn()[1][:1].repeat(40, 0) + rng.normal(0, 0.004, (40, 68, 2)).astype(np.float32)
    rough = person().states(frames)
    steady = rough.steadied(1.5)
    shake = [np.abs(np.diff(one.rotation, 2, axis=0)).mean() for one in (rough, steady)]
    assert shake[1] < 0.3 * shake[0]
    np.testing.assert_allclose(
        steady.rotation @ steady.rotation.transpose(0, 2, 1), np.eye(3)[None].repeat(40, 0), atol=1e-9
    )
    assert (steady.weights == rough.weights).all()
