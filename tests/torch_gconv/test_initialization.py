"""Initial weights of the PyTorch layers: the named distributions, the default, and names that there are not."""

import math

import pytest
import torch

from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv import P4ConvP4, P6ConvP6, PMConvPM, layer_of

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)


def weights_that_count(module):
    """The weights inside the support, flat, and the number of taps that it has."""
    hexagonal = not module.spec.stabilizer.is_orthogonal
    support = module.spec.stabilizer.support(module.kernel_size) if hexagonal else True
    inside = torch.as_tensor(support).expand(module.kernel_size)
    assert not module.weight[..., ~inside].any()
    return module.weight[..., inside].flatten().detach(), int(inside.sum())


def assert_uniform_within(values, bound):
    """The largest of n uniform numbers is below 1 - 10 / n of the bound with probability exp(-10)."""
    assert bound * (1 - 10 / values.numel()) < values.abs().max() <= bound
    assert_variance(values, bound**2 / 3)


def assert_variance(values, variance):
    """Of n normal numbers it has the relative standard deviation sqrt(2 / n); of uniform ones it has less."""
    deviation = (2 / values.numel()) ** 0.5
    assert abs(values.square().mean() / variance - 1) < 5 * deviation
    assert abs(values.mean()) < 5 * (variance / values.numel()) ** 0.5


@every_layer
def test_hes_weights_are_normal_with_variance_two_over_fan_in_and_the_bias_is_zero(layer):
    module = layer_of(LAYER_SPECS[layer])(16, 32, 3)
    module.reset_parameters(init="he")
    values, taps = weights_that_count(module)
    variance = 2 / (16 * module.input_stabilizer_size * taps)
    assert_variance(values, variance)
    # 4.6 % of normal numbers are beyond two deviations, and of uniform ones none.
    assert abs((values.abs() > 2 * math.sqrt(variance)).float().mean() - 0.0455) < 0.01
    assert not module.bias.any()


@every_layer
@pytest.mark.parametrize("init", ["conv2d", "port"])
def test_weight_and_bias_are_uniform_within_one_over_the_root_of_the_fan_in(layer, init):
    module = layer_of(LAYER_SPECS[layer])(8, 64, 3)
    module.reset_parameters(init=init)
    values, taps = weights_that_count(module)
    fan_in = 8 * taps * (module.input_stabilizer_size if init == "conv2d" else 1)
    for parameter in (values, module.bias):
        assert_uniform_within(parameter, fan_in**-0.5)


@every_layer
def test_new_layers_have_hes_weights(layer):
    make = layer_of(LAYER_SPECS[layer])
    torch.manual_seed(3)
    module, again = make(2, 3, 3), make(2, 3, 3)
    torch.manual_seed(3)
    for other in (module, again):
        weight, bias = other.weight.clone(), other.bias.clone()
        other.reset_parameters("he")
        assert torch.equal(other.weight, weight) and torch.equal(other.bias, bias)


@pytest.mark.parametrize("kernel_size, taps", [(1, 1), (3, 7), (5, 19)])
def test_of_a_hexagonal_kernel_the_taps_inside_count(kernel_size, taps):
    module = P6ConvP6(4, 64, kernel_size)
    assert weights_that_count(module)[1] == taps
    module.reset_parameters(init="port")
    assert_uniform_within(weights_that_count(module)[0], (4 * taps) ** -0.5)


def test_of_grouped_channels_those_of_one_group_count():
    module = P4ConvP4(8, 64, 3, groups=4)
    module.reset_parameters(init="conv2d")
    assert_uniform_within(module.weight.flatten(), (2 * 4 * 9) ** -0.5)


def test_of_an_oblong_kernel_both_sides_count():
    module = PMConvPM(4, 64, (3, 5))
    module.reset_parameters(init="conv2d")
    assert_uniform_within(module.weight.flatten(), (4 * 2 * 15) ** -0.5)


@pytest.mark.parametrize("init", ["he", "conv2d", "port"])
def test_a_layer_without_a_bias_is_drawn_anew_in_its_dtype(init):
    module = P4ConvP4(2, 3, 3, bias=False, dtype=torch.float64)
    before = module.weight.clone()
    module.reset_parameters(init=init)
    assert module.weight.dtype == torch.float64 and not torch.equal(module.weight, before)


@every_layer
def test_a_name_that_there_is_not_is_refused_and_nothing_drawn(layer):
    module = layer_of(LAYER_SPECS[layer])(1, 1, 3)
    before = module.weight.clone()
    with pytest.raises(ValueError, match=f"{layer}: init must be one of 'he', 'conv2d', 'port', got 'xavier'"):
        module.reset_parameters(init="xavier")
    assert torch.equal(module.weight, before)
