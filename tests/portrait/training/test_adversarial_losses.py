import pytest
import torch

from talkinghead.portrait.training.adversarial_losses import (
    feature_matching,
    hinge_discriminator,
    hinge_generator,
    matching,
)
from talkinghead.portrait.training.config import LossWeights


def test_hinge_is_zero_when_real_and_fake_clear_the_margin():
    assert hinge_discriminator(torch.tensor([1.0, 5.0]), torch.tensor([-1.0, -3.0])) == 0


def test_hinge_has_known_values():
    assert hinge_discriminator(torch.tensor([0.5, 2.0]), torch.tensor([0.0, -2.0])) == pytest.approx(0.75)
    assert hinge_generator(torch.tensor([1.0, 3.0])) == -2


def test_hinge_sees_scores_beyond_the_range_of_a_sigmoid():
    assert hinge_discriminator(torch.tensor([-9.0]), torch.tensor([9.0])) == 20


def test_feature_matching_averages_over_blocks_and_leaves_the_real_maps_alone():
    fake = [torch.zeros(1, 2, 2, 2, requires_grad=True), torch.zeros(1, 4, 1, 1, requires_grad=True)]
    real = [torch.ones(1, 2, 2, 2, requires_grad=True), 3 * torch.ones(1, 4, 1, 1)]
    loss = feature_matching(fake, real)
    loss.backward()
    assert loss == 2
    assert real[0].grad is None
    assert fake[0].grad.abs().sum() > 0


def test_matching_compares_every_shot_and_does_not_move_the_columns():
    embeddings, columns = torch.zeros(2, 3, 4, requires_grad=True), torch.ones(2, 4, requires_grad=True)
    loss = matching(embeddings, columns)
    loss.backward()
    assert loss == 1
    assert columns.grad is None
    assert (embeddings.grad != 0).all()


def test_total_is_the_weighted_sum():
    terms = {"content": torch.tensor(2.0), "match": torch.tensor(0.5)}
    assert LossWeights(content=3, match=10).total(terms) == 11


def test_term_without_a_weight_is_refused_by_name():
    with pytest.raises(KeyError, match="sharpness"):
        LossWeights().total({"sharpness": torch.tensor(1.0)})
