"""The G-convolutions of p6m in Chainer. Source: HexaConv paper (arXiv:1803.02108), section 4."""

from chainer_gconv.splitgconv2d import SplitGConv2D
from groupy.gconv.layer_specs import LAYER_SPECS


class P6MConvZ2(SplitGConv2D):
    """Lifting convolution: feature maps on the hexagonal grid in, feature maps on p6m out. Arguments: see SplitGConv2D.

    x: (N, I, H, W), or (N, I, 1, H, W)
    W: (O, I, 1, k, k)
    y: (N, O, 12, H', W'); axis 2 is D6: six sixth turns, then the six mirrored
    """

    spec = LAYER_SPECS["P6MConvZ2"]


class P6MConvP6M(SplitGConv2D):
    """Group convolution: feature maps on p6m in and out. Arguments: see SplitGConv2D.

    x: (N, I, 12, H, W), or (N, I * 12, H, W)
    W: (O, I, 12, k, k)
    y: (N, O, 12, H', W'); axis 2 is D6: six sixth turns, then the six mirrored
    """

    spec = LAYER_SPECS["P6MConvP6M"]
