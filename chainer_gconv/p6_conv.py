"""The G-convolutions of p6 in Chainer. Source: HexaConv paper (arXiv:1803.02108), section 4."""

from chainer_gconv.splitgconv2d import SplitGConv2D
from groupy.gconv.layer_specs import LAYER_SPECS


class P6ConvZ2(SplitGConv2D):
    """Lifting convolution: feature maps on the hexagonal grid in, feature maps on p6 out. Arguments: see SplitGConv2D.

    x: (N, I, H, W), or (N, I, 1, H, W)
    W: (O, I, 1, k, k)
    y: (N, O, 6, H', W'); axis 2 is C6 in sixth turns counterclockwise
    """

    spec = LAYER_SPECS["P6ConvZ2"]


class P6ConvP6(SplitGConv2D):
    """Group convolution: feature maps on p6 in and out. Arguments: see SplitGConv2D.

    x: (N, I, 6, H, W), or (N, I * 6, H, W)
    W: (O, I, 6, k, k)
    y: (N, O, 6, H', W'); axis 2 is C6 in sixth turns counterclockwise
    """

    spec = LAYER_SPECS["P6ConvP6"]
