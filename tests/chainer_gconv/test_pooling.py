"""Pooling in Chainer; on the hexagonal grid, see test_hexagonal.py."""

from functools import partial

import numpy as np
import pytest
from chainer import gradient_check

from chainer_gconv import coset_max_pooling, coset_mean_pooling, plane_group_spatial_max_pooling
from groupy.garray.Oh_array import Oh
from groupy.gconv import reference


def test_spatial_pooling_is_planar_pooling_of_each_map(rng):
    x = rng.standard_normal((2, 3, 4, 6, 6)).astype(np.float32)
    y = plane_group_spatial_max_pooling(x, 2)
    np.testing.assert_array_equal(y.array, x.reshape(2, 3, 4, 3, 2, 3, 2).max(axis=(4, 6)))


def test_spatial_pooling_of_volumes_is_over_voxels(rng):
    x = rng.standard_normal((2, 3, 8, 4, 6, 2)).astype(np.float32)
    y = plane_group_spatial_max_pooling(x, 2)
    np.testing.assert_array_equal(y.array, x.reshape(2, 3, 8, 2, 2, 3, 2, 1, 2).max(axis=(4, 6, 8)))
    assert plane_group_spatial_max_pooling(x, (1, 3, 2), (1, 3, 1), (0, 0, 1)).shape == (2, 3, 8, 4, 2, 3)


@pytest.mark.parametrize("h", range(48), ids=Oh.stabilizer.words)
def test_spatial_pooling_of_volumes_commutes_with_the_cubes_symmetries(h, rng):
    x = rng.integers(-9, 10, (1, 2, 48, 3, 5, 3)).astype(np.float32)
    pool = partial(plane_group_spatial_max_pooling, ksize=3, stride=2, pad=1)
    moved = pool(reference.left_translate(x, Oh, Oh[h])).array
    np.testing.assert_array_equal(moved, reference.left_translate(pool(x).array, Oh, Oh[h]))


@pytest.mark.parametrize("shape", [(1, 4, 6, 6), (1, 1, 4, 2, 6, 6, 6)])
def test_maps_without_a_stabilizer_axis_are_refused(shape):
    message = r"plane_group_spatial_max_pooling: x must have shape \(N, C, S, H, W\) or \(N, C, S, D, H, W\), got "
    with pytest.raises(ValueError, match=message):
        plane_group_spatial_max_pooling(np.zeros(shape, np.float32), 2)


def test_spatial_pooling_covers_the_border_unless_told_not_to(rng):
    x = rng.standard_normal((1, 1, 4, 5, 5)).astype(np.float32)
    assert plane_group_spatial_max_pooling(x, 2).shape == (1, 1, 4, 3, 3)
    assert plane_group_spatial_max_pooling(x, 2, 2, 0, False).shape == (1, 1, 4, 2, 2)


@pytest.mark.parametrize("pool, numpys", [(coset_max_pooling, np.max), (coset_mean_pooling, np.mean)])
@pytest.mark.parametrize("size", [(5, 6), (3, 5, 6)], ids=["plane", "space"])
def test_coset_pooling_reduces_the_stabilizer(pool, numpys, size, rng):
    x = rng.standard_normal((2, 3, 8, *size))
    np.testing.assert_allclose(pool(x).array, numpys(x, axis=2), rtol=1e-15)
    whole = rng.integers(-9, 10, x.shape).astype(np.float64)
    np.testing.assert_array_equal(pool(whole[:, :, ::-1]).array, pool(whole).array)


@pytest.mark.parametrize(
    "pool", [coset_max_pooling, coset_mean_pooling, partial(plane_group_spatial_max_pooling, ksize=2)]
)
@pytest.mark.parametrize("size", [(6, 6), (4, 2, 6)], ids=["plane", "space"])
def test_pooling_has_gradients_and_gradients_of_gradients(pool, size, rng):
    x = rng.permutation(2 * 3 * 4 * int(np.prod(size))).reshape(2, 3, 4, *size).astype(np.float64)  # no kink in eps
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
