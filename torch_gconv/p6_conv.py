"""The G-convolutions of p6 in PyTorch. Source: HexaConv paper (Hoogeboom et al. 2018, arXiv:1803.02108), section 4."""

from groupy.gconv.layer_specs import LAYER_SPECS
from torch_gconv.splitgconv2d import SplitGConv2D


class P6ConvZ2(SplitGConv2D):
    """Lifting convolution: hexagonal feature maps in, feature maps on p6 out. Arguments: see SplitGConv.

    x: (N, I, H, W), or (N, I, 1, H, W)
    weight: (O, I, 1, k, k)
    y: (N, O, 6, H', W'); axis 2 is C6 in turns by 60 degrees
    H = W odd, in axial coordinates; k odd
    """

    spec = LAYER_SPECS["P6ConvZ2"]


class P6ConvP6(SplitGConv2D):
    """Group convolution: feature maps on p6 in and out. Arguments: see SplitGConv.

    x: (N, I, 6, H, W), or (N, I * 6, H, W)
    weight: (O, I, 6, k, k)
    y: (N, O, 6, H', W'); axis 2 is C6 in turns by 60 degrees
    H = W odd, in axial coordinates; k odd
    """

    spec = LAYER_SPECS["P6ConvP6"]
