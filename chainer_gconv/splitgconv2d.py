"""SplitGConv2D: the group convolution of split plane groups, on the square and the hexagonal grid, in Chainer."""

import chainer.functions as F

from chainer_gconv.splitgconv import SplitGConv


class SplitGConv2D(SplitGConv):
    """Group convolution over a split plane group; a subclass names its LayerSpec as `spec`.

    x: (N, I, S_in, H, W), or with channels folded, (N, I * S_in, H, W); float16, 32 or 64
    W: (O, I, S_in, k, k); b: (O,), one bias for each output channel, shared over the stabilizer
    y: (N, O, S_out, H', W'), or (N, O * S_out, H', W') if flat_channels

    in_channels: None to take it from the first input, or from a snapshot
    ksize: the side of the square kernel, odd or even; where the group keeps other shapes, a pair (k, k')
    filter_mask: (O, I, S_in), multiplied into W; zeros restrict the filters' support on the group, and W is not
        looked at there
    stride, pad: an integer or a pair (u, v)
    wscale: factor on the standard deviation sqrt(1 / (I * S_in * taps)) of the initial W, GrouPy's; without effect on
        an initialW
    use_cudnn: False keeps the forward pass off cuDNN; for gradients too, set chainer.config.use_cudnn
    initialW, initial_bias: an array or list of W's or b's shape, a number, or a Chainer initializer; or initialW by
        name, 'he', 'conv2d' or 'port', see groupy.gconv.initialization. The bias is 0, as GrouPy's, unless it is given
    strict: True to raise EquivarianceError for an input size that breaks equivariance
    dtype: of W and b, and by default chainer.config.dtype, float16 where that is mixed16; x may have another
    output_mask: the points of the output that are not set to zero: True for those of the hexagon on the hexagonal
        grid, and all on others; False for all; or booleans (H', W')

    On the hexagonal grid, in axial coordinates, ksize is odd and a filter is the hexagon in its square of
    taps. W's entries outside have no effect and no gradient; they start at zero, unless initialW is an array.
    Nor have the values of x outside its hexagon, if output_mask is True and the sides of x are equal and odd:
    a map is zero there, and NaN or infinity makes no difference. Otherwise all of x is seen.

    Raises TypeError or ValueError, naming the argument, if one does not fit. An input size that
    breaks equivariance at the given stride is warned of once (EquivarianceWarning).

    In evaluation (chainer.config.train false) the transformed filters are kept for as long as W's
    values stay what they were; see KeptFilters. NumPy arrays are convolved by chainer_gconv.convolution, others by
    Chainer's own function.
    """

    ndim = 2
    _convolve = staticmethod(F.convolution_2d)
