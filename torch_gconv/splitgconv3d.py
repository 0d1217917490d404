"""SplitGConv3D: the group convolution of split space groups, in PyTorch."""

from torch_gconv.splitgconv import SplitGConv


class SplitGConv3D(SplitGConv):
    """Group convolution over a split space group; a subclass names its LayerSpec as `spec`. Arguments: see SplitGConv.

    x: (N, I, S_in, D, H, W), or with channels folded, (N, I * S_in, D, H, W); the weight's dtype
    weight: (O, I / groups, S_in, k, k, k); bias: (O,), one for each output channel, shared over the stabilizer
    y: (N, O, S_out, D', H', W'), or (N, O * S_out, D', H', W') if flat_channels
    """

    ndim = 3
