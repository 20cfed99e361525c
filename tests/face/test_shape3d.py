import numpy as np

from talkinghead.face import landmarks as scheme
from talkinghead.face.shape3d import Pose, estimate_pose, face_model, resting_face
from talkinghead.testing.drawing import draw_person
from talkinghead.testing.drawn_person import Pose as Drawn


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    (sy, sp, sr), (cy, cp, cr) = np.sin([yaw, pitch, roll]), np.cos([yaw, pitch, roll])
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ turn @ nod


def poses(count: int, seed: int = 0, *, wide: float = 1.0) -> Pose:
    random = np.random.default_rng(seed)
    turns = np.array([rotation(*random.uniform(-wide, wide, 3) * [0.7, 0.4, 0.8]) for _ in range(count)])
    return Pose(turns, random.uniform(0.1, 0.3, count), random.uniform(0.4, 0.6, (count, 2)))


def test_the_pose_that_made_the_landmarks_is_found():
    true, face = poses(20), face_model().mean
    found = estimate_pose(true.project(face), face, steps=60)
    assert np.allclose(found.rotation, true.rotation, atol=1e-3)
    assert np.allclose(found.scale, true.scale, rtol=1e-3)
    assert np.allclose(found.position, true.position, atol=1e-4)


def test_lifted_landmarks_are_projected_back():
    random = np.random.default_rng(1)
    landmarks = poses(6).project(face_model().mean) + random.normal(0, 0.02, (6, 68, 2))
    pose = estimate_pose(landmarks, face_model().mean)
    assert np.allclose(pose.project(pose.lift(landmarks, face_model().mean)), landmarks, atol=1e-12)


def test_the_model_is_a_face():
    model = face_model()
    assert np.isclose(np.linalg.norm(model.mean[36, :2] - model.mean[45, :2]), 1, atol=1e-3)
    assert np.allclose(model.mean, model.mean[scheme.MIRROR] * [-1, 1, 1], atol=1e-3)
    assert model.mean[30, 2] < model.mean[36, 2] < model.mean[0, 2]  # nose before eyes before ears
    assert model.mean[8, 1] > model.mean[57, 1] > model.mean[33, 1]  # chin below mouth below nose


def test_a_resting_face_is_found_under_its_expressions_and_poses():
    model, random = face_model(), np.random.default_rng(2)
    person = model.mean + np.einsum("m,mni->ni", random.normal(0, 0.8, len(model.identity)), model.identity)
    strengths = random.uniform(0, 0.8, (12, len(model.expressions)))
    strengths *= random.random(strengths.shape) < 0.08  # a few expressions a frame
    frames = poses(12, seed=3, wide=0.4).project(person + np.einsum("fk,kni->fni", strengths, model.expressions))
    found = resting_face(frames)
    front = person[None, :, :2]
    error = [
        np.linalg.norm(estimate_pose(front, face, weights=np.ones(68)).project(face) - front, axis=-1).mean()
        for face in (model.mean, found)
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
    assert np.linalg.norm(clean - spoilt, axis=1).mean() < 0.02
