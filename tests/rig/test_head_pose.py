import numpy as np

from talkinghead.rig.files.own import average_face
from talkinghead.rig.head_pose import Pose, estimate_pose
from talkinghead.rig.rig import rotation_matrix

FACE = average_face().neutral.astype(np.float64)


def poses(count: int, seed: int = 0, *, wide: float = 1.0) -> Pose:
    random = np.random.default_rng(seed)
    angles = random.uniform(-wide, wide, (count, 3)) * [0.7, 0.4, 0.8]
    return Pose(rotation_matrix(angles), random.uniform(1.1, 3.3, count), random.uniform(0.4, 0.6, (count, 2)))


def test_the_pose_that_made_the_landmarks_is_found():
    true, face = poses(20), FACE
    found = estimate_pose(true.project(face), face, steps=60)
    assert np.allclose(found.rotation, true.rotation, atol=1e-3)
    assert np.allclose(found.scale, true.scale, rtol=1e-3)
    assert np.allclose(found.position, true.position, atol=1e-4)


def test_lifted_landmarks_are_projected_back():
    random = np.random.default_rng(1)
    landmarks = poses(6).project(FACE) + random.normal(0, 0.02, (6, 68, 2))
    pose = estimate_pose(landmarks, FACE)
    assert np.allclose(pose.project(pose.lift(landmarks, FACE)), landmarks, atol=1e-12)
