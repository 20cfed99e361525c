"""The steps of training, the sheet and rendering on tensors that take a GPU's branches."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_gpu import GPU, fake_gpu
from people import PAINTER, TINY, drawn_photos, tiny_head

from talkinghead.portrait.avatar.avatar import Avatar, mean_embedding, person_generator
from talkinghead.portrait.networks.config import CompositingConfig, PortraitConfig
from talkinghead.portrait.training import content_loss
from talkinghead.portrait.training.config import FineTuningConfig, LossWeights, MetaLearningConfig
from talkinghead.portrait.training.fine_tuning import FineTuning
from talkinghead.portrait.training.meta_learning import MetaLearning
from talkinghead.portrait.training.run_folder import _reconstruct
from talkinghead.testing.synthetic import episode_batch

ATTENTIVE = PortraitConfig(size=64, min_channels=8, max_channels=16, embedding_dim=16, embedder_blocks=6)
"""Every layer of the paper's networks, narrow."""

COMPOSITING = PortraitConfig(
    size=64,
    min_channels=8,
    max_channels=16,
    embedding_dim=16,
    attention=False,
    compositing=CompositingConfig(layers=True),
)


class _WithoutTrainer:
    trainer = SimpleNamespace(world_size=1, precision_plugin=SimpleNamespace(forward_context=nullcontext))

    def optimizers(self):
        return self._plain

    def manual_backward(self, loss):
        loss.backward()

    def log(self, *_, **__):
        pass

    def log_dict(self, *_, **__):
        pass


class Meta(_WithoutTrainer, MetaLearning):
    def _keep_snapshot(self):
        pass


class Tuning(_WithoutTrainer, FineTuning):
    pass


def on_gpu(module):
    module = module.to(GPU)
    module._plain = module.configure_optimizers()
    return module


@pytest.fixture
def paper_content(monkeypatch):
    """VGG19 and VGGFace with random weights: only the way through them is asked."""
    monkeypatch.setattr(content_loss, "read_weights", lambda name: {})


@pytest.mark.parametrize(("portrait", "content"), [(ATTENTIVE, "paper"), (COMPOSITING, "offline")])
def test_a_meta_learning_step_runs_on_a_gpu_and_the_host_waits_once(portrait, content, paper_content):
    module = Meta(MetaLearningConfig(portrait=portrait), content_loss.make_content_loss(content), videos="abcdefghi")
    batch = episode_batch(batch=2, shots=2, size=64)
    if portrait.compositing:
        batch["warped_source"] = torch.zeros(2, portrait.compositing.channels, 64, 64)
    module, batch = on_gpu(module), {name: value.to(GPU) for name, value in batch.items()}
    with fake_gpu() as watch:
        module.training_step(batch)
        watch.waits.clear()
        module.training_step(batch)
    assert sum(watch.waits.values()) <= 1, watch.waits
    with fake_gpu():
        assert _reconstruct(module, batch).device.type == GPU


@pytest.mark.parametrize(("portrait", "weights"), [(TINY, LossWeights(match=0.0)), (PAINTER, None)])
def test_a_fine_tuning_step_runs_on_a_gpu_and_the_host_waits_once(portrait, weights):
    head = tiny_head(config=portrait)
    config = FineTuningConfig() if weights is None else FineTuningConfig(loss_weights=weights)
    module = on_gpu(Tuning(head, mean_embedding(head, drawn_photos()), config, steps=9, photos=3))
    size = portrait.size
    shapes = {"frame": (2, 3, size, size), "landmark_image": (2, 3, size, size), "landmarks": (2, 68, 2)}
    if portrait.compositing:
        shapes["warped_source"] = (2, portrait.compositing.channels, size, size)
    batch = {name: torch.zeros(shape, device=GPU) for name, shape in shapes.items()}
    with fake_gpu() as watch:
        module.training_step(batch)
        watch.waits.clear()
        module.training_step(batch)
    assert sum(watch.waits.values()) <= 1, watch.waits


@pytest.mark.parametrize("portrait", [TINY, PAINTER], ids=["paper", "compositing"])
def test_an_avatar_renders_on_a_gpu(portrait):
    head, photos = tiny_head(config=portrait), drawn_photos()
    avatar = Avatar(
        portrait,
        person_generator(head.generator),
        adain_params=torch.zeros(1, head.generator.num_adain_params),
        source_landmarks=photos.landmarks,
        source_frames=photos.frames if portrait.compositing else None,
        provenance={},
    )
    with fake_gpu(bf16=False):
        frames = avatar.render_batch(photos.landmarks, device=GPU, dtype=torch.bfloat16)
    assert frames.shape == (len(photos), portrait.size, portrait.size, 3)
    assert frames.dtype == np.uint8
