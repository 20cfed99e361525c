import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.fitting.fit import BLOCK, fit_motion
from talkinghead.rig.fitting.person import FitSettings, fit_person
from talkinghead.rig.fitting.solver import bounded
from talkinghead.rig.head_pose import Pose
from talkinghead.rig.rig import Rig, pose_of_rotation, rotation_matrix

FRAMES = 120
FPS = 30.0


@pytest.fixture(scope="module")
def rig() -> Rig:
    return default_rig()


def seen(rig: Rig, weights: np.ndarray, pose: np.ndarray, *, identity: np.ndarray, noise: float = 0.0, seed: int = 0):
    """Landmarks of a motion rendered from the rig."""
    frames, random = len(weights), np.random.default_rng(seed)
    points = rig.landmarks_3d(rig.vertices(weights, identity))
    scale = 4.0 * (1 + 0.05 * np.sin(np.arange(frames) / 20))
    shift = 0.5 + 0.02 * np.stack([np.sin(np.arange(frames) / 15), np.cos(np.arange(frames) / 25)], 1)
    landmarks = Pose(rotation_matrix(pose), scale, shift).project(points) + random.normal(0, noise, (frames, 68, 2))
    return landmarks.astype(np.float32)


def moving(seed: int, *, active: int = 8, frames: int = FRAMES) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights of a few expressions that come and go, a head that turns, and an identity."""
    random = np.random.default_rng(seed)
    weights = np.zeros((frames, 46))
    chosen = random.choice(46, active, replace=False)
    curves = gaussian_filter1d(random.normal(size=(frames, active)), 5, axis=0)
    weights[:, chosen] = np.clip(0.3 * curves / curves.std(0), 0, 1)
    turns = gaussian_filter1d(random.normal(size=(frames, 3)), 15, axis=0)
    return weights, turns / turns.std(0) * [0.25, 0.12, 0.1], 0.8 * random.normal(size=20)


def speaking(frames: int = FRAMES) -> tuple[np.ndarray, np.ndarray]:
    """Weights and pose of somebody who talks, smiles and blinks."""
    weights, times = np.zeros((frames, 46)), np.arange(frames) / FPS
    curves = {
        "jawOpen": 0.3 * np.clip(np.sin(2 * np.pi * 2.5 * times), 0, 1),
        "mouthPucker": 0.6 * np.clip(np.sin(2 * np.pi * 0.9 * times + 1), 0, 1),
        "browInnerUp": 0.7 * np.clip(np.sin(2 * np.pi * 0.5 * times), 0, 1),
    }
    smile = 0.6 * np.clip(np.sin(2 * np.pi * 0.4 * times + 3), 0, 1)
    blink = np.clip(1.3 - np.abs((times % 1.3) - 0.6) / 0.1, 0, 1)
    curves |= {f"mouthSmile{side}": smile for side in ("Left", "Right")}
    curves |= {f"eyeBlink{side}": blink for side in ("Left", "Right")}
    for name, curve in curves.items():
        weights[:, RIG_NAMES.index(name)] = curve
    pose = np.stack([0.3 * np.sin(times), 0.1 * np.sin(1.7 * times), 0.1 * np.cos(times)], 1)
    return weights, pose


def degrees_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    turn = rotation_matrix(a.astype(np.float64)) @ rotation_matrix(b).swapaxes(1, 2)
    return np.degrees(np.arccos(np.clip((np.trace(turn, axis1=1, axis2=2) - 1) / 2, -1, 1)))


@pytest.mark.parametrize("seed", range(4))
def test_pose_and_weights_of_an_unknown_person_are_recovered(rig, seed):
    weights, pose, identity = moving(seed)
    fit = fit_motion(seen(rig, weights, pose, identity=identity), np.ones(FRAMES, np.float32), FPS, rig)
    assert degrees_between(fit.pose, pose).mean() < 2
    assert np.abs(fit.weights - weights).mean() < 0.05
    assert np.median(fit.reprojection_error) < 0.005


def test_weights_of_expressions_that_occur_are_recovered_and_not_shrunk(rig):
    """All but gaze, of which 68 points show the lids alone."""
    lids_alone = [name.startswith("eyeLook") for name in RIG_NAMES]
    occurring, active = [], []
    for seed in range(6):
        weights, pose, identity = moving(seed)
        fit = fit_motion(seen(rig, weights, pose, identity=identity), np.ones(FRAMES, np.float32), FPS, rig)
        error = np.abs(fit.weights - weights)
        kept = (weights.max(0) > 0) & ~np.array(lids_alone)
        occurring.append(error[:, kept].mean())
        active.append(error[:, kept][weights[:, kept] > 0.05].mean())
    assert np.mean(occurring) < 0.03 and np.mean(active) < 0.05


def test_noisy_landmarks_make_up_no_expressions(rig):
    """What occurs is believed sooner than in one pass; what does not is as quiet."""
    weights, pose, identity = moving(3)
    landmarks = seen(rig, weights, pose, identity=identity, noise=0.003)
    once, more = (
        np.abs(fit_motion(landmarks, np.ones(FRAMES, np.float32), FPS, rig, settings=settings).weights - weights)
        for settings in (FitSettings(passes=0), FitSettings())
    )
    occurs = weights.max(0) > 0
    assert more[:, occurs].mean() < 0.95 * once[:, occurs].mean()
    assert more[:, ~occurs].mean() < 0.005


def test_what_matters_in_speech_is_recovered_column_by_column(rig):
    weights, pose = speaking()
    identity = 0.8 * np.random.default_rng(5).normal(size=20)
    landmarks = seen(rig, weights, pose, identity=identity, noise=0.002)
    fit = fit_motion(landmarks, np.ones(FRAMES, np.float32), FPS, rig)
    assert degrees_between(fit.pose, pose).mean() < 2
    for name in ("jawOpen", "mouthPucker", "eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight"):
        column = RIG_NAMES.index(name)
        assert np.corrcoef(fit.weights[:, column], weights[:, column])[0, 1] > 0.9, name
    assert np.abs(fit.weights - weights).mean() < 0.05


def test_a_person_who_is_known_needs_no_looking_for(rig):
    weights, pose, identity = moving(7)
    person = fit_person(seen(rig, weights, pose, identity=identity), rig, identity=identity)
    assert np.allclose(person.identity, identity, atol=0.01)
    fit = fit_motion(seen(rig, weights, pose, identity=identity), np.ones(FRAMES, np.float32), FPS, rig, person=person)
    assert np.abs(fit.weights - weights).mean() < 0.02 and degrees_between(fit.pose, pose).mean() < 1
    assert fit.identity is person.identity


def test_identity_is_found_better_than_the_average_face(rig):
    """But for its size and stance, which landmarks of one camera cannot tell."""
    small, errors = rig.at_landmarks(), []
    for seed in (8, 9, 10):
        weights, pose, identity = moving(seed)
        found = fit_person(seen(rig, weights, pose, identity=identity), rig).points(rig).base
        true = small.neutral + np.einsum("m,mni->ni", identity, small.identity)
        errors.append([aligned_distance(face, true) for face in (found, small.neutral)])
    found_error, average_error = np.mean(errors, 0)
    assert found_error < 0.5 * average_error


def aligned_distance(face: np.ndarray, true: np.ndarray) -> float:
    """Mean distance of points after the best turn, shift and scaling."""
    centred, target = face - face.mean(0), true - true.mean(0)
    left, size, right = np.linalg.svd(target.T @ centred)
    turned = size.sum() / (centred**2).sum() * centred @ (left @ right).T
    return float(np.linalg.norm(turned - target, axis=1).mean())


def test_weights_stay_in_bounds_whatever_the_landmarks(rig):
    landmarks = np.random.default_rng(9).uniform(0, 1, (20, 68, 2)).astype(np.float32)
    fit = fit_motion(landmarks, np.ones(20, np.float32), FPS, rig)
    assert fit.weights.min() >= 0 and fit.weights.max() <= 1
    assert np.isfinite(fit.pose).all() and np.isfinite(fit.reprojection_error).all() and (fit.scale > 0).all()


def test_noise_moves_the_weights_less_than_without_smoothing(rig):
    weights, pose = np.zeros((60, 46)), np.zeros((60, 3))
    landmarks = seen(rig, weights, pose, identity=np.zeros(20), noise=0.004)
    person = fit_person(landmarks, rig)
    held, free = (
        fit_motion(landmarks, np.ones(60, np.float32), FPS, rig, person=person, settings=FitSettings(weight_step=step))
        for step in (0.02, 10.0)
    )
    assert np.abs(np.diff(held.weights, axis=0)).mean() < 0.7 * np.abs(np.diff(free.weights, axis=0)).mean()


def test_frames_without_a_face_are_bridged(rig):
    weights, pose, identity = moving(10, frames=40)
    landmarks, confidence = seen(rig, weights, pose, identity=identity), np.ones(40, np.float32)
    whole = fit_motion(landmarks, confidence, FPS, rig)
    confidence[15:18] = 0
    landmarks[15:18] = 0.1
    fit = fit_motion(landmarks, confidence, FPS, rig, person=whole.person)
    middle = (fit.weights[14] + fit.weights[18]) / 2
    assert np.allclose(fit.weights[16], middle, atol=1e-5)
    assert degrees_between(fit.pose[16:17], pose[16:17])[0] < 5 and fit.reprojection_error[16] > 1


def test_a_long_motion_is_solved_in_blocks_without_seams(rig):
    frames = 2 * BLOCK + 10
    weights, pose, identity = moving(11, frames=frames)
    landmarks = seen(rig, weights, pose, identity=identity)
    person = fit_person(landmarks, rig)
    fit = fit_motion(landmarks, np.ones(frames, np.float32), FPS, rig, person=person)
    steps = np.abs(np.diff(fit.weights - weights, axis=0)).max(1)
    assert fit.weights.shape == (frames, 46) and steps[[BLOCK - 1, 2 * BLOCK - 1]].max() < 0.1


def test_a_mirrored_face_has_the_mirrored_pose_and_weights(rig):
    from talkinghead.face.landmarks import mirror

    weights, pose, _ = moving(12, frames=30)
    landmarks = seen(rig, weights, pose, identity=np.zeros(20))
    one, other = (fit_motion(points, np.ones(30, np.float32), FPS, rig) for points in (landmarks, mirror(landmarks)))
    assert np.allclose(one.pose * [-1, 1, -1], other.pose, atol=0.03)
    jaw = RIG_NAMES.index("jawOpen")
    assert np.allclose(one.weights[:, jaw], other.weights[:, jaw], atol=0.05)


def test_the_bounded_problem_is_solved_as_by_an_independent_solver():
    from scipy.optimize import lsq_linear

    random = np.random.default_rng(13)
    design, target = random.normal(size=(12, 5)), random.normal(size=12)
    matrix, vector = (design.T @ design)[None], (design.T @ target)[None]
    found = np.zeros((1, 5))
    for _ in range(20):
        found = bounded(matrix, vector, found, walk=np.zeros(5))
    assert np.allclose(found[0], lsq_linear(design, target, (0, 1)).x, atol=1e-3)


def test_neighbours_pull_each_other():
    matrix, vector = np.tile(np.eye(1), (3, 1, 1)), np.array([[0.0], [1.0], [0.0]])
    free = bounded(matrix, vector, np.zeros((3, 1)), walk=np.zeros(1))
    held = np.zeros((3, 1))
    for _ in range(20):
        held = bounded(matrix, vector, held, walk=np.full(1, 10.0))
    assert np.allclose(free[:, 0], [0, 1, 0], atol=2e-3)
    assert np.ptp(held) < 0.2 and held.mean() == pytest.approx(1 / 3, abs=0.01)


def test_it_needs_a_face_and_a_rate(rig):
    landmarks = np.full((3, 68, 2), 0.5, np.float32)
    with pytest.raises(ValueError, match="none of the 3 frames shows a face"):
        fit_motion(landmarks, np.zeros(3, np.float32), FPS, rig)
    with pytest.raises(ValueError, match="fps is 0"):
        fit_motion(landmarks, np.ones(3, np.float32), 0.0, rig)


def test_poses_come_back_from_matrices():
    pose = np.array([[0.2, -0.1, 0.3]])
    assert np.allclose(pose_of_rotation(rotation_matrix(pose)), pose)
