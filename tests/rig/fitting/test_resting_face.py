import numpy as np

from talkinghead.face import landmarks as scheme
from talkinghead.rig.files.own import average_face
from talkinghead.rig.fitting.resting_face import EYES_APART, resting_face
from talkinghead.rig.head_pose import Pose, estimate_pose
from talkinghead.rig.rig import rotation_matrix
from talkinghead.testing.drawing import draw_person
from talkinghead.testing.drawn_person import Pose as Drawn


def poses(count: int, seed: int = 0, *, wide: float = 1.0) -> Pose:
    random = np.random.default_rng(seed)
    angles = random.uniform(-wide, wide, (count, 3)) * [0.7, 0.4, 0.8]
    return Pose(rotation_matrix(angles), random.uniform(1.1, 3.3, count), random.uniform(0.4, 0.6, (count, 2)))


def test_the_average_face_is_a_face():
    mean = average_face().neutral
    assert np.isclose(np.linalg.norm(mean[36, :2] - mean[45, :2]), EYES_APART, atol=1e-4)
    assert np.allclose(mean, mean[scheme.MIRROR] * [-1, 1, 1], atol=1e-4)
    assert mean[30, 2] > mean[36, 2] > mean[0, 2]  # nose before eyes before ears
    assert mean[8, 1] < mean[57, 1] < mean[33, 1]  # chin below mouth below nose


def test_a_resting_face_is_found_under_its_expressions_and_poses():
    model, random = average_face(), np.random.default_rng(2)
    person = model.neutral + np.einsum("m,mni->ni", random.normal(0, 0.8, len(model.identity)), model.identity)
    strengths = random.uniform(0, 0.8, (12, len(model.expressions)))
    strengths *= random.random(strengths.shape) < 0.08  # a few expressions a frame
    frames = poses(12, seed=3, wide=0.4).project(person + np.einsum("fk,kni->fni", strengths, model.expressions))
    found = resting_face(frames)
    front = person[None, :, :2] * [1, -1]
    error = [
        np.linalg.norm(estimate_pose(front, face, weights=np.ones(68)).project(face) - front, axis=-1).mean()
        for face in (model.neutral.astype(np.float64), found)
    ]
    assert error[1] < 0.5 * error[0]


def test_people_are_told_apart_by_their_resting_faces():
    looks = [Drawn(), Drawn(yaw=0.3, mouth_open=0.8), Drawn(yaw=-0.3, smile=0.9, blink=1), Drawn(pitch=0.2, roll=0.2)]
    faces = [
        [resting_face(np.stack([draw_person(seed, look, size=32)[1] for look in part])) for seed in range(6)]
        for part in (looks[:2], looks[2:])
    ]
    distance = np.array([[np.linalg.norm((a - b)[:, :2], axis=1).mean() for b in faces[1]] for a in faces[0]])
    assert (distance.argmin(1) == np.arange(6)).all()


def test_one_stray_frame_does_not_spoil_a_face():
    looks = [Drawn(yaw=yaw) for yaw in np.linspace(-0.3, 0.3, 7)]
    frames = np.stack([draw_person(4, look, size=32)[1] for look in looks])
    stray = np.random.default_rng(5).uniform(0.3, 0.7, (1, 68, 2)).astype(np.float32)
    clean, spoilt = resting_face(frames), resting_face(np.concatenate([frames, stray]))
    assert np.linalg.norm(clean - spoilt, axis=1).mean() < 0.0018  # metres
