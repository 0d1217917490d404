"""Pooling in PyTorch."""

import pytest
import torch

from torch_gconv import (
    CosetMaxPool,
    CosetMeanPool,
    GMaxPool2d,
    coset_max_pooling,
    coset_mean_pooling,
    plane_group_spatial_max_pooling,
)


def feature_map(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.manual_seed(0))


def test_spatial_pooling_is_planar_pooling_of_each_map():
    x = feature_map(2, 3, 4, 6, 6)
    assert torch.equal(plane_group_spatial_max_pooling(x, 2), x.view(2, 3, 4, 3, 2, 3, 2).amax(dim=(4, 6)))
    assert torch.equal(GMaxPool2d(3, 2, 1)(x), plane_group_spatial_max_pooling(x, 3, 2, 1))


@pytest.mark.parametrize("pool, torchs", [(coset_max_pooling, torch.amax), (coset_mean_pooling, torch.mean)])
def test_coset_pooling_reduces_the_stabilizer(pool, torchs):
    x = torch.randint(-9, 10, (2, 3, 8, 5, 6)).double()
    assert torch.equal(pool(x), torchs(x, dim=2))
    assert torch.equal(pool(x.flip(2)), pool(x))


@pytest.mark.parametrize("pool", [coset_max_pooling, coset_mean_pooling])
def test_coset_pooling_has_gradients_of_gradients(pool):
    x = feature_map(1, 2, 4, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(pool, x)
    assert torch.autograd.gradgradcheck(lambda x: pool(x) ** 2, x)


def test_equal_values_share_the_gradient():
    x = torch.tensor([1.0, 3.0, 3.0, 0.0]).view(1, 1, 4, 1, 1).requires_grad_()
    coset_max_pooling(x).backward()
    assert x.grad.flatten().tolist() == [0, 0.5, 0.5, 0]


def test_modules_compute_what_the_functions_do():
    x = feature_map(2, 3, 4, 5, 5)
    assert torch.equal(CosetMaxPool()(x), coset_max_pooling(x))
    assert torch.equal(CosetMeanPool()(x), coset_mean_pooling(x))
    assert repr(GMaxPool2d(2)) == "GMaxPool2d(kernel_size=2, stride=2, padding=0)"
