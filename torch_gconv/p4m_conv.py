"""The G-convolutions of p4m in PyTorch. Source: G-CNN paper (arXiv:1602.07576), section 4."""

from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv.splitgconv2d import SplitGConv2D


class P4MConvZ2(SplitGConv2D):
    """Lifting convolution: planar feature maps in, feature maps on p4m out. Arguments: see SplitGConv.

    x: (N, I, H, W), or (N, I, 1, H, W)
    weight: (O, I, 1, k, k)
    y: (N, O, 8, H', W'); axis 2 is D4: four quarter turns, then the four mirrored
    """

    spec = LAYER_SPECS["P4MConvZ2"]


class P4MConvP4M(SplitGConv2D):
    """Group convolution: feature maps on p4m in and out. Arguments: see SplitGConv.

    x: (N, I, 8, H, W), or (N, I * 8, H, W)
    weight: (O, I, 8, k, k)
    y: (N, O, 8, H', W'); axis 2 is D4: four quarter turns, then the four mirrored
    """

    spec = LAYER_SPECS["P4MConvP4M"]
