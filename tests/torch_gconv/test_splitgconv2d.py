"""The PyTorch layers: arguments, shapes, state, errors. What they compute is proved in conformance."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch

import torch_gconv
from groupy.gconv.geometry import EquivarianceWarning
from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gconv.make_filter_masks import make_p4m_masks_segregate_mirrors
from torch_gconv import P4ConvP4, P4ConvZ2, P4MConvP4M

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)


def feature_map(layer, channels=2, size=(5, 5), dtype=torch.float32):
    S = LAYER_SPECS[layer].input_stabilizer_size
    return torch.randn(2, channels, S, *size, dtype=dtype, generator=torch.manual_seed(0))


@every_layer
def test_the_state_is_weight_and_bias_alone(layer):
    S = LAYER_SPECS[layer].input_stabilizer_size
    module = getattr(torch_gconv, layer)(2, 3, 3)
    assert {name: tuple(value.shape) for name, value in module.state_dict().items()} == {
        "weight": (3, 2, S, 3, 3),
        "bias": (3,),
    }


def test_a_mask_is_part_of_the_state():
    module = P4MConvP4M(2, 3, 3, filter_mask=make_p4m_masks_segregate_mirrors(3, 2))
    assert tuple(module.state_dict()["filter_mask"].shape) == (3, 2, 8, 1, 1)


@every_layer
def test_arguments_are_those_of_conv2d(layer):
    module = getattr(torch_gconv, layer)(2, 3, (5, 5), 2, 1, bias=False, device="meta", dtype=torch.float64)
    assert (module.kernel_size, module.stride, module.padding, module.bias) == (5, (2, 2), (1, 1), None)
    assert module.weight.device.type == "meta" and module.weight.dtype == torch.float64


@every_layer
def test_flat_channels_are_the_same_numbers_in_four_axes(layer):
    spec, make = LAYER_SPECS[layer], getattr(torch_gconv, layer)
    folded, unfolded = make(2, 3, 3, flat_channels=True), make(2, 3, 3)
    unfolded.load_state_dict(folded.state_dict())
    x = feature_map(layer)
    y = unfolded(x)
    assert y.shape == (2, 3, spec.output_stabilizer_size, 3, 3)
    assert torch.equal(folded(x.flatten(1, 2)), y.flatten(1, 2))
    assert torch.equal(unfolded(x.flatten(1, 2)), y)


@every_layer
@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"bias": False}, {"kernel_size": 2}, {"flat_channels": True}]
)
def test_gradients_and_their_gradients(layer, options):
    options = {"kernel_size": 3, **options}
    module = getattr(torch_gconv, layer)(1, 2, **options, dtype=torch.float64)
    x = feature_map(layer, channels=1, size=(4, 4), dtype=torch.float64).requires_grad_()
    parameters = [p.detach().clone().requires_grad_() for p in module.parameters()]
    names = [name for name, _ in module.named_parameters()]

    def function(x, *parameters):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EquivarianceWarning)
            return torch.func.functional_call(module, dict(zip(names, parameters)), (x.flatten(1, 2),))

    assert torch.autograd.gradcheck(function, (x, *parameters))
    assert torch.autograd.gradgradcheck(function, (x, *parameters))


@every_layer
def test_initial_weights_are_uniform_within_the_fan_in_over_the_stabilizer(layer):
    S = LAYER_SPECS[layer].input_stabilizer_size
    module = getattr(torch_gconv, layer)(16, 64, 3)
    bound = (16 * S * 9) ** -0.5
    for parameter in module.parameters():
        assert parameter.abs().max() <= bound and parameter.abs().max() > 0.9 * bound


def test_masked_weights_have_no_effect_and_no_gradient():
    module = P4MConvP4M(2, 3, 3, filter_mask=make_p4m_masks_segregate_mirrors(3, 2))
    x = feature_map("P4MConvP4M")
    y = module(x)
    y.sum().backward()
    assert (module.weight.grad[:, :, 4:] == 0).all() and (module.weight.grad[:, :, :4] != 0).all()
    with torch.no_grad():
        module.weight[:, :, 4:] = 99
    assert torch.equal(module(x), y)


@every_layer
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])  # noqa: S301 - our own bytes
def test_copies_compute_the_same_and_are_independent(layer, duplicate):
    module = getattr(torch_gconv, layer)(2, 3, 3)
    twin, x = duplicate(module), feature_map(layer)
    assert torch.equal(twin(x), module(x))
    with torch.no_grad():
        twin.weight.zero_()
    assert module.weight.abs().sum() > 0


@every_layer
def test_layouts_and_an_empty_batch_are_taken(layer):
    module, x = getattr(torch_gconv, layer)(2, 3, 3), feature_map(layer)
    y = module(x)
    folded = x.flatten(1, 2)
    torch.testing.assert_close(module(folded.to(memory_format=torch.channels_last)), y)
    torch.testing.assert_close(module(x.transpose(-1, -2).contiguous().transpose(-1, -2)), y)
    assert module(x[:0]).shape == (0, *y.shape[1:])


def test_half_precision_layers_run():
    module = P4ConvZ2(1, 2, 3, dtype=torch.bfloat16)
    assert module(torch.zeros(1, 1, 5, 5, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_a_size_that_breaks_equivariance_is_warned_of_once():
    module = P4ConvZ2(1, 2, 3, stride=2, padding=1)
    x = torch.zeros(1, 1, 8, 8)
    with pytest.warns(EquivarianceWarning, match="P4ConvZ2: height 8 breaks equivariance at stride 2") as record:
        module(x)
    assert record[0].filename == __file__
    module(x)  # warnings are errors here: a second one would fail


def test_repr_reads_as_the_call():
    assert repr(P4ConvZ2(1, 2, 3, padding=1, bias=False)) == (
        "P4ConvZ2(1, 2, kernel_size=3, stride=(1, 1), padding=(1, 1), bias=False)"
    )


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: P4ConvZ2(0, 2, 3), ValueError, "P4ConvZ2: in_channels must be at least 1, got 0"),
        (lambda: P4ConvZ2(1, "2", 3), TypeError, "P4ConvZ2: out_channels must be an integer, got '2'"),
        (lambda: P4ConvZ2(1, 2, (3, 5)), ValueError, "P4ConvZ2: kernel_size must be square"),
        (lambda: P4ConvZ2(1, 2, 0), ValueError, "P4ConvZ2: kernel_size must be .* at least 1; got 0"),
        (lambda: P4ConvZ2(1, 2, 3, stride=0), ValueError, "P4ConvZ2: stride must be .* at least 1; got 0"),
        (lambda: P4ConvZ2(1, 2, 3, padding=-1), ValueError, "P4ConvZ2: padding must be .* at least 0; got -1"),
        (lambda: P4ConvZ2(1, 2, 3, dtype=torch.int32), TypeError, "P4ConvZ2: dtype must be a real floating-point"),
        (lambda: P4ConvZ2(1, 2, 3, dtype=torch.complex64), TypeError, "P4ConvZ2: dtype must be a real floating-point"),
        (lambda: P4ConvZ2(1, 2, 3, filter_mask=np.ones((2, 1))), ValueError, r"P4ConvZ2: filter_mask .* \(2, 1, 1\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "x, error, message",
    [
        (torch.zeros(1, 2, 4, 5, 5), ValueError, "P4ConvP4: x must have shape .*: 2 channels"),
        (torch.zeros(1, 3, 8, 5, 5), ValueError, "P4ConvP4: .* the stabilizer axis has length 8, not 4"),
        (torch.zeros(1, 3, 5, 5), ValueError, "P4ConvP4: x must have shape"),
        (torch.zeros(1, 3, 4, 2, 5), ValueError, "P4ConvP4: height 2 with padding 0 is smaller"),
        (torch.zeros(1, 3, 4, 5, 5, dtype=torch.int32), TypeError, "P4ConvP4: x must hold real .*, got integers"),
        (torch.zeros(1, 3, 4, 5, 5, dtype=torch.complex64), TypeError, "P4ConvP4: x must hold real .*, got complex"),
    ],
)
def test_inputs_that_do_not_fit_are_named(x, error, message):
    with pytest.raises(error, match=message):
        P4ConvP4(3, 2, 3)(x)
