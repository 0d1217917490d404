"""Pooling of feature maps on a group (N, C, S, H, W): spatial, over pixels; coset, over the stabilizer.

Maps on a group of space, (N, C, S, D, H, W), are pooled alike.
"""

import chainer
import chainer.functions as F
import numpy as np
from chainer.utils.conv import get_conv_outsize

from chainer_gconv.hexagonal import filled_outside, zero_outside
from groupy.garray.stabilizers import C6
from groupy.gconv import geometry
from groupy.gconv.make_gconv_indices import kernel_shape


def plane_group_spatial_max_pooling(x, ksize, stride=None, pad=0, cover_all=True, use_cudnn=True, *, hexagonal=False):
    """Max pooling over pixels, for each channel and stabilizer element alike: (N, C, S, H, W) -> (N, C, S, H', W').

    x: (N, C, S, H, W), or (N, C, S, D, H, W) to pool over voxels
    hexagonal: True for maps on the hexagonal grid: a window is the hexagon in a square of odd ksize, points
        outside the map's hexagon do not count, and y is zero outside its own. A map that is no odd square is
        taken whole.

    Other arguments as of chainer.functions.max_pooling_nd; stride is ksize if None. Equivariant where the windows
    tile the padded input exactly, (size + 2 * pad - ksize) % stride == 0; hexagonal ones, % (2 * stride) == 0.
    Raises ValueError for an x of another shape; with `hexagonal`, TypeError or ValueError for other arguments too.
    """
    if x.ndim != 5 and (x.ndim != 6 or hexagonal):
        volumes = "" if hexagonal else " or (N, C, S, D, H, W)"
        raise ValueError(f"plane_group_spatial_max_pooling: x must have shape (N, C, S, H, W){volumes}, got {x.shape}.")
    pool = _hexagonal_max_pooling if hexagonal else F.max_pooling_nd
    N, C, S, *size = x.shape
    with chainer.using_config("use_cudnn", chainer.config.use_cudnn if use_cudnn else "never"):
        y = pool(F.reshape(x, (N, C * S, *size)), ksize, stride, pad, cover_all)
    return F.reshape(y, (N, C, S, *y.shape[2:]))


def _hexagonal_max_pooling(x, ksize, stride, pad, cover_all):
    """(N, C, H, W) -> (N, C, H', W'). Of equal values the first takes the gradient, as in F.max_pooling_nd."""
    name, size = "plane_group_spatial_max_pooling", x.shape[2:]
    ksize = kernel_shape(ksize, C6, f"{name}: ksize")
    stride = ksize if stride is None else geometry.as_sides(name, "stride", stride, 2, minimum=1)
    pad = geometry.as_sides(name, "pad", pad, 2, minimum=0)
    geometry.Window(ksize, stride, pad, pad).check_size(name, size)
    out = tuple(get_conv_outsize(n, k, s, p, cover_all) for n, k, s, p in zip(size, ksize, stride, pad))
    after = [max((m - 1) * s + k - n - p, 0) for m, s, k, n, p in zip(out, stride, ksize, size, pad)]
    padding = list(zip(pad, after))
    # Each tap of the window, as the part of the padded map that it sees.
    taps = [
        (..., *(slice(t, t + (m - 1) * s + 1, s) for t, m, s in zip(tap, out, stride)))
        for tap in np.argwhere(C6.support(ksize)).tolist()
    ]
    inside = geometry.grid_support(C6, size)
    if inside is None:
        inside = np.ones(size, dtype=bool)
    x = F.pad(filled_outside(x, inside, -np.inf), [(0, 0), (0, 0), *padding], "constant", constant_values=-np.inf)
    windows = F.reshape(F.stack([x[tap] for tap in taps], axis=2), (*x.shape[:2], len(taps), -1))
    y = F.reshape(F.max_pooling_2d(windows, (len(taps), 1)), (*x.shape[:2], *out))
    inside = np.pad(inside, padding)
    seen = np.any([inside[tap] for tap in taps], axis=0)  # by a window: the others hold minus infinity
    support = geometry.grid_support(C6, out)
    return zero_outside(y, seen if support is None else seen & support)


def coset_max_pooling(x):
    """The largest value over the stabilizer: (N, C, S, ...) -> (N, C, ...), invariant to turns of the fibers.

    Where several elements share the largest value, each gets an equal part of the gradient: no
    choice among them would be equivariant.
    """
    return _CosetMax().apply((x,))[0]


def coset_mean_pooling(x):
    """The mean over the stabilizer: (N, C, S, ...) -> (N, C, ...), invariant to turns of the fibers."""
    return F.mean(x, axis=2)


class _CosetMax(chainer.FunctionNode):
    """The largest value over axis 2; its gradient, shared by equal values."""

    def forward(self, inputs):
        (x,) = inputs
        self.retain_inputs((0,))
        self.retain_outputs((0,))
        return (x.max(axis=2),)

    def backward(self, target_input_indexes, grad_outputs):
        x, y, (gy,) = self.get_retained_inputs()[0].array, self.get_retained_outputs()[0].array, grad_outputs
        # A maximum that is NaN is attained where x is NaN. Nothing equals it, and there would be no one to share with.
        attained = (x == y[:, :, None]) | (x != x)
        shared = F.broadcast_to(F.expand_dims(gy / attained.sum(axis=2).astype(x.dtype), 2), x.shape)
        return (zero_outside(shared, attained),)
