"""The G-convolutions of p6m in PyTorch. Source: HexaConv paper (Hoogeboom et al. 2018, arXiv:1803.02108), section 4."""

from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv.splitgconv2d import SplitGConv2D


class P6MConvZ2(SplitGConv2D):
    """Lifting convolution: hexagonal feature maps in, feature maps on p6m out. Arguments: see SplitGConv.

    x: (N, I, H, W), or (N, I, 1, H, W)
    weight: (O, I, 1, k, k)
    y: (N, O, 12, H', W'); axis 2 is D6: six turns by 60 degrees, then the six mirrored
    H = W odd, in axial coordinates; k odd
    """

    spec = LAYER_SPECS["P6MConvZ2"]


class P6MConvP6M(SplitGConv2D):
    """Group convolution: feature maps on p6m in and out. Arguments: see SplitGConv.

    x: (N, I, 12, H, W), or (N, I * 12, H, W)
    weight: (O, I, 12, k, k)
    y: (N, O, 12, H', W'); axis 2 is D6: six turns by 60 degrees, then the six mirrored
    H = W odd, in axial coordinates; k odd
    """

    spec = LAYER_SPECS["P6MConvP6M"]
