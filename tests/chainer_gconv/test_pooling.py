"""Pooling in Chainer."""

from functools import partial

import numpy as np
import pytest
from chainer import gradient_check

from chainer_gconv import coset_max_pooling, coset_mean_pooling, plane_group_spatial_max_pooling


def test_spatial_pooling_is_planar_pooling_of_each_map(rng):
    x = rng.standard_normal((2, 3, 4, 6, 6)).astype(np.float32)
    y = plane_group_spatial_max_pooling(x, 2)
    np.testing.assert_array_equal(y.array, x.reshape(2, 3, 4, 3, 2, 3, 2).max(axis=(4, 6)))


def test_spatial_pooling_covers_the_border_unless_told_not_to(rng):
    x = rng.standard_normal((1, 1, 4, 5, 5)).astype(np.float32)
    assert plane_group_spatial_max_pooling(x, 2).shape == (1, 1, 4, 3, 3)
    assert plane_group_spatial_max_pooling(x, 2, 2, 0, False).shape == (1, 1, 4, 2, 2)


@pytest.mark.parametrize("pool, numpys", [(coset_max_pooling, np.max), (coset_mean_pooling, np.mean)])
def test_coset_pooling_reduces_the_stabilizer(pool, numpys, rng):
    x = rng.standard_normal((2, 3, 8, 5, 6))
    np.testing.assert_allclose(pool(x).array, numpys(x, axis=2), rtol=1e-15)
    whole = rng.integers(-9, 10, x.shape).astype(np.float64)
    np.testing.assert_array_equal(pool(whole[:, :, ::-1]).array, pool(whole).array)


@pytest.mark.parametrize(
    "pool", [coset_max_pooling, coset_mean_pooling, partial(plane_group_spatial_max_pooling, ksize=2)]
)
def test_pooling_has_gradients_and_gradients_of_gradients(pool, rng):
    x = rng.permutation(2 * 3 * 4 * 6 * 6).reshape(2, 3, 4, 6, 6).astype(np.float64)  # no kink within eps
    gy, ggx = rng.standard_normal(pool(x).shape), rng.standard_normal(x.shape)
    # Linear between the kinks, and squared at most quadratic: central differences are exact but for rounding.
    settings = {"dtype": np.float64, "eps": 0.1, "atol": 1e-8, "rtol": 1e-8}
    gradient_check.check_backward(pool, x, gy, **settings)
    gradient_check.check_double_backward(lambda x: pool(x) ** 2, x, gy, ggx, **settings)


def test_equal_values_share_the_gradient():
    import chainer

    x = chainer.Variable(np.array([1.0, 3.0, 3.0, 0.0], np.float32).reshape(1, 1, 4, 1, 1))
    chainer.functions.squeeze(coset_max_pooling(x)).backward()
    assert x.grad.ravel().tolist() == [0, 0.5, 0.5, 0]
