"""The optimiser without a first moment."""

import copy

import torch

from talkinghead.portrait.training.adam import AdamWithoutMomentum

KNOWN = {"lr": 0.01, "betas": (0.0, 0.999), "eps": 1e-5}


def learn(parameter, optimiser, steps):
    for _ in range(steps):
        optimiser.zero_grad()
        (parameter.sin() + 0.1 * parameter.square()).sum().backward()
        optimiser.step()


def pair():
    start = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    return start.clone().requires_grad_(), start.clone().requires_grad_()


def test_it_learns_as_adam_does_and_keeps_half_as_much():
    ours, theirs = pair()
    optimiser, adam = AdamWithoutMomentum([ours], lr=0.01, eps=1e-5), torch.optim.Adam([theirs], **KNOWN)
    learn(ours, optimiser, 20)
    learn(theirs, adam, 20)
    torch.testing.assert_close(ours, theirs)
    assert set(optimiser.state[ours]) == {"step", "exp_avg_sq"}


def test_it_goes_on_from_a_state_that_adam_saved():
    ours, theirs = pair()
    adam = torch.optim.Adam([theirs], **KNOWN)
    learn(theirs, adam, 5)
    optimiser = AdamWithoutMomentum([ours], lr=0.01, eps=1e-5)
    optimiser.load_state_dict(copy.deepcopy(adam.state_dict()))
    ours.data.copy_(theirs.data)
    learn(ours, optimiser, 5)
    learn(theirs, adam, 5)
    torch.testing.assert_close(ours, theirs)


def test_a_closure_is_called_with_gradients():
    parameter, _ = pair()
    optimiser = AdamWithoutMomentum([parameter], lr=0.01)

    def closure():
        optimiser.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    first = optimiser.step(closure)
    assert optimiser.step(closure) < first
