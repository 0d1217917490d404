"""layer_of: the class of each LayerSpec, and of one that somebody adds."""

import copy

import numpy as np
import pytest
import torch

import torch_gconv
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizer import Stabilizer
from groupy.gconv import reference
from groupy.gconv.layer_specs import LAYER_SPECS, LayerSpec
from torch_gconv import SplitGConv2D, SplitGConv3D, layer_of


@pytest.mark.parametrize("layer", LAYER_SPECS)
def test_the_librarys_layers_are_exported(layer):
    spec = LAYER_SPECS[layer]
    made = layer_of(spec)
    assert made is getattr(torch_gconv, layer) and made.spec == spec and made.__name__ == layer
    assert layer in torch_gconv.__all__ and issubclass(made, {2: SplitGConv2D, 3: SplitGConv3D}[spec.ndim])


def group_of(stabilizer):
    """A FiniteGroup, as a user makes one."""
    elements = type("Elements", (PointGArray,), {"stabilizer": stabilizer})
    return type("Group", (PointGroup, elements), {})()


TOP_DOWN = group_of(Stabilizer.generated("top-down", m=(((-1, 0), (0, 1)), 2)))
THIRD_TURNS = group_of(Stabilizer.generated("C3", r=(((0, 1), (-1, -1)), 3)))  # on the hexagonal grid
UPSIDE_DOWN = group_of(Stabilizer.generated("upside-down", h=(np.diag((-1, 1, 1)), 2)))


@pytest.mark.parametrize("group", [TOP_DOWN, THIRD_TURNS, UPSIDE_DOWN], ids=["mirror", "hexagonal", "in space"])
@pytest.mark.parametrize("lifting", [True, False])
def test_a_group_of_ones_own_has_layers_too(group, lifting, rng):
    spec = LayerSpec("MyConv", group, lifting)
    layer = layer_of(spec)
    assert layer.__name__ == "MyConv" and layer is layer_of(spec)
    module = layer(2, 3, 3, padding=1, dtype=torch.float64)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.from_numpy(rng.integers(-4, 5, parameter.shape)))
    x = rng.integers(-4, 5, (2, 2, spec.input_stabilizer_size, *(5,) * spec.ndim)).astype(float)
    w, b = (p.detach().numpy() for p in module.parameters())
    y = module(torch.from_numpy(x))
    np.testing.assert_array_equal(y.detach().numpy(), reference.gconv(x, w, b, group, 1, 1))
    assert torch.equal(copy.deepcopy(module)(torch.from_numpy(x)), y)


def test_specs_of_one_name_and_different_groups_have_different_classes():
    a, b = (layer_of(LayerSpec("MyConv", group, True)) for group in (TOP_DOWN, THIRD_TURNS))
    assert a is not b and a.spec.group is TOP_DOWN and b.spec.group is THIRD_TURNS
