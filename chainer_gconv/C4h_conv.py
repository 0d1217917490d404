"""The G-convolutions of C4ht in Chainer. Source: Winkels & Cohen 2018 (arXiv:1804.04656), section 3."""

from chainer_gconv.splitgconv3d import SplitGConv3D
from groupy.gconv.layer_specs import LAYER_SPECS


class C4HConvZ3(SplitGConv3D):
    """Lifting convolution: feature maps on Z3 in, feature maps on C4ht out. Arguments: see SplitGConv3D.

    x: (N, I, D, H, W), or (N, I, 1, D, H, W)
    W: (O, I, 1, k, k', k')
    y: (N, O, 8, D', H', W'); axis 2 is C4h: four quarter turns, then with the slices reversed
    """

    spec = LAYER_SPECS["C4HConvZ3"]


class C4HConvC4H(SplitGConv3D):
    """Group convolution: feature maps on C4ht in and out. Arguments: see SplitGConv3D.

    x: (N, I, 8, D, H, W), or (N, I * 8, D, H, W)
    W: (O, I, 8, k, k', k')
    y: (N, O, 8, D', H', W'); axis 2 is C4h: four quarter turns, then with the slices reversed
    """

    spec = LAYER_SPECS["C4HConvC4H"]
