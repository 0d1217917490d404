"""The G-convolutions of p4 in PyTorch. Source: G-CNN paper (arXiv:1602.07576), section 4."""

from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv.splitgconv2d import SplitGConv2D


class P4ConvZ2(SplitGConv2D):
    """Lifting convolution: planar feature maps in, feature maps on p4 out. Arguments: see SplitGConv.

    x: (N, I, H, W), or (N, I, 1, H, W)
    weight: (O, I, 1, k, k)
    y: (N, O, 4, H', W'); axis 2 is C4 in quarter turns counterclockwise
    """

    spec = LAYER_SPECS["P4ConvZ2"]


class P4ConvP4(SplitGConv2D):
    """Group convolution: feature maps on p4 in and out. Arguments: see SplitGConv.

    x: (N, I, 4, H, W), or (N, I * 4, H, W)
    weight: (O, I, 4, k, k)
    y: (N, O, 4, H', W'); axis 2 is C4 in quarter turns counterclockwise
    """

    spec = LAYER_SPECS["P4ConvP4"]
