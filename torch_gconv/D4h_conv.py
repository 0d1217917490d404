"""The G-convolutions of D4ht in PyTorch. Source: G-CNN paper (arXiv:1602.07576), section 7, in three dimensions."""

from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv.splitgconv3d import SplitGConv3D


class D4HConvZ3(SplitGConv3D):
    """Lifting convolution: volumes in, feature maps on D4ht out. Arguments: see SplitGConv.

    x: (N, I, D, H, W), or (N, I, 1, D, H, W)
    weight: (O, I, 1, k, l, l)
    y: (N, O, 16, D', H', W'); axis 2 is D4h: D4 on each slice, then that with the slices reversed
    """

    spec = LAYER_SPECS["D4HConvZ3"]


class D4HConvD4H(SplitGConv3D):
    """Group convolution: feature maps on D4ht in and out. Arguments: see SplitGConv.

    x: (N, I, 16, D, H, W), or (N, I * 16, D, H, W)
    weight: (O, I, 16, k, l, l)
    y: (N, O, 16, D', H', W'); axis 2 is D4h: D4 on each slice, then that with the slices reversed
    """

    spec = LAYER_SPECS["D4HConvD4H"]
