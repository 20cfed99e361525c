from dataclasses import replace

import numpy as np
import pytest
import torch

from talkinghead.face import landmarks as scheme
from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.head_pose import Pose, estimate_pose
from talkinghead.rig.rig import Rig, pose_of_rotation, rotate, rotation_matrix
from talkinghead.testing.drawing import draw_person
from talkinghead.testing.drawn_person import Pose as Drawn


@pytest.fixture(scope="module")
def rig() -> Rig:
    return default_rig()


def weights(**strengths: float) -> np.ndarray:
    row = np.zeros((1, 46), np.float32)
    for name, strength in strengths.items():
        row[0, RIG_NAMES.index(name)] = strength
    return row


def points(rig: Rig, **strengths: float) -> np.ndarray:
    return rig.landmarks_3d(rig.vertices(weights(**strengths)))[0]


def test_the_default_rig_is_a_head_of_usual_size(rig):
    rest = points(rig)
    assert rig.expression_names == RIG_NAMES and len(rig.identity) == 20
    assert 0.08 < np.linalg.norm(rest[36] - rest[45]) < 0.1
    assert rest[36, 0] < 0 < rest[45, 0] and rest[8, 1] < rest[57, 1] < rest[33, 1] < rest[27, 1]
    assert rest[30, 2] > rest[36, 2] > rest[0, 2]


def test_the_default_rig_is_small_enough_to_ship(rig):
    assert len(rig.neutral) <= 2500


def test_the_face_is_symmetric_and_so_are_its_expressions(rig):
    rest = points(rig)
    assert np.allclose(rest, rest[scheme.MIRROR] * [-1, 1, 1], atol=2e-4)
    left, right = points(rig, mouthSmileLeft=1.0), points(rig, mouthSmileRight=1.0)
    assert np.allclose(left, right[scheme.MIRROR] * [-1, 1, 1], atol=5e-4)


def test_the_gap_between_the_lips_gives_the_opening_of_weights(rig):
    some = np.random.default_rng(0).uniform(0, 0.5, (9, 46)).astype(np.float32)
    rest, added = rig.lip_gap()
    np.testing.assert_allclose(
        np.linalg.norm(rest + some @ added, axis=-1), rig.mouth_opening(rig.vertices(some)), atol=1e-6
    )


def test_expressions_do_what_their_names_say(rig):
    rest, neutral = points(rig), rig.neutral[None]
    assert rig.mouth_opening(neutral)[0] < 0.002
    assert rig.mouth_opening(rig.vertices(weights(jawOpen=1.0)))[0] > 0.02
    assert rig.mouth_opening(rig.vertices(weights(jawOpen=1.0, mouthClose=1.0)))[0] < 0.008
    shut = rig.eye_opening(rig.vertices(weights(eyeBlinkLeft=1.0, eyeBlinkRight=1.0)))[0]
    assert shut < 0.25 * rig.eye_opening(neutral)[0]
    assert points(rig, browInnerUp=1.0)[21, 1] > rest[21, 1] + 0.002
    assert points(rig, mouthSmileLeft=1.0)[54, 1] > rest[54, 1] + 0.003  # the person's left is at the viewer's right
    assert np.linalg.norm(points(rig, mouthPucker=1.0)[48] - points(rig, mouthPucker=1.0)[54]) < 0.85 * np.linalg.norm(
        rest[48] - rest[54]
    )


def test_gaze_turns_both_eyes_to_the_person_s_left(rig):
    pupils = rig.part("pupil")
    moved = rig.vertices(weights(eyeLookLeft=1.0))[0, pupils] - rig.neutral[pupils]
    assert (moved[:, 0] > 0.003).all() and np.abs(moved[:, 1]).max() < 1e-4


def test_lower_teeth_go_with_the_jaw_and_upper_ones_stay(rig):
    teeth = rig.part("teeth")
    moved = np.linalg.norm(rig.vertices(weights(jawOpen=1.0))[0, teeth] - rig.neutral[teeth], axis=1)
    assert (moved < 1e-6).sum() == len(teeth) / 2 and moved.max() > 0.02


def test_lips_and_upper_face_are_where_they_belong(rig):
    rest = points(rig)
    lips, upper = rig.neutral[rig.lip_vertices], rig.neutral[rig.upper_face_vertices]
    assert len(lips) > 100 and len(upper) > 300
    assert np.linalg.norm(lips - rest[[62]], axis=1).max() < 0.04
    assert rig.skin[rig.lip_vertices].all() and rig.skin[rig.upper_face_vertices].all()
    assert upper[:, 1].min() > rest[30, 1] and not set(rig.lip_vertices) & set(rig.upper_face_vertices)


def test_weights_add_up(rig):
    one, two = weights(jawOpen=0.5), weights(mouthFunnel=0.5)
    both = rig.vertices(one + two) - rig.neutral
    assert np.allclose(both, rig.vertices(one) + rig.vertices(two) - 2 * rig.neutral, atol=1e-7)


def test_an_identity_is_the_same_in_all_frames_unless_there_is_one_a_frame(rig):
    identity = np.random.default_rng(0).normal(size=20).astype(np.float32)
    row = np.concatenate([weights(jawOpen=0.5), weights(browInnerUp=1.0)])
    once = rig.vertices(row, identity)
    assert np.allclose(once, rig.vertices(row, np.stack([identity, identity])), atol=1e-7)
    assert np.allclose(once - rig.vertices(row), np.einsum("m,mvi->vi", identity, rig.identity), atol=1e-6)


def test_torch_and_numpy_agree(rig):
    row = np.random.default_rng(1).random((3, 46))
    found = rig.landmarks_3d(rig.vertices(torch.from_numpy(row)))
    assert found.dtype == torch.float64
    assert np.allclose(found.numpy(), rig.landmarks_3d(rig.vertices(row)), atol=1e-12)


def test_landmarks_can_be_learnt_from(rig):
    row = torch.zeros(2, 46, dtype=torch.float64, requires_grad=True)
    rig.at_landmarks().vertices(row).square().sum().backward()
    assert row.grad is not None and (row.grad.abs().sum(0) > 0).all()


def test_the_rig_of_68_points_moves_as_the_whole_one(rig):
    random = np.random.default_rng(2)
    row, identity = random.random((4, 46)).astype(np.float32), random.normal(size=20).astype(np.float32)
    small = rig.at_landmarks()
    assert np.allclose(small.vertices(row, identity), rig.landmarks_3d(rig.vertices(row, identity)), atol=1e-6)
    assert np.allclose(small.mouth_opening(small.vertices(row)), rig.mouth_opening(rig.vertices(row)), atol=1e-6)


def test_positive_angles_turn_right_look_down_and_lean_right(rig):
    nose, top = np.array([[[0.0, 0.0, 0.1]]]), np.array([[[0.0, 0.1, 0.0]]])
    assert rotate(nose, np.array([[0.3, 0.0, 0.0]]))[0, 0, 0] > 0.02
    assert rotate(nose, np.array([[0.0, 0.3, 0.0]]))[0, 0, 1] < -0.02
    assert rotate(top, np.array([[0.0, 0.0, 0.3]]))[0, 0, 0] > 0.02


def seen(points: np.ndarray, pose: np.ndarray, *, scale: float = 4.0) -> np.ndarray:
    """Where points on the head are seen, the origin in the middle of the crop."""
    return Pose(rotation_matrix(pose), np.full(len(pose), scale), np.full((len(pose), 2), 0.5)).project(points)


def test_the_pose_is_found_in_what_is_seen(rig):
    pose = np.random.default_rng(3).uniform(-1, 1, (20, 3)) * [0.7, 0.4, 0.6]
    rest = points(rig).astype(np.float64)
    assert np.allclose(pose_of_rotation(estimate_pose(seen(rest, pose), rest, steps=80).rotation), pose, atol=2e-3)


def test_drawn_faces_turn_the_same_way(rig):
    rest = points(rig).astype(np.float64)
    for index, name in enumerate(("yaw", "pitch", "roll")):
        pose = np.zeros((1, 3))
        pose[0, index] = 0.3
        ours = (seen(rest, pose) - seen(rest, 0 * pose))[0]
        still, drawn = (draw_person(1, look, size=256)[1] for look in (Drawn(), Drawn(**{name: 0.3})))
        theirs = drawn - still
        inner = slice(17, 68)
        ours, theirs = (moved[inner] - moved[inner].mean(0) for moved in (ours, theirs))
        assert (ours * theirs).sum() / np.sqrt((ours**2).sum() * (theirs**2).sum()) > 0.6, name


def test_rotations_are_rotations_and_give_their_pose_back():
    pose = np.random.default_rng(4).uniform(-1.4, 1.4, (50, 3))
    turned = rotation_matrix(pose)
    assert np.allclose(turned @ turned.swapaxes(1, 2), np.eye(3), atol=1e-12) and np.allclose(np.linalg.det(turned), 1)
    assert np.allclose(pose_of_rotation(turned), pose)


def test_projections_have_x_right_and_y_down(rig):
    flat = seen(points(rig), np.zeros((1, 3)))[0]
    assert flat[36, 0] < 0.5 < flat[45, 0] and flat[8, 1] > flat[27, 1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"expression_names": RIG_NAMES[1:]}, "46 expressions and 45 names"),
        ({"landmark_faces": np.full(68, 10**6)}, "landmark lies on triangle 1000000"),
        ({"faces": np.array([[0, 1, 10**6]])}, "vertex 1000000"),
        ({"neutral": np.full((2376, 3), np.nan, np.float32)}, "not finite"),
    ],
)
def test_a_rig_that_does_not_fit_together_is_refused(rig, change, problem):
    with pytest.raises(ValueError, match=problem):
        replace(rig, **change)


def test_offsets_of_another_mesh_are_refused(rig):
    with pytest.raises((ValueError, TypeError)):  # a TypeError where annotations are checked
        replace(rig, identity=np.zeros((1, 5, 3), np.float32))


def test_a_changed_rig_does_not_remember_the_old_one(rig):
    row = torch.zeros(1, 46)
    rig.vertices(row)
    moved = replace(rig, neutral=rig.neutral + 1)
    assert np.allclose(moved.vertices(row)[0].numpy(), moved.neutral)


def test_a_rig_without_parts_is_skin(rig):
    plain = replace(rig, parts=None, part_names=("skin",))
    assert plain.skin.all() and len(plain.part("skin")) == len(rig.neutral) and len(plain.part("teeth")) == 0
