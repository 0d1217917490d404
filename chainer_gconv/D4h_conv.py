"""The G-convolutions of D4ht in Chainer. Source: Winkels & Cohen 2018 (arXiv:1804.04656), section 3."""

from chainer_gconv.splitgconv3d import SplitGConv3D
from groupy.gconv.layer_specs import LAYER_SPECS


class D4HConvZ3(SplitGConv3D):
    """Lifting convolution: feature maps on Z3 in, feature maps on D4ht out. Arguments: see SplitGConv3D.

    x: (N, I, D, H, W), or (N, I, 1, D, H, W)
    W: (O, I, 1, k, k', k')
    y: (N, O, 16, D', H', W'); axis 2 is D4h: D4 on each slice, then with the slices reversed
    """

    spec = LAYER_SPECS["D4HConvZ3"]


class D4HConvD4H(SplitGConv3D):
    """Group convolution: feature maps on D4ht in and out. Arguments: see SplitGConv3D.

    x: (N, I, 16, D, H, W), or (N, I * 16, D, H, W)
    W: (O, I, 16, k, k', k')
    y: (N, O, 16, D', H', W'); axis 2 is D4h: D4 on each slice, then with the slices reversed
    """

    spec = LAYER_SPECS["D4HConvD4H"]
