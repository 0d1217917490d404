"""What the layers of all groups have in common: the law, gradients, state, copies."""

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import torch_gconv
from groupy.gconv import reference
from groupy.gconv.geometry import EquivarianceError, EquivarianceWarning
from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv import layer_of

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)
# Those on the square grid have been taken apart option by option in test_splitgconv2d.
NEW = [name for name in LAYER_SPECS if not name.startswith("P4")]

# GrouPy's old PyTorch port gave these to the base class: see test_old_port.
STABILIZER_SIZES = ("input_stabilizer_size", "output_stabilizer_size")

OPTIONS = {
    "plain": {},
    "strided": {"stride": 2, "padding": 1},
    "no bias": {"bias": False, "padding": 2},
    "an even kernel": {"kernel_size": 2},
    "dilated": {"dilation": 2, "padding": 2},
}


def fits(spec, option):
    """Hexagonal kernels are odd. The definition visits each tap for each element: a spread kernel has many."""
    return {"an even kernel": spec.stabilizer.is_orthogonal, "dilated": spec.group.size <= 12}.get(option, True)


CASES = [(layer, option) for layer, spec in LAYER_SPECS.items() for option in OPTIONS if fits(spec, option)]


def make(layer, channels=(2, 3), kernel_size=3, dtype=torch.float64, **options):
    """A layer with small integers as parameters, and an input of integers."""
    spec, generator = LAYER_SPECS[layer], torch.Generator().manual_seed(1)
    module = layer_of(spec)(*channels, kernel_size, dtype=dtype, strict=True, **options)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randint(-4, 5, parameter.shape, generator=generator))
    size = (5,) * spec.ndim if module.stride[0] == 1 or spec.ndim == 3 else (9,) * spec.ndim
    x = torch.randint(-4, 5, (2, channels[0], spec.input_stabilizer_size, *size), generator=generator).to(dtype)
    return module, x


def spread(weight, dilation):
    """The kernel with zeros between its taps."""
    sides = [d * (k - 1) + 1 for k, d in zip(weight.shape[3:], dilation)]
    wide = np.zeros((*weight.shape[:3], *sides))
    wide[(..., *(slice(None, None, d) for d in dilation))] = weight
    return wide


@pytest.mark.parametrize("layer, option", CASES)
def test_outputs_and_gradients_are_the_definitions(layer, option):
    module, x = make(layer, dtype=torch.float32, **OPTIONS[option])
    x.requires_grad_()
    y = module(x)
    gy = torch.randint(-4, 5, y.shape, generator=torch.Generator().manual_seed(2)).float()
    y.backward(gy)

    weight, group, stride, padding = module.weight.detach().numpy(), module.spec.group, module.stride, module.padding
    if not module.spec.stabilizer.is_orthogonal:  # spread taps lie on another hexagon than those of a wide kernel
        weight = weight * module.spec.filter_support(module.kernel_size)
    wide, x_ = spread(weight, module.dilation), x.detach().numpy()
    bias = None if module.bias is None else module.bias.detach().numpy()
    np.testing.assert_array_equal(y.detach().numpy(), reference.gconv(x_, wide, bias, group, stride, padding))
    gx, gw, gb = reference.gconv_gradients(x_, wide, gy.numpy(), group, stride, padding)
    np.testing.assert_array_equal(x.grad.numpy(), gx)
    gw = gw[(..., *(slice(None, None, d) for d in module.dilation))]
    support = module.spec.filter_support(module.kernel_size)
    np.testing.assert_array_equal(module.weight.grad.numpy(), gw if support is None else gw * support)
    if bias is not None:
        np.testing.assert_array_equal(module.bias.grad.numpy(), gb)
    assert y.unique().numel() > 9 and np.unique(gw).size > 9


# Kernels with sides of their own, for the groups that keep them, and inputs with as many rows as they like.
OBLONG = {
    **dict.fromkeys(("PMConvZ2", "PMConvPM", "P2ConvZ2", "P2ConvP2", "P2MMConvZ2", "P2MMConvP2MM"), ((2, 3), (4, 6))),
    **dict.fromkeys(("C4HConvZ3", "C4HConvC4H", "D4HConvZ3", "D4HConvD4H"), ((1, 2, 2), (3, 2, 4))),
}


@pytest.mark.parametrize("layer", OBLONG)
def test_kernels_that_the_group_keeps_need_not_be_square_nor_need_inputs(layer, rng):
    kernel, size = OBLONG[layer]
    module, _ = make(layer, (2, 2), kernel)
    x = rng.integers(-4, 5, (1, 2, module.input_stabilizer_size, *size)).astype(float)
    weight, bias = (p.detach().numpy() for p in module.parameters())
    due = reference.gconv(x, weight, bias, module.spec.group)
    np.testing.assert_array_equal(module(torch.tensor(x)).detach().numpy(), due)
    assert module.weight.shape[3:] == kernel and f"kernel_size={kernel}" in repr(module)


@pytest.mark.parametrize(
    "layer, kernel, message",
    [
        ("P4ConvP4", (3, 5), "kernel_size 3 x 5 does not fit C4, .* Groups that allow this shape: pm, p2, p2mm"),
        ("P6ConvZ2", 4, "kernel_size 4 x 4 is even, .* use an odd side"),
        ("C4HConvZ3", (3, 3, 5), "kernel_size 3 x 3 x 5 does not fit C4h"),
        ("OConvO", (1, 3, 3), r"kernel_size 1 x 3 x 3 does not fit O, .* Groups that allow this shape: C4h, D4h"),
        ("OConvO", (3, 3), r"kernel_size must be one integer or 3 of them, each at least 1; got \(3, 3\)"),
    ],
)
def test_kernels_that_the_group_does_not_keep_are_refused(layer, kernel, message):
    with pytest.raises(ValueError, match=f"{layer}: {message}"):
        getattr(torch_gconv, layer)(1, 1, kernel)


ELEMENTS = [
    pytest.param(layer, h, id=f"{layer}-{word}")
    for layer, spec in LAYER_SPECS.items()
    for h, word in enumerate(spec.stabilizer.words)
]


@pytest.mark.parametrize("layer, h", ELEMENTS)
def test_each_element_that_moves_the_input_moves_the_output(layer, h):
    spec = LAYER_SPECS[layer]
    module, _ = make(layer, (1, 1), padding=1)
    x = torch.randint(-4, 5, (1, 1, spec.input_stabilizer_size, *(5,) * spec.ndim)).double()
    if not spec.stabilizer.is_orthogonal:
        x = x * torch.tensor(spec.stabilizer.support((5, 5)))

    def moved(x):
        return torch.tensor(reference.left_translate(x.detach().numpy(), spec.group, spec.group[h]))

    y = module(x)
    assert y.any() and torch.equal(module(moved(x)), moved(y))


@every_layer
def test_a_filter_that_is_not_turned_breaks_it(layer):
    """The check above can fail: the last filter of the orbit is exchanged for the first one."""
    spec = LAYER_SPECS[layer]
    module, _ = make(layer, (1, 1), padding=1)
    (gather, inverse), _ = module._make_tables(module.weight)
    rows = gather.view(spec.output_stabilizer_size, -1)
    module._tables = torch.cat([rows[:-1], rows[:1]]).flatten(), inverse
    x = torch.randint(-4, 5, (1, 1, spec.input_stabilizer_size, *(5,) * spec.ndim)).double()
    if not spec.stabilizer.is_orthogonal:
        x = x * torch.tensor(spec.stabilizer.support((5, 5)))
    last = spec.group[spec.group.size - 1]
    moved_x, moved_y = (
        torch.tensor(reference.left_translate(a.detach().numpy(), spec.group, last)) for a in (x, module(x))
    )
    assert not torch.equal(module(moved_x), moved_y)


@pytest.mark.parametrize("layer", NEW)
def test_gradients_and_their_gradients(layer):
    spec = LAYER_SPECS[layer]
    k = 2 if spec.stabilizer.is_orthogonal else 3
    module = layer_of(spec)(1, 1, k, dtype=torch.float64)
    x = torch.randn(1, 1, spec.input_stabilizer_size, *(k + 2 * (k % 2),) * spec.ndim, dtype=torch.float64)
    names = [name for name, _ in module.named_parameters()]
    parameters = [p.detach().clone().requires_grad_() for p in module.parameters()]

    def function(x, *parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters)), (x,)) ** 2

    # A random projection of the Jacobian instead of each entry: a wrong entry shows in it with probability one.
    inputs, fast = (x.requires_grad_(), *parameters), {"fast_mode": True}
    assert torch.autograd.gradcheck(function, inputs, **fast)
    assert torch.autograd.gradgradcheck(function, inputs, **fast)


@every_layer
def test_arguments_are_those_of_pytorchs_convolution(layer):
    theirs = {2: nn.Conv2d, 3: nn.Conv3d}[LAYER_SPECS[layer].ndim]
    arguments = [*inspect.signature(theirs).parameters.values()]
    ours = [*inspect.signature(getattr(torch_gconv, layer)).parameters.values()]
    assert [(p.name, p.default) for p in ours[: len(arguments)]] == [(p.name, p.default) for p in arguments]
    own = {p.name for p in ours[len(arguments) :] if p.kind is inspect.Parameter.KEYWORD_ONLY}
    assert own == {"filter_mask", "flat_channels", "strict", "output_mask", *STABILIZER_SIZES}


@every_layer
def test_the_state_is_weight_and_bias_alone(layer):
    spec = LAYER_SPECS[layer]
    module, twin = (make(layer)[0] for _ in range(2))
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert shapes == {"weight": (3, 2, spec.input_stabilizer_size, *(3,) * spec.ndim), "bias": (3,)}
    twin.reset_parameters()
    twin.load_state_dict(module.state_dict())
    _, x = make(layer)
    assert torch.equal(twin(x), module(x))


@every_layer
def test_folded_channels_and_a_mask_on_the_filters(layer):
    spec = LAYER_SPECS[layer]
    mask = torch.ones(3, 2, spec.input_stabilizer_size)
    mask.view(-1)[::2] = 0
    module, x = make(layer, filter_mask=mask)
    flat, _ = make(layer, filter_mask=mask, flat_channels=True)
    y = module(x)
    assert torch.equal(flat(x.flatten(1, 2)), y.flatten(1, 2)) and torch.equal(module(x.flatten(1, 2)), y)
    assert module.filter_mask.shape == (3, 2, spec.input_stabilizer_size, *(1,) * spec.ndim)
    with torch.no_grad():
        module.weight[mask == 0] = 99
    assert torch.equal(module(x), y)
    with pytest.raises(ValueError, match=f"{layer}: filter_mask must have shape"):
        make(layer, filter_mask=mask[:2])


@every_layer
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"])  # noqa: S301 - our own bytes
def test_copies_compute_the_same_and_are_independent(layer, duplicate):
    module, x = make(layer)
    twin, y = duplicate(module.eval()), module(x)
    assert torch.equal(twin(x), y)
    with torch.no_grad():
        twin.weight.zero_()
    assert torch.equal(module(x), y) and not torch.equal(twin(x), y)


@every_layer
def test_evaluation_keeps_the_filters_and_sees_a_change(layer):
    module, x = make(layer)
    y = module(x)
    with torch.no_grad():
        assert torch.equal(module.eval()(x), y) and module._kept._kept is not None
        module.weight.neg_()
        module.bias.neg_()
        assert torch.equal(module(x), -y)


@every_layer
def test_memory_formats_and_devices_are_moved_to(layer):
    module, x = make(layer, dtype=torch.float32)
    y, ndim = module(x), LAYER_SPECS[layer].ndim
    last = {2: torch.channels_last, 3: torch.channels_last_3d}[ndim]
    module.to(memory_format=last)
    assert torch.equal(module(x.flatten(1, 2).to(memory_format=last)), y)
    assert module.weight.is_contiguous()
    on_meta = copy.deepcopy(module).to("meta")
    assert on_meta(x.to("meta")).shape == y.shape
    back = on_meta.to_empty(device="cpu")
    back.load_state_dict(module.state_dict())
    assert torch.equal(back(x), y)


STRIDED = {2: "height 6 breaks equivariance", 3: "depth 6 breaks equivariance"}


@pytest.mark.parametrize("layer", [name for name in LAYER_SPECS if name not in ("PMConvZ2", "PMConvPM")])
def test_a_size_that_breaks_equivariance_is_warned_of_once_or_refused(layer):
    spec = LAYER_SPECS[layer]
    x = torch.zeros(1, 1, spec.input_stabilizer_size, *(6,) * spec.ndim)
    lax, strict = (getattr(torch_gconv, layer)(1, 1, 3, 2, strict=strict) for strict in (False, True))
    with pytest.warns(EquivarianceWarning, match=f"{layer}: {STRIDED[spec.ndim]}") as record:
        lax(x)
    assert record[0].filename == __file__
    lax(x)  # warnings are errors here: a second one would fail
    with pytest.raises(EquivarianceError, match=f"{layer}: {STRIDED[spec.ndim]}"):
        strict(x)


@pytest.mark.parametrize("layer", ["PMConvZ2", "PMConvPM"])
def test_rows_that_no_element_turns_round_may_have_any_number(layer):
    spec = LAYER_SPECS[layer]
    module = getattr(torch_gconv, layer)(1, 1, 3, 2, strict=True)
    assert module(torch.zeros(1, 1, spec.input_stabilizer_size, 6, 7)).shape[-2:] == (2, 3)
    with pytest.raises(EquivarianceError, match=f"{layer}: width 6 breaks equivariance"):
        module(torch.zeros(1, 1, spec.input_stabilizer_size, 6, 6))


@every_layer
def test_an_input_on_another_grid_is_refused(layer):
    spec = LAYER_SPECS[layer]
    with pytest.raises(ValueError, match=f"{layer}: x must have shape .*: .* axes"):
        make(layer)[0](torch.zeros(1, 2, spec.input_stabilizer_size, *(5,) * (spec.ndim + 2)).double())
