from functools import partial

import pytest
import torch
import torch.nn.functional as F

from talkinghead.portrait.networks.layers import Conv, InstanceNormRelu, Linear, SelfAttention, norm_scale_relu


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("kernel", [1, 3])
def test_down_convolution_equals_a_convolution_then_average_pooling(kernel):
    layer = Conv(3, 5, kernel=kernel, resample="down").eval()
    layer.bias.data.normal_()
    x = torch.randn(2, 3, 8, 12)
    plain = F.avg_pool2d(F.conv2d(x, layer.current(), layer.bias, padding=kernel // 2), 2)
    assert torch.allclose(layer(x), plain, atol=1e-6)


@pytest.mark.parametrize("kernel", [1, 3])
def test_up_convolution_equals_nearest_upsampling_then_a_convolution(kernel):
    layer = Conv(3, 5, kernel=kernel, resample="up").eval()
    layer.bias.data.normal_()
    x = torch.randn(2, 3, 6, 4)
    plain = F.conv2d(F.interpolate(x, scale_factor=2), layer.current(), layer.bias, padding=kernel // 2)
    assert torch.allclose(layer(x), plain, atol=1e-6)


def test_gradient_of_a_fused_convolution_equals_the_plain_one():
    layer = Conv(2, 2, resample="up", spectral=False)
    x = torch.randn(1, 2, 4, 4)
    ours = torch.autograd.grad(layer(x).square().sum(), layer.weight)[0]
    plain = F.conv2d(F.interpolate(x, scale_factor=2), layer.weight, layer.bias, padding=1)
    assert torch.allclose(ours, torch.autograd.grad(plain.square().sum(), layer.weight)[0], atol=1e-4)


def test_spectral_weight_has_largest_singular_value_one():
    for layer in (Conv(8, 16), Linear(12, 7)):
        layer.weight.data.mul_(3.7)
        layer.iterate(100)
        assert torch.linalg.matrix_norm(layer.current().flatten(1), 2).item() == pytest.approx(1, abs=1e-3)


def test_power_iteration_runs_only_in_passes_that_train_the_weight():
    layer = Linear(12, 7)
    before = layer.u.clone()
    layer.eval()(torch.randn(2, 12))
    layer.train().requires_grad_(False)(torch.randn(2, 12))
    assert torch.equal(layer.u, before)
    layer.requires_grad_(True)(torch.randn(2, 12))
    assert not torch.equal(layer.u, before)


def test_frozen_kernel_gives_the_same_output():
    layer = Conv(4, 4, resample="down").eval()
    x = torch.randn(1, 4, 8, 8)
    expected = layer(x)
    layer.freeze(torch.float32)
    assert torch.equal(layer(x), expected)


def test_norm_scale_relu_equals_instance_norm_with_scale_and_shift():
    x, scale, shift = torch.randn(3, 5, 6, 6), torch.randn(3, 5), torch.randn(3, 5)
    plain = F.relu(F.instance_norm(x, eps=1e-4) * scale[:, :, None, None] + shift[:, :, None, None])
    assert torch.allclose(norm_scale_relu(x, scale, shift), plain, atol=1e-5)


@pytest.mark.parametrize("kernel", [True, False])
def test_norm_scale_relu_has_the_right_gradient(kernel):
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 3, 4, 4), (2, 3), (2, 3))]
    assert torch.autograd.gradcheck(partial(norm_scale_relu, kernel=kernel), inputs, eps=1e-6, atol=1e-7)


@pytest.mark.parametrize("size", [8, 32])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-12), (torch.float32, 2e-5), (torch.bfloat16, 0.04)])
def test_plain_operations_normalise_as_the_kernel_does(dtype, most, size):
    x = (3 + 2 * torch.randn(3, 5, size, size)).to(dtype)
    scale, shift, weight = torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 5, size, size).to(dtype)
    if dtype == torch.float64:
        scale, shift = scale.double(), shift.double()
    results = []
    for kernel in (True, False):
        leaves = [value.clone().requires_grad_() for value in (x, scale, shift)]
        y = norm_scale_relu(*leaves, kernel=kernel)
        (y * weight).sum().backward()
        with torch.no_grad():
            alike = norm_scale_relu(x, scale[:1].expand(3, -1), shift[:1].expand(3, -1), kernel=kernel)
        results.append([y.detach(), alike, *(leaf.grad for leaf in leaves)])
    for one, other in zip(*results, strict=True):
        assert one.dtype == other.dtype
        assert float((one - other).abs().max()) <= most * max(1, float(one.abs().max()))


def test_instance_norm_starts_as_plain_normalisation():
    x = 5 + 3 * torch.randn(2, 4, 16, 16)
    assert torch.allclose(InstanceNormRelu(4)(x), F.relu(F.instance_norm(x, eps=1e-4)), atol=1e-5)


def test_self_attention_starts_as_the_identity_and_mixes_places_after():
    layer = SelfAttention(16).eval()
    x = torch.randn(1, 16, 4, 4, requires_grad=True)
    assert torch.equal(layer(x), x)
    layer.gamma.data.fill_(1.0)
    gradient = torch.autograd.grad(layer(x)[0, :, 0, 0].sum(), x)[0]
    assert gradient[0, :, 3, 3].abs().max() > 0


def test_power_iteration_keeps_full_precision_under_autocast():
    layer = Conv(8, 16)
    with torch.autocast("cpu", torch.bfloat16):
        layer(torch.randn(1, 8, 8, 8))
    assert layer.u.dtype == layer.v.dtype == layer.current().dtype == torch.float32
