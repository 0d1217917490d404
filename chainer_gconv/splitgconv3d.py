"""SplitGConv3D: the group convolution of split groups of space, in Chainer."""

import chainer.functions as F

from chainer_gconv.splitgconv import SplitGConv


class SplitGConv3D(SplitGConv):
    """Group convolution over a split group of space; a subclass names its LayerSpec as `spec`.

    x: (N, I, S_in, D, H, W), or with channels folded, (N, I * S_in, D, H, W); float16, 32 or 64
    W: (O, I, S_in, k, k, k); b: (O,), one bias for each output channel, shared over the stabilizer
    y: (N, O, S_out, D', H', W'), or (N, O * S_out, D', H', W') if flat_channels

    Arguments: as of SplitGConv2D, with triples (u, v, w) for its pairs. C4h and D4h keep kernels (k, k', k').
    """

    ndim = 3
    _convolve = staticmethod(F.convolution_nd)
