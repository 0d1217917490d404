"""Batch normalization of feature maps on a group, with statistics shared over the stabilizer."""

import chainer.links as L


class GBatchNorm(L.BatchNormalization):
    """Batch normalization over (N, S, H, W): one mean, variance, scale and shift for each channel.

    x, y: (N, C, S, H, W); gamma, beta, avg_mean, avg_var: (C,)

    size: the number of channels C; the other arguments are those of chainer.links.BatchNormalization.
    Statistics of their own for each stabilizer element would break equivariance.
    Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 6.2.
    """

    def __init__(self, size, decay=0.9, eps=2e-5, dtype=None, **kwargs):
        super().__init__(size, decay, eps, dtype, axis=(0, 2, 3, 4), **kwargs)
