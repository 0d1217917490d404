"""The residual block: its definition, its equivariance, its state."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from conformance.integer_weights import integer_weights
from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.gconv.geometry import EquivarianceWarning
from groupy.gfunc import P4FuncArray, P4MFuncArray
from torch_gconv import P4ConvP4, P4MConvP4M, coset_max_pooling
from torch_gconv.residual import GResidualBlock

OVER = {P4ConvP4: (C4, P4FuncArray), P4MConvP4M: (D4, P4MFuncArray)}
EPS = 1e-5  # of torch.nn.BatchNorm2d
every_block = pytest.mark.parametrize("conv", OVER, ids=lambda conv: conv.__name__)
shapes = pytest.mark.parametrize("in_channels, out_channels, stride", [(3, 3, 1), (3, 5, 1), (3, 5, 2), (3, 3, 2)])


def on_integers(block, rng):
    state = block.state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items() if not name.endswith("num_batches_tracked")}
    values = integer_weights(shapes, EPS, rng, taps=8)
    block.load_state_dict(state | {name: torch.from_numpy(value) for name, value in values.items()})
    return block.eval()


def feature_map(rng, conv, channels, size):
    shape = (2, channels, conv.spec.output_stabilizer_size, size, size)
    return torch.from_numpy(rng.integers(-4, 5, shape).astype(float))


@every_block
@shapes
def test_blocks_are_equivariant(conv, in_channels, out_channels, stride, rng):
    group, functions = OVER[conv]
    block = on_integers(GResidualBlock(conv, in_channels, out_channels, stride, dtype=torch.float64), rng)
    x = feature_map(rng, conv, in_channels, 9)
    with torch.no_grad():
        y = functions(block(x).numpy())
        assert y.v.any()
        for i in range(group.size):
            moved = torch.from_numpy((group[i] * functions(x.numpy())).v.copy())
            np.testing.assert_array_equal(block(moved).numpy(), (group[i] * y).v)


@every_block
@pytest.mark.parametrize("size", [8, 9])
def test_an_even_size_alone_breaks_a_strided_block_and_its_convolutions_say_so(conv, size, rng):
    block = on_integers(GResidualBlock(conv, 3, 5, 2, dtype=torch.float64), rng)
    # The same for all elements of the stabilizer, so turning it turns the pixels alone.
    x = feature_map(rng, conv, 3, size)[:, :, :1].expand(-1, -1, conv.spec.output_stabilizer_size, -1, -1)
    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always", EquivarianceWarning)
        y, turned = (coset_max_pooling(block(x)), coset_max_pooling(block(torch.rot90(x, 1, (-2, -1)))))
    assert [str(warning.message).split(" breaks")[0] for warning in caught] == (
        [f"{conv.__name__}: height 8"] * 2 if size == 8 else []  # the shortcut and conv1
    )
    assert torch.equal(turned, torch.rot90(y, 1, (-2, -1))) == (size == 9)


@shapes
def test_a_planar_block_is_that_of_the_definition(in_channels, out_channels, stride, rng):
    norm = nn.BatchNorm2d
    block = on_integers(
        GResidualBlock(nn.Conv2d, in_channels, out_channels, stride, batch_norm=norm, dtype=torch.float64), rng
    )
    x = torch.from_numpy(rng.integers(-4, 5, (2, in_channels, 7, 7)).astype(float))
    y = x
    for bn, conv, step in ((block.bn1, block.conv1, stride), (block.bn2, block.conv2, 1)):
        y = (y - bn.running_mean[:, None, None]) * bn.weight[:, None, None] + bn.bias[:, None, None]
        y = F.conv2d(y.clamp(min=0), conv.weight, conv.bias, step, 1)
    shortcut = x
    if (in_channels, stride) != (out_channels, 1):
        shortcut = torch.einsum("oi,nihw->nohw", block.shortcut.weight[:, :, 0, 0], x[..., ::stride, ::stride])
        shortcut = shortcut + block.shortcut.bias[:, None, None]
    assert torch.equal(block(x), y + shortcut)


@every_block
def test_the_shortcut_has_weights_only_where_the_shape_changes(conv):
    names = {name.split(".")[0] for name, _ in GResidualBlock(conv, 3, 3).named_parameters()}
    assert names == {"bn1", "conv1", "bn2", "conv2"}
    changed = GResidualBlock(conv, 3, 4), GResidualBlock(conv, 3, 3, 2)
    assert {block.shortcut.kernel_size for block in changed} == {(1, 1)}


@every_block
def test_the_state_goes_round_and_gradients_reach_all_of_it(conv, rng):
    block, twin = GResidualBlock(conv, 3, 4), GResidualBlock(conv, 3, 4)
    twin.load_state_dict(block.state_dict())
    x = feature_map(rng, conv, 3, 5).float()
    y = block(x)
    assert torch.equal(twin(x), y)
    y.square().sum().backward()
    assert all(parameter.grad.any() for parameter in block.parameters())


def test_a_block_whose_last_convolution_is_zero_is_its_shortcut(rng):
    block = on_integers(GResidualBlock(P4ConvP4, 3, 3, dtype=torch.float64), rng)
    x = feature_map(rng, P4ConvP4, 3, 5)
    assert not torch.equal(block(x), x)
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    assert torch.equal(block(x), x)


@every_block
@pytest.mark.parametrize("training", [True, False])
def test_blocks_have_gradients_of_gradients(conv, training, rng):
    block = GResidualBlock(conv, 1, 2, stride=2).double().train(training)
    S = conv.spec.output_stabilizer_size
    x = torch.from_numpy(rng.standard_normal((2, 1, S, 3, 3))).requires_grad_()
    parameters = {name: p.detach().clone().requires_grad_() for name, p in block.named_parameters()}

    def function(x, *values):
        statistics = {name: buffer.clone() for name, buffer in block.named_buffers()}
        return torch.func.functional_call(block, {**dict(zip(parameters, values)), **statistics}, (x,))

    inputs = (x, *parameters.values())
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)
