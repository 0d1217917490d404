"""Derivatives on blank background, where values tie, spread nothing and vary in nothing: finite to third order."""

from functools import partial

import chainer
import chainer.functions as F
import numpy as np
import pytest

from chainer_gconv import (
    GBatchNorm,
    P4ConvP4,
    P6ConvP6,
    coset_max_pooling,
    coset_mean_pooling,
    induce,
    plane_group_spatial_max_pooling,
    restrict,
    unrestrict,
)

COMPANIONS = {
    "coset-max": lambda: coset_max_pooling,
    "coset-mean": lambda: coset_mean_pooling,
    "spatial-max": lambda: partial(plane_group_spatial_max_pooling, ksize=2),
    "spatial-max-hexagonal": lambda: partial(plane_group_spatial_max_pooling, ksize=3, pad=1, hexagonal=True),
    "batch-norm": lambda: GBatchNorm(4),
    "batch-norm-hexagonal": lambda: GBatchNorm(4, hexagonal=True),
    "p4": lambda: P4ConvP4(4, 2, 3),
    "p6": lambda: P6ConvP6(4, 2, 3),
    "restrict": lambda: partial(restrict, group="p6", subgroup="p2"),
    "unrestrict": lambda: partial(unrestrict, group="p6", subgroup="p2"),
    "induce": lambda: partial(induce, group="p6", subgroup="p2"),
}
STABILIZER_SIZES = {"p4": 4, "unrestrict": 2, "induce": 2}


def derivatives(function, x, n):
    """The gradient of sum(y ** 3 + y), of the sum of its squares, of that one's, ...: n arrays."""
    x, found = chainer.Variable(x), []
    y = function(x)
    value = F.sum(y**3 + y)
    for _ in range(n):
        (gradient,) = chainer.grad([value], [x], enable_double_backprop=True)
        if gradient is None:
            break
        found.append(gradient.array)
        value = F.sum(gradient**2)
    return found


@pytest.mark.parametrize("name", COMPANIONS)
@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_they_are_finite(name, value, train, dtype):
    shape = (2, 6 if name == "unrestrict" else 4, STABILIZER_SIZES.get(name, 6), 5, 5)
    with chainer.using_config("dtype", dtype), chainer.using_config("train", train):
        function = COMPANIONS[name]()
        for gradient in derivatives(function, np.full(shape, value, dtype), 3):
            assert np.isfinite(gradient).all()


@pytest.mark.parametrize("value", [0.0, np.inf, -np.inf, np.nan], ids=str)
def test_coset_max_pooling_shares_among_equal_values_of_every_kind(value, rng):
    x = chainer.Variable(np.full((1, 1, 4, 1, 2), value))
    x.array[..., 0] = [[[[2], [1], [2], [0]]]]
    gy = chainer.Variable(rng.standard_normal((1, 1, 1, 2)))
    (gx,) = chainer.grad([coset_max_pooling(x)], [x], [gy], enable_double_backprop=True)
    shares = np.stack([[0.5, 0, 0.5, 0], [0.25] * 4], axis=-1)[None, None, :, None]
    np.testing.assert_array_equal(gx.array, shares * gy.array[:, :, None])
    (ggy,) = chainer.grad([gx], [gy], [chainer.Variable(np.ones_like(x.array))])
    np.testing.assert_array_equal(ggy.array, np.ones_like(gy.array))
