"""The G-convolutions of C4ht in PyTorch. Source: G-CNN paper (arXiv:1602.07576), section 7, in three dimensions."""

from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv.splitgconv3d import SplitGConv3D


class C4HConvZ3(SplitGConv3D):
    """Lifting convolution: volumes in, feature maps on C4ht out. Arguments: see SplitGConv.

    x: (N, I, D, H, W), or (N, I, 1, D, H, W)
    weight: (O, I, 1, k, l, l)
    y: (N, O, 8, D', H', W'); axis 2 is C4h: four quarter turns of the slices, then those with the slices reversed
    """

    spec = LAYER_SPECS["C4HConvZ3"]


class C4HConvC4H(SplitGConv3D):
    """Group convolution: feature maps on C4ht in and out. Arguments: see SplitGConv.

    x: (N, I, 8, D, H, W), or (N, I * 8, D, H, W)
    weight: (O, I, 8, k, l, l)
    y: (N, O, 8, D', H', W'); axis 2 is C4h: four quarter turns of the slices, then those with the slices reversed
    """

    spec = LAYER_SPECS["C4HConvC4H"]
