"""Options of the layers in space. What all groups have in common is in test_splitgconv."""

import numpy as np
import pytest
import torch

from groupy.gconv import reference
from torch_gconv import C4HConvC4H, C4HConvZ3

# Each with the size of an input that keeps equivariance where there is one.
OPTIONS = {
    "padding='valid'": ((3, 4, 4), {"padding": "valid"}),
    "padding='same'": ((3, 4, 4), {"padding": "same"}),
    "padding='same', dilation=2": ((3, 4, 4), {"padding": "same", "dilation": 2}),
    "padding of several sizes": ((3, 4, 4), {"padding": (0, 1, 1)}),
    "a flat kernel": ((2, 4, 4), {"kernel_size": (1, 3, 3), "padding": (0, 1, 1)}),
    "steps of several sizes": ((4, 5, 5), {"kernel_size": (2, 3, 3), "stride": (1, 2, 2)}),
    "reflect": ((3, 4, 4), {"padding": (1, 2, 2), "padding_mode": "reflect"}),
    "replicate": ((3, 4, 4), {"padding": 1, "padding_mode": "replicate"}),
    "circular": ((3, 4, 4), {"padding": 1, "padding_mode": "circular"}),
    "groups=2": ((3, 4, 4), {"groups": 2}),
}
layers = pytest.mark.parametrize("layer", [C4HConvZ3, C4HConvC4H])
every_option = pytest.mark.parametrize("option", OPTIONS)


def make(layer, option, rng):
    size, options = OPTIONS[option]
    module = layer(2, 2, **{"kernel_size": 3, **options}, strict=True)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.integers(-4, 5, parameter.shape)))
    return module, torch.from_numpy(rng.integers(-4, 5, (2, 2, module.input_stabilizer_size, *size))).float()


def by_definition(module, x):
    """The output from the definition over group elements: group by group, taps spread, padded by NumPy."""
    spread = np.zeros((*module.weight.shape[:3], *module.window.extent))
    spread[(..., *(slice(None, None, d) for d in module.dilation))] = module.weight.detach().numpy()
    modes = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    sides = list(zip(module.window.before, module.window.after))
    padded = np.pad(x.numpy(), [(0, 0)] * 3 + sides, mode=modes[module.padding_mode])
    arrays = ((padded, 1), (spread, 0), (module.bias.detach().numpy(), 0))
    parts = zip(*(np.split(array, module.groups, axis) for array, axis in arrays))
    group, stride = module.spec.group, module.stride
    return np.concatenate([reference.gconv(*part, group, stride) for part in parts], axis=1)


@layers
@every_option
def test_every_option_computes_what_the_definition_says(layer, option, rng):
    module, x = make(layer, option, rng)
    y = module(x).detach().numpy()
    np.testing.assert_array_equal(y, by_definition(module, x))
    assert np.unique(y).size > 9


@layers
@every_option
@pytest.mark.parametrize("h", range(8))
def test_every_option_keeps_equivariance(layer, option, h, rng):
    module, x = make(layer, option, rng)
    group = module.spec.group

    def moved(x):
        return torch.tensor(reference.left_translate(x.detach().numpy(), group, group[h]))

    assert torch.equal(module(moved(x)), moved(module(x)))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"stride": (1, 2)}, r"C4HConvZ3: stride must be an integer or a triple, each at least 1; got \(1, 2\)"),
        ({"padding": -1}, "C4HConvZ3: padding must be an integer or a triple, each at least 0; got -1"),
        ({"dilation": (1, 1, 0)}, "C4HConvZ3: dilation must be an integer or a triple, each at least 1"),
        ({"padding": "full"}, "C4HConvZ3: padding must be an integer, a triple, 'same' or 'valid', got 'full'"),
    ],
)
def test_arguments_that_do_not_fit_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        C4HConvZ3(1, 1, 3, **options)


def test_repr_reads_as_the_call():
    assert repr(C4HConvZ3(1, 2, (1, 3, 3), padding=(0, 1, 1))) == (
        "C4HConvZ3(1, 2, kernel_size=(1, 3, 3), stride=(1, 1, 1), padding=(0, 1, 1))"
    )
