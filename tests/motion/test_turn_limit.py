import numpy as np
import pytest
from people import turned_face

from talkinghead.face.landmarks import mouth_opening
from talkinghead.motion.turn_limit import TurnLimit
from talkinghead.rig.files.own import average_face
from talkinghead.rig.head_pose import estimate_pose


def yaw_of(landmarks: np.ndarray) -> np.ndarray:
    """Degrees to the side that heads face."""
    facing = estimate_pose(landmarks.astype(np.float64), average_face().neutral.astype(np.float64)).rotation[:, :, 2]
    return np.degrees(np.arctan2(facing[:, 0], facing[:, 2]))


def test_turns_are_limited_steadily_and_only_far_away_from_all_photos():
    photos = np.stack([turned_face(0), turned_face(20)])
    angles = np.arange(-70.0, 71.0)
    moving = np.stack([turned_face(angle) for angle in angles])
    kept = TurnLimit(photos, most=30)(moving)
    near = (angles >= -18) & (angles <= 38)
    assert np.array_equal(kept[near], moving[near])
    yaw = yaw_of(kept) * np.sign(yaw_of(moving)[-1])
    assert yaw.min() == pytest.approx(-30, abs=3)
    assert yaw.max() == pytest.approx(50, abs=3)
    assert (np.diff(yaw) > -0.05).all()
    assert np.abs(np.diff(kept, axis=0)).max() < 1.2 * np.abs(np.diff(moving, axis=0)).max()
    assert np.array_equal(TurnLimit(photos, most=180)(moving), moving)


def test_a_turn_is_limited_softly():
    """Free up to 20 of 30 degrees; what goes beyond, x, counts 10 (1 - exp(-x / 10))."""
    moving = np.stack([turned_face(angle) for angle in (15, 25, 30, 40, 70)])
    yaw = yaw_of(TurnLimit(turned_face(0)[None], most=30)(moving)) - yaw_of(turned_face(0)[None])
    beyond = np.array([5, 10, 20, 50])
    wanted = [15, *20 + 10 * (1 - np.exp(-beyond / 10))]
    assert np.abs(yaw) == pytest.approx(wanted, abs=0.5)


def test_a_lean_is_no_turn_and_a_mouth_stays_open_when_a_turn_is_limited():
    photo = turned_face(0)
    spin = np.array([[0.5, -0.87], [0.87, 0.5]], np.float32)
    leaning = ((photo - 0.5) @ spin.T + 0.5)[None]
    assert np.array_equal(TurnLimit(photo[None], most=30)(leaning), leaning)
    talking = np.stack([turned_face(50)] * 2)
    talking[1, [57, 58, 56, 65, 66, 67]] += np.float32([0, 0.03])
    kept = TurnLimit(photo[None], most=30)(talking)
    assert mouth_opening(kept)[1] > mouth_opening(kept)[0] + 0.05


def test_between_two_photos_nothing_jumps():
    photos = np.stack([turned_face(-40), turned_face(40)])
    moving = np.stack([turned_face(angle) for angle in range(-6, 7)])
    kept = TurnLimit(photos, most=30)(moving)
    assert np.abs(np.diff(kept, axis=0)).max() < 3 * np.abs(np.diff(moving, axis=0)).max()


@pytest.mark.parametrize("most", [0, -5, float("nan")])
def test_a_head_that_may_not_turn_at_all_is_refused(most):
    with pytest.raises(ValueError, match="most is"):
        TurnLimit(turned_face(0)[None], most=most)(turned_face(0)[None])
