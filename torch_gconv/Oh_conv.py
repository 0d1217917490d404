"""The G-convolutions of Oht in PyTorch. Source: G-CNN paper (arXiv:1602.07576), section 7, in three dimensions."""

from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv.splitgconv3d import SplitGConv3D


class OHConvZ3(SplitGConv3D):
    """Lifting convolution: volumes in, feature maps on Oht out. Arguments: see SplitGConv.

    x: (N, I, D, H, W), or (N, I, 1, D, H, W)
    weight: (O, I, 1, k, k, k)
    y: (N, O, 48, D', H', W'); axis 2 is Oh: the 24 rotations of the cube, then each with the inversion
    """

    spec = LAYER_SPECS["OHConvZ3"]


class OHConvOH(SplitGConv3D):
    """Group convolution: feature maps on Oht in and out. Arguments: see SplitGConv.

    x: (N, I, 48, D, H, W), or (N, I * 48, D, H, W)
    weight: (O, I, 48, k, k, k)
    y: (N, O, 48, D', H', W'); axis 2 is Oh: the 24 rotations of the cube, then each with the inversion
    """

    spec = LAYER_SPECS["OHConvOH"]
