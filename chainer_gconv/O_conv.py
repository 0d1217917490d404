"""The G-convolutions of Ot in Chainer. Source: Winkels & Cohen 2018 (arXiv:1804.04656), section 3."""

from chainer_gconv.splitgconv3d import SplitGConv3D
from groupy.gconv.layer_specs import LAYER_SPECS


class OConvZ3(SplitGConv3D):
    """Lifting convolution: feature maps on Z3 in, feature maps on Ot out. Arguments: see SplitGConv3D.

    x: (N, I, D, H, W), or (N, I, 1, D, H, W)
    W: (O, I, 1, k, k, k)
    y: (N, O, 24, D', H', W'); axis 2 is O, the cube's rotations, as O_array lists them
    """

    spec = LAYER_SPECS["OConvZ3"]


class OConvO(SplitGConv3D):
    """Group convolution: feature maps on Ot in and out. Arguments: see SplitGConv3D.

    x: (N, I, 24, D, H, W), or (N, I * 24, D, H, W)
    W: (O, I, 24, k, k, k)
    y: (N, O, 24, D', H', W'); axis 2 is O, the cube's rotations, as O_array lists them
    """

    spec = LAYER_SPECS["OConvO"]
