"""Normalization in PyTorch: one set of statistics for all elements of the stabilizer."""

import copy
import re

import pytest
import torch

from groupy.garray.D4_array import D4
from groupy.gconv.reference import left_translate
from torch_gconv import GBatchNorm, GGroupNorm, GSyncBatchNorm, to_planar


def trained(norm):
    """With scales, shifts and statistics that differ between channels, so that none can stand for another."""
    with torch.no_grad():
        for name, tensor in norm.state_dict().items():
            if name != "num_batches_tracked":
                tensor.copy_(torch.arange(1, 5) / len(name))
    return norm


both = pytest.mark.parametrize("norm", [trained(GBatchNorm(4)), trained(GGroupNorm(2, 4))], ids=["batch", "group"])


def feature_map(*shape, dtype=torch.float32):
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype) + 1


def test_each_channel_is_normalized_over_batch_stabilizer_and_pixels():
    x = feature_map(4, 3, 8, 5, 5)
    y = GBatchNorm(3)(x).detach()
    assert y.shape == x.shape
    torch.testing.assert_close(y.mean(dim=(0, 2, 3, 4)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(dim=(0, 2, 3, 4), correction=0), torch.ones(3), atol=1e-4, rtol=0)
    assert y.mean(dim=(0, 3, 4)).abs().max() > 1e-2  # not each orientation by itself


def test_each_group_of_channels_is_normalized_over_stabilizer_and_pixels():
    y = GGroupNorm(2, 4)(feature_map(3, 4, 8, 5, 5)).detach().unflatten(1, (2, 2))
    torch.testing.assert_close(y.mean(dim=(2, 3, 4, 5)), torch.zeros(3, 2), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std(dim=(2, 3, 4, 5), correction=0), torch.ones(3, 2), atol=1e-4, rtol=0)


@both
@pytest.mark.parametrize("h", range(8))
def test_normalization_moves_with_its_input(norm, h):
    norm = copy.deepcopy(norm).double()
    x = feature_map(2, 4, 8, 4, 4, dtype=torch.float64)

    def moved(x):
        return torch.tensor(left_translate(x.detach().numpy(), D4, D4[h]))

    # Statistics of a moved map are sums of the same numbers in another order.
    torch.testing.assert_close(norm(moved(x)), moved(norm(x)), rtol=0, atol=1e-14)


@both
@pytest.mark.parametrize("training", [True, False])
def test_folded_maps_and_any_layout_are_taken(norm, training):
    norm, x = copy.deepcopy(norm).train(training), feature_map(4, 4, 8, 5, 5)
    y = norm(x)
    folded = x.flatten(1, 2)
    assert torch.equal(norm(folded), y.flatten(1, 2))
    other = x.transpose(1, 2).contiguous().transpose(1, 2)
    torch.testing.assert_close(norm(other), y)
    channels_last = norm(folded.contiguous(memory_format=torch.channels_last))
    assert channels_last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(channels_last, y.flatten(1, 2))


@both
@pytest.mark.parametrize("training", [True, False])
def test_volumes_are_maps_with_more_pixels(norm, training):
    """Statistics do not ask where a pixel is: a volume in slices is a picture with more rows."""
    norm, x = copy.deepcopy(norm).train(training), feature_map(4, 4, 8, 3, 5, 2)
    twin = copy.deepcopy(norm)
    y = norm(x)
    assert torch.equal(y, twin(x.flatten(3, 4)).reshape(x.shape))
    assert all(torch.equal(a, b) for a, b in zip(norm.buffers(), twin.buffers()))
    folded = x.flatten(1, 2)
    assert torch.equal(norm(folded), norm(x).flatten(1, 2))
    channels_last = norm(folded.contiguous(memory_format=torch.channels_last_3d))
    assert channels_last.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(channels_last, norm(x).flatten(1, 2))


@both
def test_an_empty_batch_is_taken_in_evaluation(norm):
    assert copy.deepcopy(norm).eval()(torch.zeros(0, 4, 8, 5, 5)).shape == (0, 4, 8, 5, 5)


@both
@pytest.mark.parametrize("training", [True, False])
def test_normalization_has_gradients_of_gradients(norm, training):
    norm = copy.deepcopy(norm).double().train(training)
    x = feature_map(2, 4, 4, 2, 2, dtype=torch.float64).requires_grad_()
    weights = [p.detach().clone().requires_grad_() for p in norm.parameters()]

    def function(x, weight, bias):
        buffers = {name: value.clone() for name, value in norm.named_buffers()}
        return torch.func.functional_call(norm, {"weight": weight, "bias": bias, **buffers}, (x,))

    assert torch.autograd.gradcheck(function, (x, *weights))
    assert torch.autograd.gradgradcheck(function, (x, *weights))


def test_the_state_is_batch_norms():
    state = GBatchNorm(3, eps=1e-3, momentum=0.5).state_dict()
    assert set(state) == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("hexagonal", [True, False])
@pytest.mark.parametrize("folded", [True, False])
def test_pytorch_converts_it_to_one_that_is_synchronized(training, hexagonal, folded):
    norm = GBatchNorm(3, eps=1e-3, hexagonal=hexagonal).train(training)
    state = {name: torch.rand(value.shape) + 0.5 for name, value in norm.state_dict().items()}
    norm.load_state_dict({**state, "num_batches_tracked": torch.tensor(7)})
    model = torch.nn.Sequential(copy.deepcopy(norm), torch.nn.BatchNorm2d(2))
    converted = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert type(converted[1]) is torch.nn.SyncBatchNorm
    assert type(converted[0]) is GSyncBatchNorm and converted[0].weight is model[0].weight
    again = torch.nn.SyncBatchNorm.convert_sync_batchnorm(converted)[0]
    x = torch.randn(2, 3, 6, 5, 5)
    x = x.flatten(1, 2) if folded else x
    if not training:
        torch.testing.assert_close(to_planar(again)(x), norm(x))
    assert torch.equal(again(x), norm(x))
    for name, value in norm.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    assert repr(again).replace("GSync", "G") == repr(norm)


@both
def test_a_map_with_other_channels_is_refused(norm):
    with pytest.raises(
        ValueError, match=r"G(Batch|Group)Norm: x must have shape \(N, 4, S, \[D, \]H, W\) or \(N, 4 \* S"
    ):
        norm(torch.zeros(1, 3, 8, 2, 2))
    for shape in ((1, 6, 2, 2), (1, 6, 2, 2, 2), (1, 3, 8, 2, 2, 2), (1, 4, 2)):
        with pytest.raises(ValueError, match=rf"got {re.escape(str(shape))}"):
            norm(torch.zeros(shape))
