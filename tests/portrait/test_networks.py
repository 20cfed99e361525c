import copy
import dataclasses
from dataclasses import replace

import pytest
import torch

from talkinghead.errors import UserError
from talkinghead.portrait.networks.compositing import CompositingGenerator, generate, make_generator
from talkinghead.portrait.networks.config import LIGHT, PAPER, CompositingConfig, PortraitConfig
from talkinghead.portrait.networks.discriminator import Discriminator, VideoColumns
from talkinghead.portrait.networks.embedder import Embedder
from talkinghead.portrait.networks.generator import Generator
from talkinghead.portrait.networks.layers import SelfAttention

TINY = PortraitConfig(size=32, min_channels=8, max_channels=16, embedding_dim=16, embedder_blocks=5, attention=False)


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_paper_size_has_the_papers_parameters():
    config = dataclasses.replace(PAPER, attention=False)
    generator, discriminator = Generator(config), Discriminator(config)
    assert count(Embedder(config)) == 14_825_024
    assert count(generator) == 37_907_587
    assert count(discriminator) - count(discriminator.bias_and_w0) == 19_544_640
    assert generator.num_adain_params == 13_056


def test_attention_sits_at_32_on_the_way_down_and_64_on_the_way_up():
    small = PortraitConfig(size=128, min_channels=8, max_channels=16, embedding_dim=16)
    seen = []
    generator = Generator(small)
    for module in generator.modules():
        if isinstance(module, SelfAttention):
            module.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[-1]))
    generator(torch.zeros(1, 3, 128, 128), generator.project(torch.zeros(1, 16)))
    assert seen == [32, 64]


def test_light_head_fits_25_megabytes_in_half_precision():
    total = count(Embedder(LIGHT)) + count(make_generator(LIGHT)) + count(Discriminator(LIGHT))
    assert 2 * total < 25e6


def test_frames_have_the_size_asked_for_and_stay_in_range():
    generator = Generator(TINY)
    frame = generator(torch.rand(2, 3, 32, 32) * 2 - 1, 10 * torch.randn(2, generator.num_adain_params))
    assert frame.shape == (2, 3, 32, 32)
    assert frame.abs().max() <= 1


@pytest.fixture
def painter() -> Generator:
    torch.manual_seed(0)
    return CompositingGenerator(replace(TINY, compositing=CompositingConfig())).eval()


def test_mask_keeps_the_photo_or_paints_over_it(painter):
    picture, photo = torch.randn(2, 3, 32, 32), torch.rand(2, 3, 32, 32) * 2 - 1
    params = painter.project(torch.zeros(2, 16))
    with torch.no_grad():
        painter.last.weight.zero_()
        painter.last.bias.copy_(torch.tensor([1.0, 0.0, -1.0, 100.0]))
        assert torch.allclose(painter(picture, params, photo), photo, atol=1e-6)
        painter.last.bias[3] = -100.0
        painted = torch.tanh(torch.tensor([1.0, 0.0, -1.0]))[:, None, None]
        assert torch.allclose(painter(picture, params, photo), painted.expand(2, 3, 32, 32), atol=1e-6)


def test_raw_frames_show_nothing_of_the_source(painter):
    picture, photo = torch.randn(3, 3, 32, 32), torch.rand(3, 3, 32, 32) * 2 - 1
    params = painter.project(torch.zeros(3, 16))
    with torch.no_grad():
        painter.last.bias[3] = 100.0
        frames = painter(picture, params, photo, mask_dropout=2)
        assert torch.allclose(frames[2], photo[2], atol=1e-5)
        painter.last.bias[3] = -100.0
        assert torch.allclose(frames[:2], painter(picture, params, photo)[:2], atol=1e-5)


def test_raw_frames_teach_nothing_to_the_mask(painter):
    picture, photo = torch.randn(2, 3, 32, 32), torch.rand(2, 3, 32, 32) * 2 - 1
    params, gradients = painter.project(torch.zeros(2, 16)), []
    painter.last.register_full_backward_hook(lambda _, __, outputs: gradients.append(outputs[0][:, 3]))
    painter(picture, params, photo, mask_dropout=1).square().mean().backward()
    assert not gradients[0][0].any()
    assert gradients[0][1].any()


def test_every_part_of_a_painter_learns(painter):
    picture, photo = torch.randn(1, 3, 32, 32), torch.rand(1, 3, 32, 32) * 2 - 1
    assert not any(bridge.gain.any() for bridge in painter.bridges)
    for bridge in painter.bridges:
        torch.nn.init.normal_(bridge.gain)
    painter(picture, painter.project(torch.randn(1, 16)), photo).square().mean().backward()
    assert all(parameter.grad.any() for parameter in painter.parameters())


def test_a_warped_source_must_come_where_it_is_taken_and_only_there(painter):
    picture = torch.randn(1, 3, 32, 32)
    with pytest.raises(ValueError, match="takes a warped source"):
        generate(painter, picture, painter.project(torch.zeros(1, 16)))
    with pytest.raises(ValueError, match="takes no warped source"):
        generate(Generator(TINY), picture, painter.project(torch.zeros(1, 16)), picture)


def test_bridges_can_be_left_out():
    config = replace(TINY, compositing=CompositingConfig(bridges=False))
    plain = make_generator(config)
    assert not any("bridges" in name for name, _ in plain.named_parameters())
    picture, source = torch.randn(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    assert generate(plain, picture, plain.project(torch.zeros(1, 16)), source).shape == (1, 3, 32, 32)
    assert PortraitConfig.from_dict(config.to_dict()) == config


def test_embedding_ignores_frame_order():
    embedder = Embedder(TINY).eval()
    frames, pictures = torch.randn(1, 4, 3, 32, 32), torch.randn(1, 4, 3, 32, 32)
    order = [2, 0, 3, 1]
    assert torch.allclose(
        embedder.average(frames, pictures)[0], embedder.average(frames[:, order], pictures[:, order])[0], atol=1e-5
    )


def test_person_enters_the_generator_only_through_the_adain_parameters():
    generator = Generator(TINY).eval()
    picture = torch.randn(1, 3, 32, 32)
    one, other = (generator.project(torch.randn(1, 16)) for _ in range(2))
    assert torch.equal(generator(picture, one), generator(picture, one))
    assert not torch.allclose(generator(picture, one), generator(picture, other))


def test_every_adain_parameter_is_used():
    generator = Generator(TINY)
    params = torch.randn(16, generator.num_adain_params, requires_grad=True)
    gradient = torch.autograd.grad(generator(torch.randn(16, 3, 32, 32), params).square().sum(), params)[0]
    assert (gradient != 0).any(0).all()


def test_generator_without_projection_cannot_project():
    with pytest.raises(ValueError, match="no projection"):
        Generator(TINY, projection=False).project(torch.zeros(1, 16))


def test_column_of_a_video_equals_the_same_vector_in_w0():
    discriminator = Discriminator(TINY, spectral=False).eval()
    frame, picture, column = torch.randn(1, 3, 32, 32), torch.randn(1, 3, 32, 32), torch.randn(1, 16)
    with_column, _ = discriminator(frame, picture, column)
    discriminator.bias_and_w0.weight.data += column
    assert torch.allclose(discriminator(frame, picture, None)[0], with_column, rtol=1e-4)


def test_discriminator_gives_a_map_after_each_block_and_a_score_without_bound():
    discriminator = Discriminator(TINY)
    realism, maps = discriminator(torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32), 100 * torch.ones(2, 16))
    assert len(maps) == TINY.embedder_blocks + 1
    assert realism.abs().max() > 1


def test_columns_change_only_where_they_were_read():
    columns = VideoColumns([str(video) for video in range(10)], 4)
    before = columns.table.clone()
    columns.update(torch.tensor([3, 7, 3]), torch.ones(3, 4), lr=0.1)
    changed = (columns.table != before).any(1)
    assert changed.nonzero().flatten().tolist() == [3, 7]
    assert columns.steps.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 0, 0]


def test_columns_follow_adam_without_momentum():
    columns, index = VideoColumns("abc", 4), torch.tensor([1])
    reference = columns.table[1].clone().requires_grad_()
    adam = torch.optim.Adam([reference], lr=0.01, betas=(0.0, 0.999), eps=1e-5)
    for _ in range(5):
        gradient = torch.randn(1, 4)
        columns.update(index, gradient, lr=0.01)
        reference.grad = gradient[0]
        adam.step()
    assert torch.allclose(columns.table[1], reference, atol=1e-6)


@pytest.mark.parametrize(("field", "value"), [("size", 100), ("size", 16), ("min_channels", 0)])
def test_impossible_sizes_are_refused(field, value):
    with pytest.raises(UserError, match=str(value)):
        dataclasses.replace(PAPER, **{field: value})


def test_config_survives_a_round_trip_and_refuses_unknown_names():
    assert PortraitConfig.from_dict(LIGHT.to_dict()) == LIGHT
    with pytest.raises(UserError, match="colour"):
        PortraitConfig.from_dict({"colour": 3})
    with pytest.raises(UserError, match="shade"):
        PortraitConfig.from_dict({"compositing": {"shade": 3}})


def test_a_config_of_before_compositing_is_read():
    old = PAPER.to_dict()
    del old["compositing"]
    assert PortraitConfig.from_dict(old | {"warped_photo": False}) == PAPER
    assert PortraitConfig.from_dict(old | {"warped_photo": True}) == replace(PAPER, compositing=CompositingConfig())


def test_an_embedder_that_makes_its_maps_twice_learns_the_same():
    torch.manual_seed(0)
    once = Embedder(TINY)
    twice = copy.deepcopy(once)
    twice.remade = 2
    frames, pictures = torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32)
    for _ in range(2):
        for embedder in (once, twice):
            embedder(frames, pictures).square().sum().backward()
    for ours, theirs in zip(twice.parameters(), once.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)
    for ours, theirs in zip(twice.buffers(), once.buffers(), strict=True):
        assert torch.equal(ours, theirs)
