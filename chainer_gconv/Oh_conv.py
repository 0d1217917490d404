"""The G-convolutions of Oht in Chainer. Source: Winkels & Cohen 2018 (arXiv:1804.04656), section 3."""

from chainer_gconv.splitgconv3d import SplitGConv3D
from groupy.gconv.layer_specs import LAYER_SPECS


class OHConvZ3(SplitGConv3D):
    """Lifting convolution: feature maps on Z3 in, feature maps on Oht out. Arguments: see SplitGConv3D.

    x: (N, I, D, H, W), or (N, I, 1, D, H, W)
    W: (O, I, 1, k, k, k)
    y: (N, O, 48, D', H', W'); axis 2 is Oh: the cube's 24 rotations, then the 24 with the inversion
    """

    spec = LAYER_SPECS["OHConvZ3"]


class OHConvOH(SplitGConv3D):
    """Group convolution: feature maps on Oht in and out. Arguments: see SplitGConv3D.

    x: (N, I, 48, D, H, W), or (N, I * 48, D, H, W)
    W: (O, I, 48, k, k, k)
    y: (N, O, 48, D', H', W'); axis 2 is Oh: the cube's 24 rotations, then the 24 with the inversion
    """

    spec = LAYER_SPECS["OHConvOH"]
