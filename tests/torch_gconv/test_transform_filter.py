"""The filter transformation in PyTorch: values, gradients, gradients of gradients."""

import numpy as np
import pytest
import torch

from groupy.gconv import reference
from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv import transform_filter as transforming
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


@pytest.mark.parametrize("block_bytes", [1, 600])
@pytest.mark.parametrize("layer", ["P4ConvZ2", "P4MConvP4M", "OHConvZ3"])
def test_large_gradients_are_unfolded_a_few_rows_at_a_time_with_the_same_bits(layer, block_bytes, monkeypatch):
    spec = LAYER_SPECS[layer]
    shape = (5, 2, spec.input_stabilizer_size, *(3,) * spec.ndim)
    gradients, in_blocks = [], []
    cat = torch.cat
    monkeypatch.setattr(torch, "cat", lambda blocks: in_blocks.append(len(blocks)) or cat(blocks))
    for mapped_bytes in (2**25, 0):
        monkeypatch.setattr(transforming, "_MAPPED_BYTES", mapped_bytes)
        monkeypatch.setattr(transforming, "_BLOCK_BYTES", block_bytes)
        w = torch.randn(shape, generator=torch.manual_seed(0), requires_grad=True)
        folded = transform(layer, w)
        gradients += torch.autograd.grad(folded, w, torch.randn(folded.shape, generator=torch.manual_seed(1)))
    assert len(in_blocks) == 1 and in_blocks[0] > 1
    assert torch.equal(*gradients)
