"""The filter transformation in PyTorch: values, gradients, gradients of gradients."""

import numpy as np
import pytest
import torch

from groupy.gconv import reference
from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv.transform_filter import transform_filter

every_layer = pytest.mark.parametrize("layer", LAYER_SPECS)


def transform(layer, w, k=3):
    transformation = LAYER_SPECS[layer].transformation(k)
    I = w.shape[1]
    gather, inverse = (torch.tensor(t(I)) for t in (transformation.folded_gather, transformation.folded_inverse))
    return transform_filter(w, gather, inverse, transformation.output_stabilizer_size)


# Hexagonal kernels are odd.
KERNELS = [(n, k) for n, spec in LAYER_SPECS.items() for k in (1, 2, 3) if k % 2 or spec.stabilizer.is_orthogonal]


@pytest.mark.parametrize("layer, k", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_folded_filters_are_the_definitions(layer, dtype, k, rng):
    spec = LAYER_SPECS[layer]
    shape = (2, 3, spec.input_stabilizer_size, *(k,) * spec.ndim)
    w = rng.integers(-128, 128, shape).astype(np.float32)  # exact in every dtype
    w *= spec.stabilizer.support(shape[3:])  # what a hexagonal layer multiplies its weight by
    folded = transform(layer, torch.tensor(w).to(dtype), k)
    assert folded.dtype == dtype
    expected = reference.transform_filters(w, spec.group).reshape(folded.shape)
    np.testing.assert_array_equal(folded.float().numpy(), expected)


@every_layer
def test_gradient_and_gradient_of_the_gradient(layer):
    spec = LAYER_SPECS[layer]
    shape = (1, 2, spec.input_stabilizer_size, *(3,) * spec.ndim)
    w = torch.randn(shape, dtype=torch.float64, generator=torch.manual_seed(0), requires_grad=True)
    # A random projection of the Jacobian, which has as many entries as the table has.
    assert torch.autograd.gradcheck(lambda w: transform(layer, w), w, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda w: transform(layer, w) ** 2, w, fast_mode=True)
