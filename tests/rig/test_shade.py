from time import process_time

import numpy as np
import pytest

from talkinghead.rig.files.own import default_rig
from talkinghead.rig.shade import BACKGROUND, INSIDE, LIPS, PARTS, SKIN, View, rig_colours, shade, vertex_normals


def ball(rings: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """A ball of radius 0.1 m: vertices and triangles, counterclockwise from outside."""
    around = 2 * rings
    polar, turn = np.meshgrid(np.linspace(0, np.pi, rings), np.arange(around) / around * 2 * np.pi, indexing="ij")
    points = np.stack([np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)], -1)
    index = np.arange(rings * around).reshape(rings, around)
    a, b = index[:-1], np.roll(index, -1, 1)[:-1]
    c, d = index[1:], np.roll(index, -1, 1)[1:]
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([b, d, c], -1)]).reshape(-1, 3)
    return (0.1 * points.reshape(-1, 3)).astype(np.float32), faces


WIDE = View((0.0, 0.0), 0.2)


def test_a_ball_is_a_round_spot_in_the_middle_of_the_background():
    picture = shade(*ball(), 128, view=WIDE)
    covered = (picture != np.array(BACKGROUND)).any(-1)
    assert np.isclose(covered.mean(), np.pi / 16, rtol=0.05)
    y, x = np.nonzero(covered)
    assert np.allclose([x.mean(), y.mean()], 63.5, atol=1)


def test_it_is_lit_from_above_and_has_no_seams():
    picture = shade(*ball(), 128, view=WIDE).astype(int)
    assert picture[40, 64].sum() > picture[90, 64].sum()
    middle = picture[44:84, 44:84].sum(-1)
    assert np.abs(np.diff(middle, axis=0)).max() < 40  # smooth normals: no facet shows


def test_the_nearer_of_two_triangles_is_seen_in_whatever_order_they_come():
    low = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], np.float32) * 0.1
    vertices = np.concatenate([low, low + [0, 0, 0.05]])
    colours = np.repeat(np.array([[255, 0, 0], [0, 255, 0]], np.uint8), 3, axis=0)
    for faces in (np.array([[0, 1, 2], [3, 4, 5]]), np.array([[3, 4, 5], [0, 1, 2]])):
        red, green, _ = shade(vertices, faces, 32, colour=colours)[18, 16].tolist()
        assert green > 4 * red


def test_what_is_seen_from_behind_is_dark_and_hidden_by_the_rest():
    vertices = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], np.float32) * 0.1
    behind = shade(vertices, np.array([[0, 2, 1]]), 32)[18, 16].astype(int)
    assert np.abs(behind - np.array(INSIDE)).max() < 60
    both = np.concatenate([vertices, vertices + [0, 0, 0.05]])
    assert shade(both, np.array([[0, 1, 2], [3, 5, 4]]), 32)[18, 16].sum() > 300


def test_a_view_holds_every_frame_and_moving_it_moves_the_picture():
    vertices, faces = ball()
    clip = np.stack([vertices, vertices + [0.1, 0, 0]])
    view = View.of(clip)
    assert view.half > 0.15 and np.isclose(view.centre[0], 0.05, atol=1e-3)
    left, right = (shade(frame, faces, 64, view=view) for frame in clip)
    assert (left[:, :32] != BACKGROUND).any(-1).sum() > (right[:, :32] != BACKGROUND).any(-1).sum()


def test_normals_of_a_ball_point_outward():
    vertices, faces = ball()
    used = np.unique(faces)
    assert ((vertex_normals(vertices, faces) * vertices).sum(1)[used] > 0.098).all()


def test_smooth_edges_and_pictures_of_any_part():
    vertices, faces = ball()
    assert shade(vertices, faces, 33, smooth_edges=2).shape == (33, 33, 3)
    far = shade(vertices, faces, 16, view=View((5.0, 5.0), 0.1))
    assert (far == np.array(BACKGROUND)).all()
    close = shade(vertices, faces, 64, view=View((0.0, 0.0), 0.001))  # triangles far larger than the picture
    assert (close != np.array(BACKGROUND)).any(-1).all()


def test_parts_of_a_rig_have_their_colours():
    rig = default_rig()
    colours = rig_colours(rig)
    assert (colours[rig.part("teeth")] == PARTS["teeth"]).all()
    points = rig.landmarks_3d(rig.neutral[None])[0]
    nearest = np.linalg.norm(rig.neutral[:, None] - points[[57, 30]], axis=-1).argmin(0)  # lower lip, tip of the nose
    lip, nose = (int(colours[one, 0]) - int(colours[one, 1]) for one in nearest)
    assert lip > nose + 10  # redder
    assert (colours == LIPS).all(1).any()
    assert np.abs(colours[nearest[1]].astype(int) - SKIN).max() <= 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": 0}, "size is 0"),
        ({"faces": np.array([[0, 1, 5000]])}, "of 1152"),
        ({"vertices": np.full((3, 3), np.nan, np.float32), "faces": np.array([[0, 1, 2]])}, "not finite"),
    ],
)
def test_what_cannot_be_drawn_is_named(change, says):
    vertices, faces = ball()
    given = {"vertices": vertices, "faces": faces, "size": 8} | change
    with pytest.raises(ValueError, match=says):
        shade(given["vertices"], given["faces"], given["size"])


def test_drawing_is_quick():
    vertices, faces = ball(36)  # 2,592 vertices
    times = []
    for _ in range(5):
        start = process_time()
        shade(vertices, faces, 256)
        times.append(process_time() - start)
    assert min(times) < 0.1  # 13 ms alone on a core; this bound only catches a loop over triangles
