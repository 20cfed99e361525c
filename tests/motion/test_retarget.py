import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from talkinghead.face import landmarks as scheme
from talkinghead.face.crop import CropWindow, stable_windows, to_crop
from talkinghead.face.landmarks import eye_opening, interocular, mouth_opening
from talkinghead.motion.retarget import RetargetConfig, closest, local_sizes, retarget, study
from talkinghead.rig.files.own import average_face
from talkinghead.testing.drawn_person import Person, Pose
from talkinghead.testing.synthetic import random_motion

AVERAGE = average_face().neutral.astype(np.float64)
ANNA, BEN = 21, 29
PIVOT = np.array([0.0, 0.7, -1.2])
PHOTOS = [Pose(), Pose(yaw=0.25, smile=0.5), Pose(yaw=-0.2, mouth_open=0.3), Pose(pitch=0.12, roll=0.1, smile=-0.4)]


def seen(person: int, poses: list[Pose]) -> np.ndarray:
    """Landmarks of a drawn person (without the drawing, which takes longer), framed as tracks and photos are."""
    turned = []
    for pose in poses:
        (sy, sp, sr), (cy, cp, cr) = (f([pose.yaw, pose.pitch, pose.roll]) for f in (np.sin, np.cos))
        turn = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]) @ [[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]
        points = (Person.from_seed(person).face_points(pose) - PIVOT) @ (
            turn @ [[1, 0, 0], [0, cp, sp], [0, -sp, cp]]
        ).T
        flat = (points + PIVOT)[:, :2] * 14 / (14 - (points + PIVOT)[:, 2:])
        turned.append(0.5 + np.array(pose.shift) + (flat - [0, 0.63]) / 6.2 * pose.scale)
    landmarks = np.array(turned, np.float32)
    return to_crop(landmarks, CropWindow(*stable_windows(landmarks)[0])).astype(np.float32)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance of the landmarks over the interocular distance."""
    return float((np.linalg.norm(a - b, axis=-1).mean(-1) / interocular(b)).mean())


def proportions(landmarks: np.ndarray) -> np.ndarray:
    """Of faces to the front: jaw width, face length, brow height, mouth width, nose length, gap between the eyes."""
    pairs = [(2, 14), (27, 8), (19, 37), (48, 54), (27, 33), (39, 42)]
    lengths = [np.linalg.norm(landmarks[:, a] - landmarks[:, b], axis=-1) for a, b in pairs]
    return np.stack(lengths, -1) / interocular(landmarks)[:, None]


def test_the_persons_own_movement_comes_back():
    driving = seen(ANNA, random_motion(60, seed=5))
    assert distance(retarget(driving, seen(ANNA, PHOTOS)), driving) < 0.02


def test_one_photo_is_enough_for_the_persons_own_movement():
    driving = seen(ANNA, random_motion(60, seed=5))
    assert distance(retarget(driving, seen(ANNA, PHOTOS[:1])), driving) < 0.035


def test_a_strangers_movement_lands_on_the_persons_own_face():
    motion = random_motion(60, seed=6)
    driving, truth = seen(BEN, motion), seen(ANNA, motion)
    before, after = distance(driving, truth), distance(retarget(driving, seen(ANNA, PHOTOS)), truth)
    assert before > 0.07
    assert after < 0.65 * before


@pytest.mark.parametrize("mode", ["absolute", "relative"])
def test_proportions_are_the_avatars(mode):
    driving, source = seen(BEN, [Pose()] + random_motion(40, seed=7)), seen(ANNA, PHOTOS)
    ours = proportions(retarget(driving, source, RetargetConfig(mode, reference=0))[:1])
    driver, avatar = proportions(driving[:1]), proportions(source[:1])
    assert np.abs(ours - avatar).mean() < 0.4 * np.abs(driver - avatar).mean()


def test_proportions_are_the_drivers_if_asked_for():
    driving, source = seen(BEN, random_motion(20, seed=7)), seen(ANNA, PHOTOS)
    ours = retarget(driving, source, RetargetConfig(keep_proportions=False))
    assert np.allclose(proportions(ours), proportions(driving), atol=1e-3)


@pytest.mark.parametrize("mode", ["absolute", "relative"])
def test_closed_lips_stay_closed(mode):
    driving = seen(BEN, random_motion(30, seed=8))
    for upper, lower in ((61, 67), (62, 66), (63, 65)):
        driving[10, [upper, lower]] = driving[10, [upper, lower]].mean(0)
    moved = retarget(driving, seen(ANNA, PHOTOS), RetargetConfig(mode))
    assert mouth_opening(moved)[10] < 1e-4


def test_lips_stay_as_thick_when_they_close_further_than_at_the_start():
    motion = [Pose(mouth_open=0.4), Pose(mouth_open=0.2), Pose()]
    source = seen(ANNA, [Pose()])
    moved = retarget(seen(BEN, motion), source, RetargetConfig("relative", reference=0))
    thickness = [np.linalg.norm(lips[:, 51] - lips[:, 62], axis=-1) / interocular(lips) for lips in (moved, source)]
    below = [np.linalg.norm(lips[:, 57] - lips[:, 66], axis=-1) / interocular(lips) for lips in (moved, source)]
    assert thickness[0][2] > 0.7 * thickness[1][0]
    assert below[0][2] > 0.7 * below[1][0]


@pytest.mark.parametrize(
    ("inner", "shares"),
    [((61, 67), [0.5, 1, 0, 0, 0]), ((62, 66), [0, 0, 1, 0, 0]), ((63, 65), [0, 0, 0, 1, 0.5])],
)
def test_outer_lips_go_with_the_inner_ones_beside_them(inner, shares):
    """The driver's lips close where the photo's are closed already; the outer ones make room."""
    photo, gap = posed(), 0.02
    open_ = photo.copy()
    open_[inner, 1] += np.array([-gap / 2, gap / 2])
    moved = retarget(np.stack([open_, photo]), photo[None], RetargetConfig("relative", reference=0))[1] - photo
    assert moved[49:54, 1] == pytest.approx(-gap / 2 * np.array(shares), abs=0.1 * gap)
    assert moved[[59, 58, 57, 56, 55], 1] == pytest.approx(gap / 2 * np.array(shares), abs=0.1 * gap)


@pytest.mark.parametrize("mode", ["absolute", "relative"])
def test_closed_eyes_stay_closed(mode):
    driving = seen(BEN, random_motion(30, seed=8))
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        driving[10, [upper, lower]] = driving[10, [upper, lower]].mean(0)
    moved = retarget(driving, seen(ANNA, PHOTOS), RetargetConfig(mode))
    assert eye_opening(moved)[10] < 0.03 * np.median(eye_opening(moved))


def test_open_eyes_are_as_open_as_the_persons_own():
    wide, narrow = (max(range(12), key=lambda p: sign * eye_opening(seen(p, [Pose()]))[0]) for sign in (1, -1))
    motion = random_motion(60, seed=9)
    moved = retarget(seen(wide, motion), seen(narrow, PHOTOS))
    awake = np.array([pose.blink == 0 for pose in motion])
    own, theirs = eye_opening(seen(narrow, motion))[awake].mean(), eye_opening(seen(wide, motion))[awake].mean()
    assert abs(eye_opening(moved)[awake].mean() - own) < 0.25 * abs(theirs - own)


def test_the_mouth_opens_with_the_drivers():
    motion = random_motion(60, seed=6)
    moved = retarget(seen(BEN, motion), seen(ANNA, PHOTOS))
    assert np.corrcoef(mouth_opening(moved), mouth_opening(seen(ANNA, motion)))[0, 1] > 0.99


def reference_of(driving: np.ndarray, source: np.ndarray, *, confidence: np.ndarray | None = None) -> tuple[int, int]:
    """The driving frame and the source frame that are most alike."""
    known = np.ones(len(driving), bool) if confidence is None else confidence > 0
    return closest(study(driving, known), driving, study(source), source, seen=known)


def test_relative_movement_starts_at_a_source_frame():
    driving, source = seen(BEN, random_motion(40, seed=10)), seen(ANNA, PHOTOS)
    start, photo = reference_of(driving, source)
    moved = retarget(driving, source, RetargetConfig("relative"))
    eyes_and_lips = scheme.RIGHT_EYE + scheme.LEFT_EYE + scheme.OUTER_LIPS + scheme.INNER_LIPS
    others = np.setdiff1d(np.arange(68), eyes_and_lips)
    assert np.allclose(moved[start][others], source[photo][others], atol=1e-5)
    assert distance(moved[[start]], source[[photo]]) < 0.01


def test_relative_movement_in_the_plane_adds_what_the_driver_adds():
    driving, source = seen(BEN, random_motion(20, seed=10)), seen(ANNA, PHOTOS[:1])
    moved = retarget(
        driving, source, RetargetConfig("relative", keep_proportions=False, adapt_scale=False, reference=3)
    )
    assert np.allclose(moved, source[0] + driving - driving[3], atol=1e-6)


@pytest.mark.parametrize("keep_proportions", [True, False])
def test_relative_movement_is_as_large_in_the_crop_as_the_person_is(keep_proportions):
    """A driver half as large in the crop moves the person as far; half as far, if the size is not adapted."""
    source, shift = seen(ANNA, PHOTOS[:1]), np.float32([0.1, 0.06])
    driving = seen(BEN, [Pose()]) + shift * np.float32([0, 1, 2])[:, None, None]

    def moves(frames, **options):
        config = RetargetConfig("relative", keep_proportions=keep_proportions, reference=0, **options)
        moved = retarget(frames, source, config)
        return moved[1:] - moved[:1]

    ratio = np.linalg.norm(np.ptp(source, axis=1)) / np.linalg.norm(np.ptp(driving[:1], axis=1))
    assert np.allclose(moves(0.5 * driving + 0.2), moves(driving), atol=1e-4)
    assert moves(driving)[1].mean(0) == pytest.approx(2 * ratio * shift, rel=0.1)
    assert np.allclose(moves(driving, adapt_scale=False)[0], shift, atol=1e-4)
    assert np.allclose(moves(0.5 * driving, adapt_scale=False)[0], shift / 2, atol=1e-4)


def posed(*degrees: tuple[str, float], size: float = 0.3, at: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    """The average face, turned about its axes one after the other."""
    turn = Rotation.identity()
    for axis, angle in degrees:
        turn = Rotation.from_euler(axis, angle, degrees=True) * turn
    return (turn.apply(AVERAGE)[:, :2] * [1, -1] * size / 0.088 + at).astype(np.float32)


def test_relative_turns_come_on_top_of_the_photos():
    """The driver nods; the photo looks aside and stays so, nodding as the driver does, not about its own axis."""
    driving = np.stack([posed(("x", 5)), posed(("x", 20))])
    photo = posed(("y", 20), size=0.24, at=(0.45, 0.52))
    moved = retarget(driving, photo[None], RetargetConfig("relative", reference=0))
    assert np.allclose(moved[0], photo, atol=2e-3)
    assert np.allclose(moved[1], posed(("y", 20), ("x", 15), size=0.24, at=(0.45, 0.52)), atol=0.012)
    assert not np.allclose(moved[1], posed(("x", 15), ("y", 20), size=0.24, at=(0.45, 0.52)), atol=0.012)


def test_relative_expressions_come_on_top_of_the_photos():
    """The driver lifts the brows and drops the chin from one frame to the next: so does the photo."""
    photo = posed()
    photo[6:11, 0] += 0.01
    lifted = posed()
    lifted[17:27, 1] -= 0.015
    lifted[6:11, 1] += 0.015
    moved = retarget(np.stack([posed(), lifted]), photo[None], RetargetConfig("relative", reference=0))[1] - photo
    still = [*range(28, 36), 36, 39, 42, 45]
    assert (moved[17:27] - moved[still].mean(0)).mean(0) == pytest.approx((0, -0.015), abs=0.004)
    assert (moved[6:11] - moved[still].mean(0)).mean(0) == pytest.approx((0, 0.015), abs=0.004)


def test_relative_size_follows_how_the_driver_comes_nearer():
    driving = np.stack([posed(size=0.2), posed(size=0.25)])
    moved = retarget(driving, posed(size=0.3)[None], RetargetConfig("relative", reference=0))
    assert np.allclose(moved[1], posed(size=0.375), atol=3e-3)


def test_relative_movement_starts_at_the_photo_most_like_the_reference():
    poses = [Pose(yaw=0.3), Pose(yaw=-0.3), Pose(mouth_open=0.9), Pose(pitch=0.2), Pose(pitch=-0.2), Pose(roll=0.3)]
    driving, source = seen(BEN, poses), seen(ANNA, poses)
    for frame in range(6):
        moved = retarget(driving, source, RetargetConfig("relative", reference=frame))
        assert distance(moved[[frame]], source[[frame]]) < 0.02


def test_a_reference_may_be_counted_from_the_end():
    driving, source = seen(BEN, random_motion(12, seed=10)[::3]), seen(ANNA, PHOTOS)
    last, same = (retarget(driving, source, RetargetConfig("relative", reference=at)) for at in (-1, 3))
    assert np.array_equal(last, same)


def test_the_face_stays_in_the_middle_of_where_the_drivers_is():
    driving, source = (
        seen(BEN, [Pose(), Pose(shift=(0.2, -0.1)), Pose(shift=(-0.2, 0.1), scale=1.3)]),
        seen(ANNA, PHOTOS),
    )
    for keep_proportions in (True, False):
        moved = retarget(driving, source, RetargetConfig(keep_proportions=keep_proportions))
        middles = [(points.min(1) + points.max(1)) / 2 for points in (moved, driving)]
        assert np.abs(middles[0] - middles[1]).max() < 0.02


def stretched(points: list[int], axis: int, factor: float) -> np.ndarray:
    """The average face with some points farther from their middle."""
    face = AVERAGE.copy()
    middle = face[points, axis].mean()
    face[points, axis] = middle + factor * (face[points, axis] - middle)
    return face


MOUTH = [*scheme.OUTER_LIPS, *scheme.INNER_LIPS]


@pytest.mark.parametrize(("factor", "size"), [(1.2, 1.2), (0.8, 0.8), (3.0, 1.4), (0.3, 0.7)])
def test_a_wider_mouth_moves_more_and_the_chin_with_it(factor, size):
    wide = stretched(MOUTH, 0, factor)
    sizes = local_sizes(AVERAGE, wide)
    width = np.linalg.norm(wide[48] - wide[54]) / np.linalg.norm(AVERAGE[48] - AVERAGE[54])
    assert np.clip(width, 0.7, 1.4) == pytest.approx(size, abs=0.02)
    assert np.allclose(sizes[MOUTH], np.clip(width, 0.7, 1.4))
    jaw = 1 + (np.clip(width, 0.7, 1.4) - 1) * np.array([0, 0, 0, 1 / 3, 2 / 3, *[1] * 7, 2 / 3, 1 / 3, 0, 0, 0])
    assert np.allclose(sizes[:17], jaw[:, None])
    assert np.allclose(sizes[17:48], 1, atol=1e-6)


@pytest.mark.parametrize("eye", [scheme.RIGHT_EYE, scheme.LEFT_EYE])
def test_eyes_move_as_wide_and_as_high_as_they_are_and_brows_as_they_stand_above(eye):
    brow, other = (scheme.RIGHT_BROW, scheme.LEFT_EYE) if eye[0] == 36 else (scheme.LEFT_BROW, scheme.RIGHT_EYE)
    wide = local_sizes(AVERAGE, stretched(eye, 0, 1.25))
    assert wide[eye][:, 0] == pytest.approx(1.25, abs=0.03)
    assert wide[brow][:, 0] == pytest.approx(1.25, abs=0.03)
    assert np.allclose(wide[eye][:, 2], 1)
    high = local_sizes(AVERAGE, stretched(eye, 1, 1.3))
    assert high[eye][:, 1] == pytest.approx(1.3, abs=0.03)
    lifted = AVERAGE.copy()
    lifted[brow, 1] += 0.2 * (AVERAGE[brow, 1].mean() - AVERAGE[eye, 1].mean())
    assert np.allclose(local_sizes(AVERAGE, lifted)[brow][:, 1], 1.2)
    for sizes in (wide, high, local_sizes(AVERAGE, lifted)):
        assert np.allclose(sizes[[*other, *MOUTH, *range(17)]], 1)


@pytest.mark.parametrize(("closed", "open_"), [(0, 1.0), (6, 1.0), (8, 0.5)])
def test_eyes_are_open_as_they_are_in_three_frames_of_ten(closed, open_):
    face = posed()
    shut = face.copy()
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        shut[[upper, lower]] = shut[[upper, lower]].mean(0)
    frames = np.stack([shut] * closed + [face] * (10 - closed))
    found = study(frames).face
    lids = np.linalg.norm(found[[37, 38, 43, 44]] - found[[41, 40, 47, 46]], axis=1)
    true = np.linalg.norm(AVERAGE[[37, 38, 43, 44]] - AVERAGE[[41, 40, 47, 46]], axis=1)
    if open_ == 1:
        assert lids == pytest.approx(true, rel=0.15)
    else:
        assert (lids < 0.75 * true).all()


def test_inner_lips_rest_closed():
    talking = posed()
    talking[65:68, 1] += 0.03
    found = study(talking[None]).face
    assert np.allclose(found[[61, 62, 63]], found[[67, 66, 65]])


def test_the_best_reference_looks_alike_in_pose_and_expression():
    motion = [Pose(yaw=0.3), Pose(mouth_open=0.9), Pose(roll=-0.3), Pose(smile=0.8), Pose(yaw=-0.2, mouth_open=0.3)]
    for frame, pose in enumerate(motion):
        assert reference_of(seen(BEN, motion), seen(ANNA, [pose]))[0] == frame


def test_frames_without_a_face_are_no_reference_and_teach_nothing():
    driving, source = seen(BEN, random_motion(30, seed=11)), seen(ANNA, PHOTOS)
    lost = driving.copy()
    lost[10:15] = np.random.default_rng(0).uniform(0, 1, (5, 68, 2))
    confidence = np.ones(30, np.float32)
    confidence[10:15] = 0
    assert not 10 <= reference_of(lost, source, confidence=confidence)[0] < 15
    kept = confidence > 0
    both = [retarget(frames, source, confidence=confidence)[kept] for frames in (driving, lost)]
    assert np.array_equal(*both)
    assert np.isfinite(retarget(lost, source, confidence=0 * confidence)).all()


def test_scale_is_the_avatars():
    driving = 0.5 + 0.6 * (seen(ANNA, random_motion(40, seed=12)) - 0.5)
    source = seen(ANNA, PHOTOS)
    size = np.median(interocular(source[:1]))
    adapted, kept = (
        np.median(interocular(retarget(driving, source, RetargetConfig(adapt_scale=a)))) for a in (True, False)
    )
    assert abs(adapted / size - 1) < 0.08
    assert abs(kept / size - 0.6) < 0.05


def test_one_frame_is_enough():
    assert retarget(seen(BEN, [Pose()]), seen(ANNA, [Pose()])).shape == (1, 68, 2)


@pytest.mark.parametrize("mode", ["absolute", "relative"])
def test_the_blocks_of_a_long_video_do_not_show(mode, monkeypatch: pytest.MonkeyPatch):
    driving, source = seen(BEN, random_motion(30, seed=13)), seen(ANNA, PHOTOS[:2])
    whole = retarget(driving, source, RetargetConfig(mode))
    monkeypatch.setattr("talkinghead.motion.retarget.BLOCK", 7)
    assert np.allclose(retarget(driving, source, RetargetConfig(mode)), whole, atol=1e-6)


def test_impossible_requests_are_refused():
    face = seen(ANNA, [Pose()])
    with pytest.raises((ValueError, TypeError), match="motion"):
        retarget(face, face, RetargetConfig("sideways"))
    with pytest.raises(ValueError, match="0 driving and 1 source"):
        retarget(face[:0], face)
    with pytest.raises(ValueError, match="1 driving and 0 source"):
        retarget(face, face[:0])
    with pytest.raises(ValueError, match="frame 7 of 1"):
        retarget(face, face, RetargetConfig("relative", reference=7))
