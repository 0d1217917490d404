"""Residual blocks of feature maps on a group.

Source: He et al. 2016, arXiv:1603.05027, figure 4(e); of G-convolutions, Cohen & Welling 2016,
arXiv:1602.07576, section 8.2.
"""

from torch import nn

from torch_gconv.batch_normalization import GBatchNorm


class GResidualBlock(nn.Module):
    """Two 3 x 3 convolutions, normalization and ReLU before each, and a shortcut past them.

    x: (N, I, S, H, W) -> y: (N, O, S, H', W'), H' = ceil(H / stride); planar maps for planar layers
        y = shortcut(x) + conv2(relu(bn2(conv1(relu(bn1(x))))))

    conv: the class of the convolutions, as P4MConvP4M or torch.nn.Conv2d
    stride: of the first convolution and of the shortcut
    batch_norm: what normalizes conv's feature maps

    The shortcut is the identity, or where the shape changes a 1 x 1 convolution. At stride 2 the block
    keeps equivariance for odd H and W alone, since (H + 2 - 3) % 2 = (H - 1) % 2 must be 0; for other
    sizes conv1 and the shortcut say so.
    """

    def __init__(self, conv, in_channels, out_channels, stride=1, *, batch_norm=GBatchNorm, device=None, dtype=None):
        super().__init__()
        factory = {"device": device, "dtype": dtype}
        self.bn1 = batch_norm(in_channels, **factory)
        self.conv1 = conv(in_channels, out_channels, 3, stride, 1, **factory)
        self.bn2 = batch_norm(out_channels, **factory)
        self.conv2 = conv(out_channels, out_channels, 3, 1, 1, **factory)
        self.relu = nn.ReLU()
        keeps_shape = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if keeps_shape else conv(in_channels, out_channels, 1, stride, **factory)

    def forward(self, x):
        """(N, I, S, H, W) -> (N, O, S, H', W')."""
        y = self.conv1(self.relu(self.bn1(x)))
        y = self.conv2(self.relu(self.bn2(y)))
        return self.shortcut(x) + y
