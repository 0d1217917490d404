"""The G-convolutions of pm in Chainer. Source: G-CNN paper (arXiv:1602.07576), section 4."""

from chainer_gconv.splitgconv2d import SplitGConv2D
from groupy.gconv.layer_specs import LAYER_SPECS


class PMConvZ2(SplitGConv2D):
    """Lifting convolution: planar feature maps in, feature maps on pm out. Arguments: see SplitGConv2D.

    x: (N, I, H, W), or (N, I, 1, H, W)
    W: (O, I, 1, k, k')
    y: (N, O, 2, H', W'); axis 2 is D1: the identity, then the mirror image left for right
    """

    spec = LAYER_SPECS["PMConvZ2"]


class PMConvPM(SplitGConv2D):
    """Group convolution: feature maps on pm in and out. Arguments: see SplitGConv2D.

    x: (N, I, 2, H, W), or (N, I * 2, H, W)
    W: (O, I, 2, k, k')
    y: (N, O, 2, H', W'); axis 2 is D1: the identity, then the mirror image left for right
    """

    spec = LAYER_SPECS["PMConvPM"]
