"""The G-convolutions of p2 in Chainer. Source: G-CNN paper (arXiv:1602.07576), section 4."""

from chainer_gconv.splitgconv2d import SplitGConv2D
from groupy.gconv.layer_specs import LAYER_SPECS


class P2ConvZ2(SplitGConv2D):
    """Lifting convolution: planar feature maps in, feature maps on p2 out. Arguments: see SplitGConv2D.

    x: (N, I, H, W), or (N, I, 1, H, W)
    W: (O, I, 1, k, k')
    y: (N, O, 2, H', W'); axis 2 is C2 in half turns
    """

    spec = LAYER_SPECS["P2ConvZ2"]


class P2ConvP2(SplitGConv2D):
    """Group convolution: feature maps on p2 in and out. Arguments: see SplitGConv2D.

    x: (N, I, 2, H, W), or (N, I * 2, H, W)
    W: (O, I, 2, k, k')
    y: (N, O, 2, H', W'); axis 2 is C2 in half turns
    """

    spec = LAYER_SPECS["P2ConvP2"]
