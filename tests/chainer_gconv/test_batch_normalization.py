"""Batch normalization in Chainer: one set of statistics for all elements of the stabilizer."""

import chainer
import numpy as np
import pytest
from chainer import gradient_check

from chainer_gconv import GBatchNorm


def test_each_channel_is_normalized_over_batch_stabilizer_and_pixels(rng):
    link = GBatchNorm(3)
    x = rng.standard_normal((4, 3, 8, 5, 5)).astype(np.float32) * 3 + 1
    with chainer.using_config("train", True):
        y = link(x).array
    assert y.shape == x.shape
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3, 4)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3, 4)), 1, atol=1e-4)
    assert np.abs(y.mean(axis=(0, 3, 4))).max() > 1e-2  # not each orientation by itself


def test_parameters_and_statistics_have_one_entry_for_each_channel():
    link = GBatchNorm(3, decay=0.5, eps=1e-3, dtype=np.float64)
    assert link.gamma.shape == link.beta.shape == link.avg_mean.shape == link.avg_var.shape == (3,)
    assert (link.decay, link.eps) == (0.5, 1e-3)


@pytest.mark.parametrize("train", [True, False])
def test_gradients_and_their_gradients(train, rng):
    link = GBatchNorm(3, dtype=np.float64)
    link.avg_mean[...], link.avg_var[...] = rng.standard_normal(3), rng.uniform(0.5, 2, 3)
    x, gy, ggx = rng.standard_normal((3, 4, 3, 4, 3, 3))
    ggs = [rng.standard_normal(3) for _ in link.params()]

    def function(x, *_):
        with chainer.using_config("train", train):
            return link(x)

    # A step of 1e-5 leaves 1e-10 times the third derivative, and rounding errors of about 1e-11.
    settings = {"params": tuple(link.params()), "dtype": np.float64, "eps": 1e-5, "atol": 1e-8, "rtol": 1e-8}
    gradient_check.check_backward(function, x, gy, **settings)
    gradient_check.check_double_backward(function, x, gy, ggx, params_grad_grad=ggs, **settings)
