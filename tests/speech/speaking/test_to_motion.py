from fractions import Fraction

import numpy as np
import pytest

from talkinghead.errors import UserError
from talkinghead.face import landmarks as scheme
from talkinghead.rig.arkit import ARKIT_NAMES, RIG_NAMES
from talkinghead.rig.files.own import average_face, default_rig
from talkinghead.rig.head_pose import Pose
from talkinghead.rig.rig import Rig, rotation_matrix
from talkinghead.speech.model import SpeechMotion
from talkinghead.speech.speaking.head_motion import HeadMotion, still
from talkinghead.speech.speaking.to_motion import Likeness, mesh_motion, rig_weights, speak_motion

FPS = Fraction(30)


def weights(**expressions: list[float]) -> np.ndarray:
    """The rig's weights over frames, by name."""
    made = np.zeros((len(next(iter(expressions.values()))), len(RIG_NAMES)), np.float32)
    for name, values in expressions.items():
        made[:, RIG_NAMES.index(name)] = values
    return made


def said(blendshapes: np.ndarray, **more: object) -> SpeechMotion:
    return SpeechMotion(FPS, **({"blendshapes": blendshapes, "names": RIG_NAMES} | more))


def photos(face: np.ndarray, *, yaw: float = 0.0, scale: float = 2.2) -> np.ndarray:
    """Landmarks of a face in three photos."""
    poses = np.array([[yaw, 0, 0], [yaw + 0.05, 0.03, 0], [yaw - 0.05, -0.03, 0]])
    turns = rotation_matrix(poses)
    return Pose(turns, np.full(3, scale), np.full((3, 2), 0.5)).project(np.tile(face, (3, 1, 1))).astype(np.float32)


def gap(landmarks: np.ndarray, upper: int, lower: int) -> np.ndarray:
    return np.linalg.norm(landmarks[:, upper] - landmarks[:, lower], axis=-1)


def test_a_jaw_that_falls_opens_the_mouth_and_lowers_the_chin():
    motion = speak_motion(said(weights(jawOpen=[0, 0.3, 0.6])), still(3), default_rig())
    opening = gap(motion.landmarks, 62, 66)
    assert opening[0] < 0.01 < opening[1] < opening[2]
    assert (np.diff(motion.landmarks[:, 8, 1]) > 0.005).all()
    assert np.abs(motion.landmarks[:, scheme.NOSE_BRIDGE] - motion.landmarks[:1, scheme.NOSE_BRIDGE]).max() < 2e-3
    assert motion.vertices is not None and motion.pose is not None and (motion.confidence == 1).all()


def test_blinks_shut_the_eyes_of_blendshapes_and_of_vertices():
    rig = default_rig()
    head = HeadMotion(np.zeros((2, 3), np.float32), np.array([0, 1], np.float32))
    talk = weights(jawOpen=[0.4, 0.4])
    for spoken in (said(talk), SpeechMotion(FPS, vertices=rig.vertices(talk))):
        motion = speak_motion(spoken, head, rig)
        eyes = gap(motion.landmarks, 37, 41)
        assert eyes[1] < 0.3 * eyes[0]
        assert np.isclose(*gap(motion.landmarks, 62, 66), atol=1e-3)


def test_blendshapes_and_the_vertices_they_make_give_the_same_motion():
    rig, talk = default_rig(), weights(jawOpen=[0.1, 0.5], mouthPucker=[0.4, 0.0])
    first, second = (
        speak_motion(spoken, still(2), rig, strength=0.5)
        for spoken in (said(talk), SpeechMotion(FPS, vertices=rig.vertices(talk)))
    )
    assert np.allclose(first.landmarks, second.landmarks, atol=1e-5)
    assert first.blendshapes is not None and second.blendshapes is None


def test_strength_scales_the_opening_and_stays_in_bounds():
    opening = [
        gap(speak_motion(said(weights(jawOpen=[0.3])), still(1), default_rig(), strength=s).landmarks, 62, 66)[0]
        for s in (0.5, 1.0, 1.5, 9.0)
    ]
    assert opening == sorted(opening)
    shut = speak_motion(said(weights(jawOpen=[0.3])), still(1), default_rig(), strength=9.0).blendshapes
    assert shut is not None and shut.max() == 1


def test_the_head_turns_as_it_is_told_and_the_models_pose_is_added():
    turned = HeadMotion(np.array([[0.2, 0, 0], [-0.2, 0, 0]], np.float32), np.zeros(2, np.float32))
    motion = speak_motion(said(weights(jawOpen=[0, 0])), turned, default_rig())
    nose = motion.landmarks[:, 30, 0] - motion.landmarks[:, [0, 16], 0].mean(1)
    assert nose[0] > 0.02 and nose[1] < -0.02  # positive yaw: to the viewer's right
    own = np.array([[0.0, 0.1, 0], [0, 0.1, 0], [0, 0.3, 0]], np.float32)
    added = speak_motion(said(weights(jawOpen=[0, 0, 0]), pose=own), still(3), default_rig())
    assert added.pose is not None and np.allclose(added.pose[:, 1], [0, 0, 0.2], atol=1e-6)


def test_names_decide_the_columns():
    rig = default_rig()
    arkit = np.zeros((1, 52), np.float32)
    arkit[0, ARKIT_NAMES.index("jawOpen")] = 0.7
    sorted_ = rig_weights(said(arkit, names=tuple(ARKIT_NAMES)), rig)
    assert sorted_ is not None and np.isclose(sorted_[0, RIG_NAMES.index("jawOpen")], 0.7)
    other = Rig(
        rig.neutral,
        rig.faces,
        rig.expressions[:2],
        ("jawOpen", "smirk"),
        rig.identity,
        rig.landmark_faces,
        rig.landmark_weights,
        name="odd",
    )
    assert np.allclose(rig_weights(said(weights(jawOpen=[0.3])), other), [[0.3, 0]])
    nothing = SpeechMotion(FPS, blendshapes=np.zeros((1, 1), np.float32), names=("wiggle",))
    with pytest.raises(ValueError, match="rig odd has none"):
        rig_weights(nothing, other)


@pytest.mark.parametrize(
    ("spoken", "frames", "says"),
    [
        (SpeechMotion(FPS, pose=np.zeros((2, 3), np.float32)), 2, "must give blendshapes or vertices"),
        (SpeechMotion(FPS, vertices=np.zeros((2, 9, 3), np.float32)), 2, "9 vertices were predicted"),
        (said(weights(jawOpen=[0, 0])), 3, "2 frames of speech and 3 of head motion"),
    ],
)
def test_what_does_not_fit_is_named(spoken, frames, says):
    with pytest.raises(ValueError, match=says):
        speak_motion(spoken, still(frames), default_rig())


def test_a_person_keeps_face_place_and_size():
    model = average_face()
    person = model.neutral + 1.5 * model.identity[0]
    shown = photos(person, scale=1.9)
    rig = default_rig()
    motion = speak_motion(said(weights(jawOpen=[0, 0.5])), still(2), rig)
    landmarks = Likeness.of(rig, shown).landmarks(motion)
    usual = np.median(shown, 0)
    apart = np.linalg.norm(landmarks[0] - usual, axis=1)
    assert apart.mean() < 0.01 and apart.max() < 0.03
    assert gap(landmarks, 62, 66)[1] > gap(landmarks, 62, 66)[0] + 0.01
    wide = np.linalg.norm(landmarks[:, 36] - landmarks[:, 45], axis=1)
    assert np.allclose(wide, np.linalg.norm(usual[36] - usual[45]), rtol=0.03)


def test_a_person_who_looks_aside_stays_so_and_nobody_looks_far_aside():
    rig, rest = default_rig(), speak_motion(said(weights(jawOpen=[0.0])), still(1), default_rig())

    def nose(yaw: float) -> float:
        landmarks = Likeness.of(rig, photos(average_face().neutral, yaw=yaw)).landmarks(rest)[0]
        return float(landmarks[30, 0] - landmarks[[36, 45], 0].mean())

    assert nose(-0.15) < nose(0.0) < nose(0.15)
    assert nose(0.15) > 0.005 and nose(0.6) < 2.5 * nose(0.15)


def test_only_the_rigs_own_motion_is_carried_over():
    rig = default_rig()
    likeness = Likeness.of(rig, photos(average_face().neutral))
    triangle = mesh_motion(np.zeros((2, 3, 3), np.float32), np.array([[0, 1, 2]]), still(2), FPS)
    assert not triangle.confidence.any()
    with pytest.raises(UserError, match="no vertices of the rig"):
        likeness.landmarks(triangle)
