"""Batch normalization of feature maps on a group, with statistics shared over the stabilizer."""

import chainer
import chainer.functions as F
import chainer.links as L
import numpy as np

from groupy.garray.stabilizers import C6
from groupy.gconv import geometry


class GBatchNorm(L.BatchNormalization):
    """Batch normalization over (N, S, H, W): one mean, variance, scale and shift for each channel.

    x, y: (N, C, S, H, W), or (N, C, S, D, H, W); gamma, beta, avg_mean, avg_var: (C,)

    size: the number of channels C; the other arguments are those of chainer.links.BatchNormalization.
    hexagonal: True for maps on the hexagonal grid, whose statistics are those of the points in the hexagon;
        outside it y is zero. A map that is no odd square is taken whole.

    Statistics of their own for each stabilizer element would break equivariance.
    Raises ValueError for an x of another shape.
    Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 6.2.
    """

    def __init__(self, size, decay=0.9, eps=2e-5, dtype=None, *, hexagonal=False, **kwargs):
        super().__init__(size, decay, eps, dtype, axis=(0, 2, 3, 4), **kwargs)
        self.hexagonal = hexagonal

    def forward(self, x, **kwargs):
        """Normalize x, (N, C, S, H, W) or (N, C, S, D, H, W); finetune: as of chainer.links.BatchNormalization."""
        x = chainer.as_variable(x)
        if x.ndim != 5 and (x.ndim != 6 or self.hexagonal):
            volumes = "" if self.hexagonal else " or (N, C, S, D, H, W)"
            raise ValueError(f"{type(self).__name__}: x must have shape (N, C, S, H, W){volumes}, got {x.shape}.")
        inside = geometry.grid_support(C6, x.shape[3:]) if self.hexagonal else None
        if inside is not None:
            return self._normalize_inside(x, inside, **kwargs)
        y = super().forward(F.reshape(x, (*x.shape[:4], -1)), **kwargs)  # volumes as pictures of D rows
        return F.reshape(y, x.shape)

    def _normalize_inside(self, x, inside, **kwargs):
        """Normalize the points inside, put in one row, and write zeros to the others."""
        inside_first = np.argsort(~inside.reshape(-1), kind="stable").astype(np.int32)
        order, n_inside = chainer.backend.get_device_from_array(x.array).send(inside_first), int(inside.sum())
        row = F.permutate(F.reshape(x, (*x.shape[:3], 1, inside.size)), order, axis=4)
        y = super().forward(row[..., :n_inside], **kwargs)
        y = F.pad(y, [(0, 0)] * 4 + [(0, inside.size - n_inside)], "constant")
        return F.reshape(F.permutate(y, order, axis=4, inv=True), x.shape)
