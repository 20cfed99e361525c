"""How strongly parts of a face move."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from talkinghead.errors import UserError
from talkinghead.face import landmarks as scheme
from talkinghead.face.landmarks import EYELID_PAIRS, INNER_LIP_PAIRS
from talkinghead.motion.retarget import RetargetConfig, hold, retarget, study
from talkinghead.motion.strength import Strength, middle_of
from talkinghead.rig.head_pose import Pose
from talkinghead.testing.synthetic import drawn_track

MOTIONS = ("absolute", "relative")


@pytest.fixture(scope="module")
def driving():
    return np.asarray(drawn_track(1, frames=60).landmarks)


@pytest.fixture(scope="module")
def source():
    return np.asarray(drawn_track(2, frames=3).landmarks)


def moved(driving, source, strength, motion="absolute"):
    return retarget(driving, source, RetargetConfig(motion=motion, strength=strength))


def gap(landmarks, pairs):
    return np.linalg.norm(landmarks[:, pairs[:, 0]] - landmarks[:, pairs[:, 1]], axis=-1).mean(1)


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_strength_of_one_changes_nothing(driving, source, motion):
    plain = retarget(driving, source, RetargetConfig(motion=motion))
    assert np.array_equal(moved(driving, source, Strength(), motion), plain)
    nearly = Strength(head=1 + 1e-9, mouth=1 + 1e-9)
    assert moved(driving, source, nearly, motion) == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_still_head_keeps_its_turn_and_the_mouth_goes_on(driving, source, motion):
    person = study(source)
    free, still = (hold(person, moved(driving, source, one, motion)) for one in (Strength(), Strength(head=0)))
    turns = [Rotation.from_matrix(one.pose.rotation).as_rotvec(degrees=True).std(0).max() for one in (free, still)]
    assert turns[0] > 2
    assert turns[1] < 0.35 * turns[0]
    assert still.pose.position.std(0).max() < 0.35 * free.pose.position.std(0).max()
    openings = [gap(one.points, INNER_LIP_PAIRS) for one in (free, still)]
    assert np.corrcoef(*openings)[0, 1] > 0.95


def test_each_part_moves_as_far_as_it_is_told(driving, source):
    person = study(driving)
    held = hold(person, driving)
    plain = held.points - person.face
    changed = Strength(mouth=0.5, eyes=0, brows=2).face(held.points, person.face) - person.face
    for part, factor in (
        (scheme.OUTER_LIPS + scheme.INNER_LIPS, 0.5),
        (scheme.LEFT_EYE, 0),
        (scheme.RIGHT_BROW, 2),
        (list(range(27, 36)), 1),
    ):
        assert changed[:, part] == pytest.approx(factor * plain[:, part])


def test_a_stronger_mouth_opens_farther_and_still_eyes_do_not_blink(driving, source):
    plain = moved(driving, source, Strength())
    wide, staring = (moved(driving, source, one) for one in (Strength(mouth=1.5), Strength(eyes=0)))
    open_most = gap(plain, INNER_LIP_PAIRS).argmax()
    ratio = gap(wide, INNER_LIP_PAIRS)[open_most] / gap(plain, INNER_LIP_PAIRS)[open_most]
    assert 1.3 < ratio < 1.7
    assert gap(staring, EYELID_PAIRS).std() < 0.5 * gap(plain, EYELID_PAIRS).std()


def test_poses_are_turned_by_their_share():
    turned = Rotation.from_euler("y", [[0], [10], [20], [30]], degrees=True)
    pose = Pose(turned.as_matrix(), np.array([1.0, 1, 1, 1]), np.array([[0.0, 0], [1, 0], [2, 0], [3, 0]]))
    middle = middle_of(pose)
    half = Strength(head=0.5).pose(pose, middle)
    assert Rotation.from_matrix(half.rotation).as_euler("YXZ", degrees=True)[:, 0] == pytest.approx(
        [7.5, 12.5, 17.5, 22.5]
    )
    assert half.position[:, 0] == pytest.approx([0.75, 1.25, 1.75, 2.25])


@pytest.mark.parametrize(
    ("strength", "only", "expected"),
    [
        (None, None, Strength()),
        ("1.2", None, Strength(1, 1.2, 1.2, 1.2)),
        ("head=.8, mouth=1.2", None, Strength(0.8, 1.2)),
        (None, "mouth,eyes", Strength(0, 1, 1, 0)),
        ("mouth=1.5", "mouth", Strength(0, 1.5, 0, 0)),
        ("2", "mouth", Strength(0, 2, 0, 0)),
    ],
)
def test_what_is_written_is_understood(strength, only, expected):
    assert Strength.parse(strength, only) == expected


@pytest.mark.parametrize(
    ("strength", "only"),
    [(given, None) for given in ("nose=1", "mouth=x", "-1", "4", "nan", "1,2", "=1", "")]
    + [(None, "lips"), (None, "")],
)
def test_what_is_not_understood_is_named(strength, only):
    with pytest.raises(UserError, match="--strength is|--only is"):
        Strength.parse(strength, only)


def test_the_drivers_own_proportions_cannot_be_strengthened(driving, source):
    with pytest.raises(UserError, match="--no-keep-proportions"):
        retarget(driving, source, RetargetConfig(keep_proportions=False, strength=Strength(mouth=2)))
