"""Dropout in PyTorch: what falls, falls with its whole fiber."""

import copy
import pickle

import pytest
import torch

from torch_gconv import GDropout


def ones(*shape):
    return torch.ones(shape, dtype=torch.float64)


def test_a_whole_fiber_stays_or_falls():
    y = GDropout(0.25)(ones(8, 3, 4, 16, 16))
    fibers = y.flatten(1, 2)
    assert torch.equal(fibers.amax(1), fibers.amin(1))
    assert set(y.unique().tolist()) == {0.0, 1 / 0.75}
    share = (fibers[:, 0] == 0).double().mean()  # of 2048 fibers, standard deviation 0.0096
    assert abs(share - 0.25) < 0.05


def test_per_channel_each_channel_falls_by_itself_with_all_of_its_stabilizer():
    y = GDropout(0.5, per_channel=True)(ones(8, 3, 4, 16, 16))
    assert torch.equal(y.amax(2), y.amin(2))
    assert not torch.equal(y.amax(1), y.amin(1))


@pytest.mark.parametrize("per_channel", [False, True])
def test_folded_maps_are_taken(per_channel):
    x, dropout = ones(2, 3, 4, 5, 5), GDropout(0.5, per_channel, stabilizer_size=4)
    torch.manual_seed(1)
    y = dropout(x)
    torch.manual_seed(1)
    assert torch.equal(dropout(x.flatten(1, 2)), y.flatten(1, 2))


@pytest.mark.parametrize("per_channel", [False, True])
def test_in_space_whole_fibers_fall_voxel_by_voxel(per_channel):
    x, dropout = ones(4, 3, 4, 6, 7, 8), GDropout(0.5, per_channel, stabilizer_size=4, ndim=3)
    torch.manual_seed(1)
    y = dropout(x)
    torch.manual_seed(1)
    assert torch.equal(dropout(x.flatten(1, 2)), y.flatten(1, 2))
    fibers = y if per_channel else y.flatten(1, 2).unsqueeze(1)
    assert torch.equal(fibers.amax(2), fibers.amin(2))
    for axis in range(2, 5):  # slices differ along each axis of the grid
        assert not torch.equal(fibers[:, :, 0].select(axis, 0), fibers[:, :, 0].select(axis, 1))
    assert repr(dropout).endswith("ndim=3)")


def test_evaluation_changes_nothing():
    x = ones(1, 2, 4, 3, 3)
    assert GDropout(0.5).eval()(x) is x


def test_all_or_nothing_may_fall():
    x = ones(1, 2, 4, 3, 3)
    assert torch.equal(GDropout(0.0)(x), x) and not GDropout(1.0)(x).any()


@pytest.mark.parametrize("per_channel", [False, True])
def test_dropout_has_gradients_of_gradients(per_channel):
    x, dropout = torch.randn(1, 2, 4, 3, 3, dtype=torch.float64, requires_grad=True), GDropout(0.5, per_channel)

    def function(x):
        torch.manual_seed(0)
        return dropout(x) ** 2

    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


def test_copies_and_repr():
    dropout = GDropout(0.25, per_channel=True)
    twins = copy.deepcopy(dropout), pickle.loads(pickle.dumps(dropout))  # noqa: S301 - our own bytes
    assert {repr(d) for d in (dropout, *twins)} == {"GDropout(p=0.25, per_channel=True)"}


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"GDropout: p must be a probability, between 0 and 1, got 1.5"):
        GDropout(1.5)
    with pytest.raises(ValueError, match="GDropout: x must have shape .* needs the argument stabilizer_size"):
        GDropout(0.5, per_channel=True)(torch.zeros(1, 8, 3, 3))
    with pytest.raises(
        ValueError, match=r"GDropout: x must be a map on a grid with ndim=2, got shape \(1, 2, 8, 3, 3, 3\)"
    ):
        GDropout(0.5)(torch.zeros(1, 2, 8, 3, 3, 3))
