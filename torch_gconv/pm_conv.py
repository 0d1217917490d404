"""The G-convolutions of pm in PyTorch. Source: G-CNN paper (arXiv:1602.07576), section 7."""

from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv.splitgconv2d import SplitGConv2D


class PMConvZ2(SplitGConv2D):
    """Lifting convolution: planar feature maps in, feature maps on pm out. Arguments: see SplitGConv.

    x: (N, I, H, W), or (N, I, 1, H, W)
    weight: (O, I, 1, k, l)
    y: (N, O, 2, H', W'); axis 2 is D1: the identity, then the mirror image, left and right exchanged
    """

    spec = LAYER_SPECS["PMConvZ2"]


class PMConvPM(SplitGConv2D):
    """Group convolution: feature maps on pm in and out. Arguments: see SplitGConv.

    x: (N, I, 2, H, W), or (N, I * 2, H, W)
    weight: (O, I, 2, k, l)
    y: (N, O, 2, H', W'); axis 2 is D1: the identity, then the mirror image, left and right exchanged
    """

    spec = LAYER_SPECS["PMConvPM"]
