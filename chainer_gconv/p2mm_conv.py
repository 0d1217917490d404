"""The G-convolutions of p2mm in Chainer. Source: G-CNN paper (arXiv:1602.07576), section 4."""

from chainer_gconv.splitgconv2d import SplitGConv2D
from groupy.gconv.layer_specs import LAYER_SPECS


class P2MMConvZ2(SplitGConv2D):
    """Lifting convolution: planar feature maps in, feature maps on p2mm out. Arguments: see SplitGConv2D.

    x: (N, I, H, W), or (N, I, 1, H, W)
    W: (O, I, 1, k, k')
    y: (N, O, 4, H', W'); axis 2 is D2: two half turns, then the two mirrored
    """

    spec = LAYER_SPECS["P2MMConvZ2"]


class P2MMConvP2MM(SplitGConv2D):
    """Group convolution: feature maps on p2mm in and out. Arguments: see SplitGConv2D.

    x: (N, I, 4, H, W), or (N, I * 4, H, W)
    W: (O, I, 4, k, k')
    y: (N, O, 4, H', W'); axis 2 is D2: two half turns, then the two mirrored
    """

    spec = LAYER_SPECS["P2MMConvP2MM"]
