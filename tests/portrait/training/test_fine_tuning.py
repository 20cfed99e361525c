"""Fine-tuning: starts exactly where the head stands, moves all that is the person's, learns, and repeats itself."""

import warnings

import numpy as np
import pytest
import torch
from people import PAINTER, TINY, drawn_photos, tiny_head
from pytorch_lightning import Callback

from talkinghead.errors import UserError
from talkinghead.portrait.avatar.avatar import feed_forward, mean_embedding
from talkinghead.portrait.data.photo_batches import PhotoBatches, to_batch
from talkinghead.portrait.training.config import LossWeights
from talkinghead.portrait.training.fine_tuning import FineTuning, FineTuningConfig, Hardware, fine_tune, fit

CPU = Hardware("cpu", "32-true")
FAST = {"hardware": CPU}
JUDGED = LossWeights(match=0.0)
"""The paper's weights, under which the discriminator has a say."""


def render(avatar, landmarks):
    return np.stack(list(avatar.animate(landmarks, dtype=torch.float32)))


def batches_for(head, photos, config, *, steps):
    warped = head.config.compositing is not None
    return PhotoBatches(photos, steps=steps, batch_size=2, augment=config.augment, warped_source=warped)


@pytest.fixture(scope="module", params=[TINY, PAINTER], ids=["paper", "warped"])
def head(request):
    return tiny_head(config=request.param)


@pytest.fixture
def module(head):
    return FineTuning(head, mean_embedding(head, drawn_photos()), FineTuningConfig())


def test_step_0_is_the_feed_forward_avatar_exactly(head):
    photos = drawn_photos()
    tuned = fine_tune(head, photos, FineTuningConfig(steps=0), **FAST)
    assert np.array_equal(render(tuned.avatar, photos.landmarks), render(feed_forward(head, photos), photos.landmarks))
    assert tuned.history == []


def test_step_0_scores_as_the_meta_learned_discriminator_does_with_the_embedding_as_column(head, module):
    batch, column = to_batch(drawn_photos().frames, drawn_photos().landmarks), mean_embedding(head, drawn_photos())
    with torch.no_grad():
        expected, _ = head.discriminator(batch["frame"], batch["landmark_image"], column.expand(3, -1))
        found, _ = module.discriminator(batch["frame"], batch["landmark_image"], None)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_all_that_is_the_persons_moves_and_the_head_stays(head):
    photos, kept = drawn_photos(), {name: value.clone() for name, value in head.state_dict().items()}
    config = FineTuningConfig(steps=3, loss_weights=JUDGED)
    start = FineTuning(head, mean_embedding(head, photos), config)
    moved = FineTuning(head, mean_embedding(head, photos), config)
    fit(moved, batches_for(head, photos, config, steps=3), hardware=CPU)
    still = [
        name
        for (name, before), (_, after) in zip(start.named_parameters(), moved.named_parameters(), strict=True)
        if not name.startswith(("content.", "start.")) and torch.equal(before, after)
    ]
    assert still in ([], ["discriminator.bias_and_w0.bias"])  # inside the margin its two gradients cancel
    names = dict(moved.named_parameters())
    assert {"adain_params", "discriminator.bias_and_w0.weight", "generator.last.weight"} <= set(names)
    assert not any("projection" in name or "embedder" in name for name in names)
    assert all(torch.equal(value, kept[name]) for name, value in head.state_dict().items())


def test_a_discriminator_without_a_say_is_left_alone(head):
    photos = drawn_photos()
    module = FineTuning(head, mean_embedding(head, photos), FineTuningConfig(steps=2))
    start = [value.clone() for value in module.discriminator.parameters()]
    fit(module, batches_for(head, photos, module.config, steps=2), hardware=Hardware("cpu"))
    assert all(torch.equal(*values) for values in zip(module.discriminator.parameters(), start, strict=True))
    assert set(module.history[-1]) == {"content"}


def test_optimisers_hold_every_parameter_that_is_trained_once(module):
    held = [
        p for optimiser in module.configure_optimizers() for group in optimiser.param_groups for p in group["params"]
    ]
    trained = [value for part in (module.generator, module.discriminator) for value in part.parameters()]
    assert {id(p) for p in held} == {id(p) for p in [*trained, module.adain_params]}
    assert len(held) == len({id(p) for p in held})


class Rates(Callback):
    """Learning rates of generator, psi' and discriminator in each step."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, *_):
        self.seen.append([group["lr"] for optimiser in trainer.optimizers for group in optimiser.param_groups])


def test_rates_fall_along_a_cosine_to_a_part_of_themselves():
    head, photos = tiny_head(), drawn_photos(1)
    config = FineTuningConfig(generator_lr=1e-3, adain_lr=2e-3, discriminator_lr=4e-3, decay=0.2)
    module, rates = FineTuning(head, mean_embedding(head, photos), config, steps=4), Rates()
    batches = batches_for(head, photos, config, steps=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(module, batches, hardware=CPU, callbacks=(rates,))
    factors = [1, 0.2 + 0.8 * (0.5 + 0.5 * np.sqrt(0.5)), 0.6]
    wanted = np.outer(factors, [1e-3, 2e-3, 4e-3])
    assert np.array(rates.seen) == pytest.approx(wanted, rel=1e-6)


def test_no_step_is_larger_than_a_clipped_gradient_makes_it(head):
    photos = drawn_photos(1)
    moved = []
    for clip in (1e-9, 1.0):
        config = FineTuningConfig(clip=clip, pull=0.0, loss_weights=JUDGED)
        module = FineTuning(head, mean_embedding(head, photos), config)
        start = [value.clone() for value in (*module.generator.parameters(), *module.discriminator.parameters())]
        fit(module, batches_for(head, photos, config, steps=1), hardware=CPU)
        now = (*module.generator.parameters(), *module.discriminator.parameters())
        moved.append(max(float((a - b).abs().max().detach()) for a, b in zip(now, start, strict=True)))
    assert moved[0] < 1e-6 < 1e-5 < moved[1]


def test_the_optimisers_have_no_momentum(module):
    for optimiser in module.configure_optimizers():
        for group in optimiser.param_groups:
            assert (group["betas"], group["eps"]) == ((0.0, 0.999), 1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_the_discriminator_is_frozen_in_the_generators_step_and_steps_as_often_as_asked(head, count):
    photos = drawn_photos(1)
    config = FineTuningConfig(discriminator_steps=count, loss_weights=JUDGED)
    module = FineTuning(head, mean_embedding(head, photos), config)
    learns = []
    module.discriminator.register_forward_pre_hook(
        lambda network, _: learns.append(network.bias_and_w0.weight.requires_grad)
    )
    fit(module, batches_for(head, photos, config, steps=1), hardware=CPU)
    assert learns == [False, False] + [True] * count


def test_the_same_seed_gives_the_same_person(head):
    photos = drawn_photos()
    same, again, other = (
        render(fine_tune(head, photos, FineTuningConfig(steps=2, seed=seed), **FAST).avatar, photos.landmarks)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(same, again)
    assert not np.array_equal(same, other)


def test_a_person_is_learnt(head):
    photos = drawn_photos()
    config = FineTuningConfig(steps=25, generator_lr=5e-3, discriminator_lr=1e-3)
    tuned = fine_tune(head, photos, config, **FAST)
    truth = photos.frames.astype(int)
    error = {
        name: np.abs(render(avatar, photos.landmarks) - truth).mean()
        for name, avatar in (("before", feed_forward(head, photos)), ("after", tuned.avatar))
    }
    assert error["after"] < 0.7 * error["before"]
    assert tuned.history[-1]["content"] < 0.8 * tuned.history[0]["content"]


def test_what_it_was_made_of_is_kept(head):
    photos = drawn_photos()
    provenance = fine_tune(
        head, photos, FineTuningConfig(steps=1, loss_weights=JUDGED), provenance={"consent": "yes"}, **FAST
    ).avatar.provenance
    assert provenance["consent"] == "yes"
    assert provenance["photos"][0] == {"name": "0.png", "sha256": "a"}
    assert provenance["steps"] == 1
    assert set(provenance["losses"]) >= {"content", "adversarial", "feature_matching", "discriminator"}
    assert provenance["fine_tuning"]["generator_lr"] == FineTuningConfig().generator_lr


def test_epochs_are_passes_over_the_photos_and_few_photos_get_more():
    config = FineTuningConfig(epochs=3, batch_size=8, least_steps=5)
    assert [config.steps_for(count) for count in (1, 8, 9, 32)] == [5, 5, 6, 12]
    assert FineTuningConfig(steps=5).steps_for(32) == 5


@pytest.mark.parametrize(
    ("share", "photos", "wanted"), [(0.5, 1, [0, 1, 0, 1]), (0.5, 2, [1, 1, 1, 1]), (0.0, 2, [0] * 4)]
)
def test_a_share_of_the_photos_stays_raw(share, photos, wanted):
    painter = tiny_head(config=PAINTER)
    photos = drawn_photos(photos)
    module = FineTuning(painter, mean_embedding(painter, photos), FineTuningConfig(mask_dropout=share))
    seen = []
    module.generator.register_forward_pre_hook(
        lambda _, __, named: seen.append(named["mask_dropout"]), with_kwargs=True
    )
    fit(module, batches_for(painter, photos, module.config, steps=4), hardware=Hardware("cpu"))
    assert seen == wanted


def test_full_pull_keeps_the_meta_learned_weights(head):
    photos = drawn_photos(1)
    tuned = fine_tune(head, photos, FineTuningConfig(steps=2, pull=1.0, decay=1.0), **FAST)
    assert np.array_equal(render(tuned.avatar, photos.landmarks), render(feed_forward(head, photos), photos.landmarks))


def test_the_pull_weakens_with_the_photos_and_the_rate(head):
    def pulled(photos, step, steps=2):
        config = FineTuningConfig(pull=0.5, decay=0.0, ema=0.0)
        module = FineTuning(head, mean_embedding(head, drawn_photos()), config, steps=steps, photos=photos)
        module.step = step
        before = module.adain_params.detach().clone()
        with torch.no_grad():
            module.adain_params += 1
        module._pull_and_average()
        return 1 - float((module.adain_params - before).detach().mean())

    assert [pulled(1, 0), pulled(2, 0), pulled(1, 1), pulled(1, 2)] == pytest.approx([0.5, 0.25, 0.25, 0.0], abs=1e-4)
    assert pulled(1, 3) == pytest.approx(0, abs=1e-4)  # past the last step
    assert pulled(1, 3, steps=0) == pytest.approx(0.5, abs=1e-4)  # a rate that does not fall


def test_no_average_keeps_the_last_weights(head):
    photos = drawn_photos()
    module = FineTuning(head, mean_embedding(head, photos), FineTuningConfig(ema=0.0))
    with torch.no_grad():
        module.adain_params += 1
    module._pull_and_average()
    assert torch.equal(module.averaged_params, module.adain_params)


@pytest.mark.parametrize(("step", "followed"), [(0, 9 / 11), (7, 0.5), (10**4, 0.01)])
def test_the_average_leaves_the_meta_learned_weights_within_a_few_steps(head, step, followed):
    """Its decay warms up: 2/11 at first, 9/18 at the eighth step, at last the decay that is asked for."""
    module = FineTuning(head, mean_embedding(head, drawn_photos()), FineTuningConfig(ema=0.99, pull=0.0))
    module.step, start = step, module.averaged_params.clone()
    with torch.no_grad():
        module.adain_params += 1
    module._pull_and_average()
    assert (module.averaged_params - start) == pytest.approx(followed, abs=1e-5)


def test_held_out_photos_stop_it_and_the_best_weights_stay():
    head, photos = tiny_head(), drawn_photos(4)
    config = FineTuningConfig(steps=40, hold_out=2, patience=5, generator_lr=1.0, discriminator_lr=1e-3)
    tuned = fine_tune(head, photos, config, **FAST)
    assert len(tuned.history) < 40  # at such a rate nothing gets better
    before = render(feed_forward(head, photos), photos.landmarks)
    assert np.array_equal(render(tuned.avatar, photos.landmarks), before)


def test_divergence_is_an_error_with_the_remedy(head):
    config = FineTuningConfig(steps=5, loss_weights=LossWeights(content=float("inf")))
    with pytest.raises(UserError, match=r"diverged at step .* lower generator_lr"):
        fine_tune(head, drawn_photos(), config, **FAST)


def test_photos_of_another_size_are_refused(head):
    with pytest.raises(UserError, match="the photos are 32 px wide, but the head takes 64 px"):
        fine_tune(head, drawn_photos(size=32), FineTuningConfig(steps=1), **FAST)


def test_holding_out_all_photos_is_refused(head):
    with pytest.raises(UserError, match="hold_out is 3 of 3 photos"):
        fine_tune(head, drawn_photos(3), FineTuningConfig(hold_out=3), **FAST)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"epochs": 0}, "epochs is 0; it must be 1 or more"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1; it must be 0 or more"),
        ({"mask_dropout": float("nan")}, "mask_dropout is nan"),
        ({"steps": -1}, "steps is -1; it must be 0 or more"),
        ({"generator_lr": 0.0}, "generator_lr is 0.0; it must be greater than 0"),
        ({"ema": 1.5}, r"ema is 1.5; it must lie in 0\.\.1"),
    ],
)
def test_senseless_settings_are_refused(setting, message):
    with pytest.raises(UserError, match=message):
        FineTuningConfig(**setting)
