"""Each kind learns drawn speech; what is not random stays so; a run can be resumed."""

import numpy as np
import pytest
import torch
from fake_gpu import GPU, fake_gpu
from pytorch_lightning import Trainer
from talking_corpus import make_corpus
from torch.utils.data import DataLoader

from talkinghead.rig.files.own import default_rig
from talkinghead.speech import karras2017
from talkinghead.speech.corpora import sequences as tracks_module
from talkinghead.speech.corpora.sequences import read_tracks
from talkinghead.speech.model import KarrasModel, PhamModel, VocaModel
from talkinghead.speech.training.base import Batches, Recipe, SpeechData, SpeechTraining
from talkinghead.speech.training.karras import KarrasRecipe, mine_emotions
from talkinghead.speech.training.pham import PhamRecipe, shares, turned
from talkinghead.speech.training.voca import VocaRecipe, speaker_names

RECIPES = {
    "karras": KarrasRecipe(lr=1e-3, emotion=4, basis=8, segments=4, frames=3, loudness=False),
    "pham": PhamRecipe(lr=5e-3, hidden=16, layers=1, stretches=4, frames=20, dropout=0.0, ema=0.0, velocity=1.0),
    "voca": VocaRecipe(lr=3e-3, basis=8, pairs=16),
}


def loud_scores(waveform, backend):
    """Stands for hama: one class when it is loud, another when it is quiet."""
    count = max(1, round(len(waveform) / 320))
    level = np.abs(np.resize(waveform, count * 320)).reshape(count, 320).mean(1)
    scores = np.zeros((count, 29), np.float32)
    scores[:, 0], scores[:, 28] = 20 * level, 5 - 20 * level
    return scores


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("speech") / "corpus", speakers=("anna", "ben"))


@pytest.fixture(scope="module")
def mesh_folder(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("meshes") / "corpus", speakers=("anna", "ben"), meshes=True)


@pytest.fixture
def tracks(folder, monkeypatch):
    monkeypatch.setattr(tracks_module, "phonetic_scores", loud_scores)
    return read_tracks([folder], "train")


@pytest.fixture
def small_tracks(mesh_folder, monkeypatch):
    """Meshes of four vertices, so that learning is quick."""
    monkeypatch.setattr(tracks_module, "phonetic_scores", loud_scores)
    return read_tracks([mesh_folder], "train")


def learn(training: SpeechTraining, batches: Batches, steps: int) -> list[float]:
    optimiser = training.configure_optimizers()
    training.train()
    sizes = []
    for step in range(steps):
        total = torch.stack(list(training.terms(batches.batch(step)).values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        sizes.append(total.item())
    return sizes


def distance(training: SpeechTraining, batch: dict[str, torch.Tensor]) -> float:
    training.eval()
    with torch.no_grad():
        if "windows" in batch:
            style = batch["style"].repeat_interleave(2, 0)
            predicted = training.network(batch["windows"].flatten(0, 1), style).view(batch["offsets"].shape)
            return (predicted - batch["offsets"]).square().mean().item()
        if "expressions" in batch:
            return (training.network(batch["features"])[1] - batch["expressions"]).square().mean().item()
        emotion = torch.zeros(*batch["emotion"].shape, 4)
        return (training.network.forward_segments(batch["features"], emotion) - batch["offsets"]).square().mean().item()


@pytest.mark.parametrize("kind", RECIPES)
def test_each_kind_learns_what_it_hears(kind, tracks, small_tracks, monkeypatch):
    torch.manual_seed(0)
    recipe, chosen = RECIPES[kind], tracks if kind == "pham" else small_tracks
    training, batches = recipe.training(chosen, 60, 0), recipe.batches(chosen, 0)
    if kind == "karras":  # its noise asks for more steps than a test has
        monkeypatch.setattr(karras2017, "NOISE", 0.1)
        one = batches.batch(0)
        monkeypatch.setattr(batches, "batch", lambda _: one)
    unseen = batches.batch(1000)
    before = distance(training, unseen)
    learn(training, batches, 60)
    assert distance(training, unseen) < 0.5 * before


@pytest.mark.parametrize("kind", RECIPES)
def test_a_step_runs_on_a_gpu_the_host_does_not_wait_and_the_model_comes_back(kind, tracks):
    recipe = RECIPES[kind]
    training = recipe.training(tracks, 10, 0).to(GPU)
    batch = {name: value.to(GPU) for name, value in recipe.batches(tracks, 0).batch(0).items()}
    optimiser = training.configure_optimizers()
    with fake_gpu() as watch:
        for _ in range(2):
            watch.waits.clear()
            torch.stack(list(training.terms(batch).values())).sum().backward()
            optimiser.step()
        assert not watch.waits
        model = training.shipped({})
    assert {value.device.type for value in model.network.state_dict().values()} == {"cpu"}


@pytest.mark.parametrize("kind", RECIPES)
def test_batches_depend_on_seed_and_step_alone(kind, tracks):
    one, two = (RECIPES[kind].batches(tracks, 3) for _ in range(2))
    for name, value in one.batch(7).items():
        torch.testing.assert_close(value, two.batch(7)[name])
    first = next(iter(one.batch(7).values()))
    assert not torch.equal(first, next(iter(one.batch(8).values())))
    assert not torch.equal(first, next(iter(RECIPES[kind].batches(tracks, 4).batch(7).values())))


def test_a_resumed_run_draws_the_batches_that_are_left(tracks):
    batches = RECIPES["pham"].batches(tracks, 0)
    left = list(SpeechData(batches, steps=5, first_step=3).train_dataloader())
    assert len(left) == 2
    torch.testing.assert_close(left[0]["features"], batches.batch(3)["features"])


@pytest.mark.parametrize("kind, made", [("karras", KarrasModel), ("pham", PhamModel), ("voca", VocaModel)])
def test_what_is_shipped_speaks_from_the_rigs_face(kind, made, tracks, monkeypatch):
    from talkinghead.speech import model as model_module

    monkeypatch.setattr(model_module, "phonetic_scores", loud_scores)
    training = RECIPES[kind].training(tracks, 10, 0)
    model = training.shipped({"note": "a test"})
    assert isinstance(model, made) and model.provenance == {"note": "a test"} and model.rig == tracks[0].face.rig
    motion = model.predict(tracks[0].sequence.audio(16000), 16000)
    if motion.vertices is not None:
        assert np.abs(motion.vertices - tracks[0].face.template).max() < 0.1
    else:
        assert motion.blendshapes.shape == (60, 46)


def test_segments_pair_sound_with_its_own_time(tracks):
    """A window that starts in row r has its middle at r x 2 ms, where its offsets must be from."""
    batches = RECIPES["karras"].batches(tracks, 0)
    part = batches.segment(np.random.default_rng(5), 1)
    track = tracks[1]
    rows = [int(np.flatnonzero((track.autocorrelation == row).all(1))[0]) for row in part["features"][[0, 4]]]
    assert rows[1] - rows[0] == 4 * 4
    np.testing.assert_allclose(part["offsets"][0], track.offsets(np.array([rows[0] / 500]))[0], atol=1e-6)
    np.testing.assert_allclose(part["offsets"][1], track.offsets(np.array([rows[1] / 500]))[0], atol=1e-6)
    first = len(tracks[0])
    assert part["emotion"][0] == first + round(rows[0] / 500 * 30)


def test_a_segment_of_one_frame_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        KarrasRecipe(frames=1)


def test_losses_may_stay_unbalanced(tracks):
    recipe = KarrasRecipe(emotion=4, basis=8, segments=2, balanced=False)
    training = recipe.training(tracks, 10, 0)
    terms = training.terms(recipe.batches(tracks, 0).batch(0))
    assert set(terms) == {"position", "motion", "emotion"}
    assert not training.balances["position"].batches


def test_mined_emotions_come_from_the_database(small_tracks):
    training = RECIPES["karras"].training(small_tracks, 10, 0)
    vectors, names = mine_emotions(training.network.eval(), small_tracks, training.emotions.detach(), keep=3)
    assert vectors.shape == (3, 4) and names == ("mined 0", "mined 1", "mined 2")
    assert np.abs(vectors).max() < training.emotions.abs().max()


def test_a_head_held_still_teaches_no_rotation(tracks):
    pose, sure = turned(tracks[0])
    assert sure == 0 and not pose.any()
    recipe = RECIPES["pham"]
    training = recipe.training(tracks, 10, 0)
    assert training.terms(recipe.batches(tracks, 0).batch(0))["rotation"] == 0


def test_the_mouth_has_a_term_of_its_own_if_asked(tracks):
    recipe = PhamRecipe(hidden=8, layers=1, stretches=2, frames=20, mouth=2.0, velocity=1.0)
    training, batch = recipe.training(tracks, 10, 0), recipe.batches(tracks, 0).batch(0)
    assert training.terms(batch)["mouth"] > 0
    training.network.forward = lambda features: (batch["rotation"], batch["expressions"], None)
    assert training.terms(batch)["mouth"] == 0
    rig = default_rig()
    opening = rig.mouth_opening(rig.vertices(tracks[0].weights))
    found = training.mouth(torch.from_numpy(tracks[0].weights))[:, 0].numpy()
    np.testing.assert_allclose(found, opening, atol=1e-6)


def test_taught_tracks_have_the_share_that_was_asked_for():
    size, taught = np.array([1.0, 3.0, 5.0, 5.0]), np.array([False, False, True, True])
    np.testing.assert_allclose(shares(size, taught, 0.6), [0.1, 0.3, 0.3, 0.3])
    np.testing.assert_allclose(shares(size, ~taught & taught, 0.6), size / 14)
    np.testing.assert_allclose(shares(size, taught | ~taught, 0.6), size / 14)


def test_louder_sound_differs_in_the_first_coefficients_alone(tracks):
    quiet, loud = (PhamRecipe(frames=5, loudness=level).batches(tracks, 0).batch(0)["features"] for level in (0, 6))
    moved = (quiet != loud).any(0).any(0).nonzero().flatten().tolist()
    assert moved == [384, 397, 410]


def test_styles_are_the_speakers_in_order_and_may_be_left_out(tracks):
    assert speaker_names(tracks) == ("anna", "ben")
    batch = VocaRecipe(pairs=50, style_dropout=0.5).batches(tracks, 0).batch(0)
    even = (batch["style"] == 0.5).all(1)
    assert 10 < even.sum() < 40
    assert ((batch["style"] == 0.5).all(1) | (batch["style"].max(1).values == 1)).all()


def test_a_recipe_without_a_kind_says_so(tracks):
    for ask in (lambda: Recipe().training(tracks, 1, 0), lambda: Recipe().batches(tracks, 0)):
        with pytest.raises(NotImplementedError):
            ask()
    with pytest.raises(NotImplementedError):
        Batches(tracks, 0).batch(0)
    training = SpeechTraining(torch.nn.Linear(1, 1), Recipe(), 10)
    for ask in (lambda: training.terms({}), lambda: training.shipped({})):
        with pytest.raises(NotImplementedError):
            ask()


class Drift(SpeechTraining):
    """A weight that goes one step a step."""

    def terms(self, batch):
        return {"drift": -self.network.weight.sum()}

    def configure_optimizers(self):
        return torch.optim.SGD(self.groups(), lr=1.0)

    def rate(self, step):
        return 1.0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("steps", "averaged"), [(1, 1.0), (2, 1.25), (3, 1.6875)])
def test_the_average_takes_nothing_of_the_random_start(steps, averaged):
    """It begins at the weights after the first step (1), then follows by a quarter: 1 + (2 - 1) / 4 ..."""
    network = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.zero_()
    training = Drift(network, Recipe(lr=1.0, clip=0.0, ema=0.75), steps)
    trainer = Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(training, DataLoader([{}] * steps, batch_size=None))
    assert float(training.network.weight) == steps
    assert float(training.best_network().weight) == averaged
