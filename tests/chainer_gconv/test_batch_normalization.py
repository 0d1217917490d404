"""Batch normalization in Chainer: one set of statistics for all elements of the stabilizer.

On the hexagonal grid, see test_hexagonal.py.
"""

import chainer
import numpy as np
import pytest
from chainer import gradient_check, serializers

from chainer_gconv import GBatchNorm

every_dimension = pytest.mark.parametrize("size", [(5, 5), (3, 4, 5)], ids=["plane", "space"])


@every_dimension
def test_each_channel_is_normalized_over_batch_stabilizer_and_pixels(size, rng):
    link = GBatchNorm(3)
    x = rng.standard_normal((4, 3, 8, *size)).astype(np.float32) * 3 + 1
    with chainer.using_config("train", True):
        y = link(x).array
    assert y.shape == x.shape
    of_channels = (0, *range(2, x.ndim))
    np.testing.assert_allclose(y.mean(axis=of_channels), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=of_channels), 1, atol=1e-4)
    assert np.abs(y.mean(axis=(0, *range(3, x.ndim)))).max() > 1e-2  # not each orientation by itself


def test_volumes_are_normalized_as_pictures_of_the_same_numbers(rng):
    x = rng.standard_normal((2, 3, 4, 2, 3, 5)).astype(np.float32)
    in_space, in_plane = GBatchNorm(3), GBatchNorm(3)
    np.testing.assert_array_equal(in_space(x).array, in_plane(x.reshape(2, 3, 4, 6, 5)).array.reshape(x.shape))
    np.testing.assert_array_equal(in_space.avg_mean, in_plane.avg_mean)


@every_dimension
def test_one_link_serves_a_snapshot_of_either_dimension_and_finetuning(size, rng, tmp_path):
    saved, loaded = GBatchNorm(3), GBatchNorm(None)
    x = rng.standard_normal((2, 3, 4, *size)).astype(np.float32)
    saved(x, finetune=True)
    assert saved.N == 1
    serializers.save_npz(tmp_path / "snapshot.npz", saved)
    loaded(x)  # takes its channels from it
    serializers.load_npz(tmp_path / "snapshot.npz", loaded)
    with np.load(tmp_path / "snapshot.npz") as snapshot:
        assert set(snapshot) == {"gamma", "beta", "avg_mean", "avg_var", "N"}
    with chainer.using_config("train", False):
        np.testing.assert_array_equal(loaded(x).array, saved(x).array)


@pytest.mark.parametrize("shape", [(2, 3, 5, 5), (2, 3, 4, 5, 5, 5, 5)])
def test_maps_without_a_stabilizer_axis_are_refused(shape):
    message = r"GBatchNorm: x must have shape \(N, C, S, H, W\) or \(N, C, S, D, H, W\), got "
    with pytest.raises(ValueError, match=message):
        GBatchNorm(3)(np.zeros(shape, np.float32))


def test_parameters_and_statistics_have_one_entry_for_each_channel():
    link = GBatchNorm(3, decay=0.5, eps=1e-3, dtype=np.float64)
    assert link.gamma.shape == link.beta.shape == link.avg_mean.shape == link.avg_var.shape == (3,)
    assert (link.decay, link.eps) == (0.5, 1e-3)


@pytest.mark.parametrize("train", [True, False])
@every_dimension
def test_gradients_and_their_gradients(size, train, rng):
    link = GBatchNorm(3, dtype=np.float64)
    link.avg_mean[...], link.avg_var[...] = rng.standard_normal(3), rng.uniform(0.5, 2, 3)
    x, gy, ggx = rng.standard_normal((3, 4, 3, 4, *size))
    ggs = [rng.standard_normal(3) for _ in link.params()]

    def function(x, *_):
        with chainer.using_config("train", train):
            return link(x)

    # A step of 1e-5 leaves 1e-10 times the third derivative, and rounding errors of about 1e-11.
    settings = {"params": tuple(link.params()), "dtype": np.float64, "eps": 1e-5, "atol": 1e-8, "rtol": 1e-8}
    gradient_check.check_backward(function, x, gy, **settings)
    gradient_check.check_double_backward(function, x, gy, ggx, params_grad_grad=ggs, **settings)
