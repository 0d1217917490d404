"""SplitGConv2D: the group convolution of split plane groups, in PyTorch."""

from torch_gconv.splitgconv import SplitGConv


class SplitGConv2D(SplitGConv):
    """Group convolution over a split plane group; a subclass names its LayerSpec as `spec`. Arguments: see SplitGConv.

    Without one it is a layer of p4 or p4m by its stabilizer sizes, or of the index table that the subclass makes, as in
    GrouPy and its PyTorch port.

    x: (N, I, S_in, H, W), or with channels folded, (N, I * S_in, H, W); the weight's dtype
    weight: (O, I / groups, S_in, k, k); bias: (O,), one for each output channel, shared over the stabilizer
    y: (N, O, S_out, H', W'), or (N, O * S_out, H', W') if flat_channels
    """

    ndim = 2
