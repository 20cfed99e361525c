"""What tools/make_rig makes a head of: fewer vertices that stay where they are, and eyes that fit between the lids."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
SIDE = 17


@pytest.fixture
def rigs(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import rigs.decimate
    import rigs.organs

    return rigs


def bumpy_sheet() -> tuple[np.ndarray, np.ndarray]:
    """A symmetric sheet with a bump, at rest and with the bump raised further: (v, 2, 3), and its triangles."""
    x, y = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(0, 1, SIDE))
    bump = np.exp(-8 * (x**2 + (y - 0.5) ** 2))
    poses = [np.stack([x, y, height * bump], -1).reshape(-1, 3) for height in (0.2, 0.6)]
    corner = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    a, b, c, d = (part.ravel() for part in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]))
    left = poses[0][a, 0] + poses[0][c, 0] < 0
    first = np.where(left[:, None], np.stack([a, b, c], 1), np.stack([a, b, d], 1))
    second = np.where(left[:, None], np.stack([a, c, d], 1), np.stack([b, c, d], 1))
    return np.stack(poses, 1), np.concatenate([first, second])


def area(points: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = points[faces].transpose(1, 0, 2)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def test_a_surface_keeps_its_shape_in_all_poses_with_a_third_of_the_vertices(rigs):
    poses, faces = bumpy_sheet()
    locked = {5, SIDE * SIDE // 2}
    kept, left = rigs.decimate.Decimation(poses, faces, importance=np.ones(len(poses)), locked=locked).run(100)
    assert 95 <= len(kept) <= 101 and locked <= set(kept.tolist())
    for pose in range(2):
        assert area(poses[kept, pose], left) == pytest.approx(area(poses[:, pose], faces), rel=0.02)


def test_what_is_left_is_a_surface_and_symmetric(rigs):
    poses, faces = bumpy_sheet()
    kept, left = rigs.decimate.Decimation(poses, faces, importance=np.ones(len(poses)), locked=set()).run(100)
    edges = Counter(
        tuple(sorted(edge)) for face in left.tolist() for edge in zip(face, face[1:] + face[:1], strict=True)
    )
    assert max(edges.values()) == 2 and set(left.ravel()) == set(range(len(kept)))
    places = {tuple(point) for point in poses[kept, 0].round(6).tolist()}
    assert places == {(-x + 0.0, y, z) for x, y, z in places}
    normals = np.cross(*(poses[kept, 0][left[:, i]] - poses[kept, 0][left[:, 0]] for i in (1, 2)))
    assert (normals[:, 2] > 0).all()


def test_a_mesh_that_is_not_symmetric_is_refused(rigs):
    with pytest.raises(ValueError, match="not symmetric"):
        rigs.decimate.mirrored_vertices(np.array([[0.5, 0.0, 0.0], [1.0, 0.0, 0.0]]))


def test_an_eye_is_the_ball_that_the_lids_slide_over(rigs):
    centre, radius, turn = np.array([3.0, 3.5, 7.5]), 1.3, np.linspace(0, 2 * np.pi, 20, endpoint=False)
    rim = centre + radius * np.stack([0.8 * np.cos(turn), 0.4 * np.sin(turn), np.zeros(20)], 1)
    rim[:, 2] = centre[2] + np.sqrt(radius**2 - ((rim - centre)[:, :2] ** 2).sum(1))
    shut = centre + radius * np.stack([0.8 * np.cos(turn), -0.4 * np.abs(np.sin(turn)), np.zeros(20)], 1)
    shut[:, 2] = centre[2] + np.sqrt(radius**2 - ((shut - centre)[:, :2] ** 2).sum(1))
    names = ["eyeBlinkLeft", *rigs.organs.GAZE_DEGREES]
    expressions = np.zeros((len(names), 20, 3))
    expressions[0] = shut - rim
    lids = rigs.organs.Organ(rim, np.zeros((0, 3), int), expressions, np.ones((1, 20, 3)), ["skin"] * 20)
    eye = rigs.organs.eyeball(lids, np.arange(20), names, closing=0)
    assert np.allclose(np.linalg.norm(eye.neutral - centre, axis=1), radius - 0.06, atol=1e-6)
    assert (eye.identity == 1).all() and not eye.expressions[0].any()
    pupil = eye.expressions[:, 0]
    down, left = pupil[names.index("eyeLookDown")], pupil[names.index("eyeLookLeft")]
    assert down[1] < -0.3 and left[0] > 0.3 and abs(left[1]) < 1e-9
