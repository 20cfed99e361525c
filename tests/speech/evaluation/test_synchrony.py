"""Where a mouth fits a sound, by a model that opens the jaw when it is loud."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from talking_corpus import RATE, mesh_motion, rig_motion, voice

from talkinghead.errors import UserError
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.corpora.recordings import Take
from talkinghead.speech.evaluation import synchrony as module
from talkinghead.speech.evaluation.synchrony import delay_by, synchrony
from talkinghead.speech.model import PhamModel, SpeechMotion
from talkinghead.speech.mouth_check import loudness
from talkinghead.speech.pham2017 import PhamConfig, PhamNetwork


class Loud(PhamModel):
    """Hears loudness alone."""

    def predict(self, audio, rate, *, fps=Fraction(30), **wishes):
        names = default_rig().expression_names
        weights = np.zeros((round(len(audio) / rate * fps), len(names)), np.float32)
        weights[:, names.index("jawOpen")] = 0.3 * loudness(audio, rate, fps=fps, frames=len(weights))
        return SpeechMotion(fps, blendshapes=weights, names=names)


@pytest.fixture
def model():
    return Loud(PhamNetwork(PhamConfig(hidden=2, layers=1)))


def late(seconds: float, delay: float) -> np.ndarray:
    """The drawn voice, starting `delay` seconds after the mouth."""
    whole = np.pad(voice(seconds), RATE)
    first = RATE - round(delay * RATE)
    return whole[first : first + round(seconds * RATE)]


@pytest.mark.parametrize("delay", [0.0, 0.24, -0.16])
def test_the_delay_of_a_sound_is_found(model, delay):
    found = synchrony(rig_motion(6), late(6, delay), RATE, [model])
    assert found.lag == pytest.approx(-delay, abs=0.03)
    assert found.sure and found.correlation > 0.6
    measured, figures = delay_by([model])(Take(late(6, delay), RATE, rig_motion(6)))
    assert measured == -found.lag and set(figures) == {"sync_correlation", "sync_lead"}


def test_a_model_known_to_be_late_is_heard_earlier(model, monkeypatch):
    monkeypatch.setattr(module, "LATE", {"pham": 0.04})
    assert synchrony(rig_motion(6), late(6, 0), RATE, [model]).lag == pytest.approx(0.04, abs=0.03)


def test_somebody_elses_voice_is_not_followed(model):
    take = Take(np.random.default_rng(3).normal(size=6 * RATE).astype(np.float32) * 0.1, RATE, rig_motion(6))
    assert not synchrony(take.motion, take.waveform, RATE, [model]).sure
    assert delay_by([model])(take) is None


def test_too_little_is_not_judged(model):
    assert synchrony(rig_motion(1), voice(1), RATE, [model]) is None
    still = rig_motion(3)
    still = replace(still, blendshapes=np.zeros_like(still.blendshapes))
    assert synchrony(still, voice(3), RATE, [model]) is None
    assert delay_by([model])(Take(voice(1), RATE, rig_motion(1))) is None
    assert delay_by([model])(Take(voice(3), RATE, None)) is None


def test_a_mesh_is_refused(model):
    with pytest.raises(UserError, match="expressions of the rig"):
        synchrony(mesh_motion(3), voice(3), RATE, [model])
