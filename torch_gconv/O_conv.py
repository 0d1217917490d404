"""The G-convolutions of Ot in PyTorch. Source: G-CNN paper (arXiv:1602.07576), section 7, in three dimensions."""

from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv.splitgconv3d import SplitGConv3D


class OConvZ3(SplitGConv3D):
    """Lifting convolution: volumes in, feature maps on Ot out. Arguments: see SplitGConv.

    x: (N, I, D, H, W), or (N, I, 1, D, H, W)
    weight: (O, I, 1, k, k, k)
    y: (N, O, 24, D', H', W'); axis 2 is O, the 24 rotations of the cube, in groupy.garray.O_array's order
    """

    spec = LAYER_SPECS["OConvZ3"]


class OConvO(SplitGConv3D):
    """Group convolution: feature maps on Ot in and out. Arguments: see SplitGConv.

    x: (N, I, 24, D, H, W), or (N, I * 24, D, H, W)
    weight: (O, I, 24, k, k, k)
    y: (N, O, 24, D', H', W'); axis 2 is O, the 24 rotations of the cube, in groupy.garray.O_array's order
    """

    spec = LAYER_SPECS["OConvO"]
