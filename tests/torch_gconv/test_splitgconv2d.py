"""The PyTorch layers: arguments, shapes, state, errors. What they compute is proved in conformance."""

import copy
import inspect
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import torch_gconv
from groupy.gconv import reference
from groupy.gconv.geometry import EquivarianceError, EquivarianceWarning
from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gconv.make_filter_masks import make_p4m_masks_segregate_mirrors
from torch_gconv import P4ConvP4, P4ConvZ2, P4MConvP4M

# The options of torch.nn.Conv2d, on the square grid; what all groups have in common is in test_splitgconv.
every_layer = pytest.mark.parametrize("layer", ["P4ConvZ2", "P4ConvP4", "P4MConvZ2", "P4MConvP4M"])


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
    """In its order, so that a layer can take its place."""
    arguments = [*inspect.signature(nn.Conv2d).parameters.values()]
    ours = [*inspect.signature(getattr(torch_gconv, layer)).parameters.values()]
    assert [(p.name, p.default) for p in ours[: len(arguments)]] == [(p.name, p.default) for p in arguments]
    module = getattr(torch_gconv, layer)(2, 4, (5, 5), 2, 1, 3, 2, False, "circular", "meta", torch.float64)
    assert (module.kernel_size, module.stride, module.padding, module.dilation) == ((5, 5), (2, 2), (1, 1), (3, 3))
    assert (module.groups, module.bias, module.padding_mode) == (2, None, "circular")
    assert module.weight.device.type == "meta" and module.weight.dtype == torch.float64


# Every option, with an input size that keeps equivariance where there is one.
OPTIONS = {
    "plain": (5, {}),
    "kernel_size=1": (4, {"kernel_size": 1}),
    "kernel_size=2": (4, {"kernel_size": 2}),
    "kernel_size=4": (6, {"kernel_size": 4, "padding": 1}),
    "stride=2": (5, {"stride": 2, "padding": 1}),
    "dilation=2": (6, {"dilation": 2, "padding": 1}),
    "dilation=2, stride=2": (7, {"dilation": 2, "stride": 2, "padding": 2}),
    "padding='valid'": (4, {"padding": "valid"}),
    "padding='same'": (4, {"padding": "same"}),
    "padding='same', dilation=2": (4, {"padding": "same", "dilation": 2}),
    "reflect": (4, {"padding": 1, "padding_mode": "reflect"}),
    "replicate": (4, {"padding": 2, "padding_mode": "replicate"}),
    "circular": (4, {"padding": 1, "padding_mode": "circular"}),
    "circular, stride=2": (5, {"padding": 2, "stride": 2, "padding_mode": "circular"}),
    "groups=2": (4, {"groups": 2}),
    "bias=False": (4, {"bias": False}),
    "flat_channels": (4, {"flat_channels": True}),
    "mask": (4, {"filter_mask": True}),
    "everything": (5, {"stride": 2, "padding": 2, "dilation": 2, "groups": 2, "padding_mode": "circular"}),
}
every_option = pytest.mark.parametrize("option", OPTIONS)


def make_with(layer, option, channels=(2, 2), dtype=torch.float64, integers=True):
    """A layer with the option, with small integers as parameters, and an input for it."""
    size, options = OPTIONS[option]
    S, generator = LAYER_SPECS[layer].input_stabilizer_size, torch.Generator().manual_seed(1)
    options = {"kernel_size": 3, **options}
    if "filter_mask" in options:
        mask = torch.ones(channels[1], channels[0] // options.get("groups", 1), S)
        mask.view(-1)[::3] = 0
        options["filter_mask"] = mask
    module = getattr(torch_gconv, layer)(*channels, **options, dtype=dtype, strict=True)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-4, 5, parameter.shape, generator=generator))
    x = torch.randint(-4, 5, (2, channels[0], S, size, size), generator=generator).to(dtype)
    return module, x


def by_definition(module, x):
    """The output from the definition over group elements: group by group, taps spread, padded by NumPy."""
    (k, _), (d, _), (s, _) = module.kernel_size, module.dilation, module.stride
    window, group, mode = module.window, module.spec.group, module.padding_mode
    weight = module.weight if module.filter_mask is None else module.weight * module.filter_mask
    spread = np.zeros((*weight.shape[:3], *window.extent))
    spread[..., ::d, ::d] = weight.detach().numpy()
    sides = [(p, q) for p, q in zip(window.before, window.after)]
    modes = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    padded = np.pad(x.numpy(), [(0, 0)] * 3 + sides, mode=modes[mode])
    bias = np.zeros(module.out_channels) if module.bias is None else module.bias.detach().numpy()
    parts = zip(*(np.split(a, module.groups, axis) for a, axis in ((padded, 1), (spread, 0), (bias, 0))))
    assert spread.shape[-1] == d * (k - 1) + 1
    return torch.tensor(np.concatenate([reference.gconv(x_, w_, b_, group, s, 0) for x_, w_, b_ in parts], axis=1))


@every_layer
@every_option
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_option_computes_what_the_definition_says(layer, option, dtype):
    module, x = make_with(layer, option, dtype=dtype)
    y = module(x)
    y = y.unflatten(1, (module.out_channels, -1)) if module.flat_channels else y
    due = by_definition(module, x)
    assert torch.equal(y.double(), due)
    assert due.unique().numel() > 9


@every_layer
@every_option
def test_every_option_keeps_equivariance(layer, option):
    module, x = make_with(layer, option)
    group = module.spec.group

    def moved(x, h):
        return torch.tensor(reference.left_translate(x.detach().numpy(), group, h))

    def apply(x):
        y = module(x)
        return y.unflatten(1, (module.out_channels, -1)) if module.flat_channels else y

    for h in group:
        assert torch.equal(apply(moved(x, h)), moved(apply(x), h))


@every_layer
@every_option
def test_gradients_and_their_gradients(layer, option):
    module, x = make_with(layer, option)
    names = [name for name, _ in module.named_parameters()]
    parameters = [p.detach().clone().requires_grad_() for p in module.parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters)), (x,))

    # A random projection of the Jacobian instead of each entry: a wrong entry shows in it with probability one.
    inputs, fast = (x[:1].requires_grad_(), *parameters), {"fast_mode": True}
    assert torch.autograd.gradcheck(function, inputs, **fast)
    assert torch.autograd.gradgradcheck(function, inputs, **fast)


@every_layer
def test_same_padding_of_an_even_kernel_keeps_the_size_and_says_what_it_breaks(layer):
    S = LAYER_SPECS[layer].input_stabilizer_size
    module, planar = getattr(torch_gconv, layer)(1, 1, 4, padding="same"), nn.Conv2d(S, 1, 4, padding="same")
    module.reset_parameters(init="conv2d")  # with a bias that is not zero
    x = torch.randn(1, 1, S, 6, 6)
    with pytest.warns(EquivarianceWarning, match=rf"{layer}: padding \(1, 1\) before and \(2, 2\) after the picture"):
        y = module(x)
    with torch.no_grad():
        planar.weight.copy_(module.folded_filters()[:1])
        planar.bias.copy_(module.bias)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel")  # PyTorch's: it copies the input
        torch.testing.assert_close(planar(x.flatten(1, 2)), y[:, :, 0])


@every_layer
def test_flat_channels_are_the_same_numbers_in_four_axes(layer):
    spec, make = LAYER_SPECS[layer], getattr(torch_gconv, layer)
    folded, unfolded = make(2, 3, 3, flat_channels=True), make(2, 3, 3)
    folded.reset_parameters(init="conv2d")  # with a bias that is not zero
    unfolded.load_state_dict(folded.state_dict())
    x = feature_map(layer)
    y = unfolded(x)
    assert y.shape == (2, 3, spec.output_stabilizer_size, 3, 3)
    assert torch.equal(folded(x.flatten(1, 2)), y.flatten(1, 2))
    assert torch.equal(unfolded(x.flatten(1, 2)), y)


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


@every_layer
def test_channels_last_is_kept_when_given(layer):
    module, x = getattr(torch_gconv, layer)(2, 3, 3, flat_channels=True), feature_map(layer).flatten(1, 2)
    channels_last = x.to(memory_format=torch.channels_last)
    version, strides = channels_last._version, channels_last.stride()
    y = module(channels_last)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert (channels_last._version, channels_last.stride()) == (version, strides)
    torch.testing.assert_close(module(x), y)
    module.to(memory_format=torch.channels_last)  # as one does with planar networks
    torch.testing.assert_close(module(channels_last), y)


@every_layer
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_devices_and_dtypes_are_moved_to(layer, dtype):
    module, x = make_with(layer, "mask", dtype=torch.float32)
    y = module(x)  # integers below 2048: exact in every dtype but bfloat16
    moved = module.to(dtype)
    assert {value.dtype for value in moved.state_dict().values()} == {dtype}
    assert moved(x.to(dtype)).dtype == dtype
    if dtype != torch.bfloat16:
        assert torch.equal(moved(x.to(dtype)).float(), y)
    on_meta = module.to("meta")
    assert on_meta(x.to("meta", dtype)).shape == y.shape
    back = on_meta.to_empty(device="cpu")
    assert {t.device.type for t in (back.weight, *back._tables)} == {"cpu"}


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


def test_a_strict_layer_refuses_such_a_size_each_time():
    module = P4ConvZ2(1, 2, 3, stride=2, padding=1, strict=True)
    for _ in range(2):
        with pytest.raises(EquivarianceError, match="P4ConvZ2: height 8 breaks .* Nearest sizes that work: 7, 9"):
            module(torch.zeros(1, 1, 8, 8))
    assert module(torch.zeros(1, 1, 9, 9)).shape == (1, 2, 4, 5, 5)


def test_settings_changed_after_construction_are_seen():
    module, x = P4ConvZ2(1, 2, 3, stride=2), torch.zeros(1, 1, 9, 9)
    assert module(x).shape[-1] == 4
    module.stride, module.padding = (1, 1), (1, 1)
    assert module(x).shape[-1] == 9


def test_repr_reads_as_the_call():
    assert repr(P4ConvZ2(1, 2, 3, padding=1, bias=False)) == (
        "P4ConvZ2(1, 2, kernel_size=3, stride=(1, 1), padding=(1, 1), bias=False)"
    )


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: P4ConvZ2(0, 2, 3), ValueError, "P4ConvZ2: in_channels must be at least 1, got 0"),
        (lambda: P4ConvZ2(1, "2", 3), TypeError, "P4ConvZ2: out_channels must be an integer, got '2'"),
        (lambda: P4ConvZ2(1, 2, (3, 5)), ValueError, "P4ConvZ2: kernel_size 3 x 5 does not fit C4, .*pm, p2, p2mm"),
        (lambda: P4ConvZ2(1, 2, 0), ValueError, "P4ConvZ2: kernel_size must be .* at least 1; got 0"),
        (lambda: P4ConvZ2(1, 2, 3, stride=0), ValueError, "P4ConvZ2: stride must be .* at least 1; got 0"),
        (lambda: P4ConvZ2(1, 2, 3, padding=-1), ValueError, "P4ConvZ2: padding must be .* at least 0; got -1"),
        (lambda: P4ConvZ2(1, 2, 3, padding="full"), ValueError, "P4ConvZ2: padding must be .* 'same' or 'valid', got"),
        (lambda: P4ConvZ2(1, 2, 3, 2, "same"), ValueError, "P4ConvZ2: padding='same' needs stride 1, got"),
        (lambda: P4ConvZ2(1, 2, 3, dilation=0), ValueError, "P4ConvZ2: dilation must be .* at least 1; got 0"),
        (lambda: P4ConvZ2(1, 2, 3, groups=2), ValueError, "P4ConvZ2: in_channels=1 must be a multiple of groups=2"),
        (lambda: P4ConvZ2(1, 2, 3, padding_mode="wrap"), ValueError, "P4ConvZ2: padding_mode must be one of zeros, .*"),
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
