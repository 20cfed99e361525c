import pytest
import torch

from talkinghead.portrait.networks.config import PortraitConfig
from talkinghead.portrait.networks.discriminator import Discriminator
from talkinghead.portrait.training.adversarial_losses import (
    adversarial_terms,
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    matching,
    tell_apart,
)
from talkinghead.portrait.training.config import LossWeights

TINY = PortraitConfig(size=32, min_channels=4, max_channels=8, embedding_dim=8, embedder_blocks=5, attention=False)


@pytest.fixture(scope="module")
def discriminator() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(TINY, spectral=False)


@pytest.fixture
def pictures() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {name: torch.rand(2, 3, 32, 32) * 2 - 1 for name in ("fake", "frame", "landmark_image")}


def test_hinge_is_zero_when_real_and_fake_clear_the_margin():
    assert hinge_discriminator(torch.tensor([1.0, 5.0]), torch.tensor([-1.0, -3.0])) == 0


def test_hinge_has_known_values():
    assert hinge_discriminator(torch.tensor([0.5, 2.0]), torch.tensor([0.0, -2.0])) == pytest.approx(0.75)
    assert hinge_generator(torch.tensor([1.0, 3.0])) == -2


def test_hinge_sees_scores_beyond_the_range_of_a_sigmoid():
    assert hinge_discriminator(torch.tensor([-9.0]), torch.tensor([9.0])) == 20


def test_feature_matching_averages_over_blocks_and_leaves_the_real_maps_alone():
    fake = [torch.full((1, 2, 2, 2), 2.0, requires_grad=True), torch.full((1, 4, 1, 1), -1.0, requires_grad=True)]
    real = [torch.ones(1, 2, 2, 2, requires_grad=True), 2 * torch.ones(1, 4, 1, 1)]
    loss = feature_matching(fake, real)
    loss.backward()
    assert loss == 2
    assert real[0].grad is None
    assert fake[0].grad.abs().sum() > 0


def test_feature_matching_of_half_precision_maps_is_summed_in_single():
    maps = [torch.ones(1, 2, 64, 64, dtype=torch.bfloat16)]
    assert feature_matching(maps, [torch.zeros_like(maps[0])]).dtype == torch.float32


def test_feature_matching_refuses_lists_of_different_lengths():
    with pytest.raises(ValueError, match="zip"):
        feature_matching([torch.ones(1, 1, 1, 1)], [torch.ones(1, 1, 1, 1)] * 2)


def test_matching_compares_every_shot_and_does_not_move_the_columns():
    embeddings, columns = torch.full((2, 3, 4), 3.0, requires_grad=True), torch.ones(2, 4, requires_grad=True)
    loss = matching(embeddings, columns)
    loss.backward()
    assert loss == 2
    assert columns.grad is None
    assert (embeddings.grad != 0).all()


def test_total_is_the_weighted_sum():
    terms = {"content": torch.tensor(2.0), "match": torch.tensor(0.5)}
    assert LossWeights(content=3, match=10).total(terms) == 11


def test_term_without_a_weight_is_refused_by_name():
    with pytest.raises(KeyError, match="sharpness"):
        LossWeights().total({"sharpness": torch.tensor(1.0)})


def test_the_weights_are_those_of_the_paper():
    worth = {name: float(LossWeights().total({name: torch.tensor(1.0)})) for name in LossWeights.__dataclass_fields__}
    assert worth == {"content": 1, "adversarial": 1, "feature_matching": 10, "match": 10}


@pytest.mark.parametrize("column", [None, torch.linspace(-1, 1, 16).view(2, 8)], ids=["alone", "with W"])
def test_the_generator_is_told_how_real_its_frame_is_and_what_the_maps_miss(discriminator, pictures, column):
    fake, frame, drawn = (pictures[name] for name in ("fake", "frame", "landmark_image"))
    realism, maps = discriminator(fake, drawn, column)
    _, real_maps = discriminator(frame, drawn, column)
    terms = adversarial_terms(discriminator, fake, frame, drawn, column)
    assert set(terms) == {"adversarial", "feature_matching"}
    torch.testing.assert_close(terms["adversarial"], -realism.mean())
    apart = torch.stack([(one - other).abs().mean() for one, other in zip(maps, real_maps, strict=True)]).mean()
    torch.testing.assert_close(terms["feature_matching"], apart)


def test_what_the_generator_is_told_leads_back_to_its_frame_alone(discriminator, pictures):
    fake, frame = (pictures[name].requires_grad_() for name in ("fake", "frame"))
    for term in adversarial_terms(discriminator, fake, frame, pictures["landmark_image"]).values():
        (gradient,) = torch.autograd.grad(term, fake, retain_graph=True)
        assert gradient.abs().sum() > 0
        assert torch.autograd.grad(term, frame, retain_graph=True, allow_unused=True) == (None,)


@pytest.mark.parametrize("column", [None, torch.linspace(-1, 1, 16).view(2, 8)], ids=["alone", "with W"])
def test_the_discriminator_tells_real_from_fake_frames(discriminator, pictures, column):
    fake, frame, drawn = (pictures[name] for name in ("fake", "frame", "landmark_image"))
    real, false = (discriminator(shown, drawn, column)[0] for shown in (frame, fake))
    loss, logged = tell_apart(discriminator, fake, frame, drawn, column)
    torch.testing.assert_close(loss, hinge_discriminator(real, false))
    wanted = {"discriminator": loss, "realism_real": real.mean(), "realism_fake": false.mean()}
    assert set(logged) == set(wanted)
    for name, value in wanted.items():
        torch.testing.assert_close(logged[name], value)
    assert loss.requires_grad
    assert not any(value.requires_grad for value in logged.values())
