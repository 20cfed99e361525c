import numpy as np
import pytest

from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.fitting.evidence import LEAST_DOUBT, LEAST_NOISE, MOST_DOUBT, UNSEEN, learned, standard_errors
from talkinghead.rig.fitting.person import FitSettings, penalties_of
from talkinghead.rig.fitting.solver import Penalties, Points, State
from talkinghead.rig.rig import Rig, rotation_matrix

FRAMES = 60
SMILE, BROW = RIG_NAMES.index("mouthSmileLeft"), RIG_NAMES.index("browInnerUp")


@pytest.fixture(scope="module")
def rig() -> Rig:
    return default_rig()


@pytest.fixture(scope="module")
def points(rig) -> Points:
    small = rig.at_landmarks()
    return Points(small.neutral.astype(np.float64), small.expressions.astype(np.float64))


@pytest.fixture(scope="module")
def prior(rig) -> Penalties:
    return penalties_of(rig, FitSettings(noise=0.01))


def smiling(swing: float, brow: float = 0.0) -> State:
    """A head that turns a little, a smile that comes and goes, and a brow that is held."""
    weights = np.zeros((FRAMES, 46))
    weights[:, SMILE] = swing * (np.arange(FRAMES) % 20 > 9)
    weights[:, BROW] = brow
    pose = np.stack([0.2 * np.sin(np.arange(FRAMES) / 9), np.zeros(FRAMES), np.zeros(FRAMES)], 1)
    return State(rotation_matrix(pose), np.full(FRAMES, 4.0), np.full((FRAMES, 2), 0.5), weights)


def study(state: State, points: Points, prior: Penalties, *, noise: float = 0.0, believed: State | None = None):
    frames = state.predict(points) + 4.0 * np.random.default_rng(0).normal(0, noise, (FRAMES, 68, 2))
    return learned(frames, np.ones((FRAMES, 68)), points, believed or state, prior=prior)


@pytest.mark.parametrize("noise", [0.0005, 0.001])
def test_noise_is_what_no_expression_can_make(points, prior, noise):
    assert study(smiling(0.5), points, prior, noise=noise).noise == pytest.approx(UNSEEN * noise, rel=0.1)


def test_noise_does_not_depend_on_how_good_the_weights_are(points, prior):
    wrong = study(smiling(0.5), points, prior, noise=0.0005, believed=smiling(0.1))
    assert wrong.noise == pytest.approx(UNSEEN * 0.0005, rel=0.1)


def test_noise_stays_between_its_bounds(points, prior):
    assert study(smiling(0.5), points, prior).noise == LEAST_NOISE
    assert study(smiling(0.5), points, prior, noise=0.02).noise == prior.noise


def test_a_photo_says_nothing_of_its_noise(points, prior):
    state = smiling(0.5).part(slice(10, 11))
    found = learned(state.predict(points), np.ones((1, 68)), points, state, prior=prior)
    assert found.noise == prior.noise and np.allclose(found.rate, prior.rate)


def test_what_moves_clearly_is_less_rare_and_what_stays_is_as_rare_as_before(points, prior):
    rates = study(smiling(0.5, brow=0.4), points, prior).rate / prior.rate
    assert LEAST_DOUBT / (LEAST_DOUBT + 0.5) <= rates[SMILE] < 0.1
    assert np.allclose(np.delete(rates, SMILE), 1)


def test_the_noisier_the_landmarks_the_more_an_expression_must_move(points, prior):
    quiet, loud = (study(smiling(0.3), points, prior, noise=noise).rate[SMILE] for noise in (0.0, 0.002))
    assert quiet < 0.3 * loud


def test_the_standard_error_is_that_of_the_inverse_information_or_the_most():
    information = np.array([[2.0, 1.0], [1.0, 2.0]]) * 1e4
    assert np.allclose(standard_errors(information), np.sqrt(2 / 3 * 1e-4), rtol=1e-3)
    assert np.allclose(standard_errors(np.zeros((3, 3))), MOST_DOUBT)
