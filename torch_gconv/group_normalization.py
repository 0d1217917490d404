"""Group normalization of feature maps on a group, with statistics shared over the stabilizer."""

from torch import nn

from torch_gconv.feature_maps import fold, like, with_stabilizer_axis


class GGroupNorm(nn.GroupNorm):
    """Group normalization over (C / num_groups, S, H, W), with one scale and shift for each channel.

    x, y: (N, C, S, H, W), or folded (N, C * S, H, W); in space with D, H, W for H, W; weight, bias: (C,)

    Arguments are those of torch.nn.GroupNorm, num_channels the number of channels C. Its groups are
    groups of channels, not the symmetry. Each picture is normalized by itself, in training as in evaluation.
    Raises ValueError if x does not fit.
    Source: Wu & He 2018 (arXiv:1803.08494), section 3; all of the stabilizer shares in the statistics.
    """

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C, S, H, W), folded if x is."""
        on_group = with_stabilizer_axis(type(self).__name__, x, channels=self.num_channels)
        ndim = on_group.dim() - 3
        y = like(super().forward(on_group), on_group, ndim)
        return y if y.dim() == x.dim() else fold(y, ndim)
