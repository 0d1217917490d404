"""Batch normalization of feature maps on a group, with statistics shared over the stabilizer."""

import torch
import torch.nn.functional as F
from torch import nn

from torch_gconv.feature_maps import is_channels_last, like, with_stabilizer_axis


class GBatchNorm(nn.BatchNorm2d):
    """Batch normalization over (N, S, H, W): one mean, variance, scale and shift for each channel.

    x, y: (N, C, S, H, W), or folded (N, C * S, H, W); weight, bias, running_mean, running_var: (C,)

    Arguments are those of torch.nn.BatchNorm2d, num_features the number of channels C. Statistics
    of their own for each stabilizer element would break equivariance.
    Raises ValueError if x does not fit.
    Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 6.2.
    """

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C, S, H, W), folded if x is."""
        on_group = with_stabilizer_axis(type(self).__name__, x, channels=self.num_features)
        normalizes_by_itself = self.training or not self.track_running_stats
        if not (normalizes_by_itself or torch.compiler.is_compiling()) and is_channels_last(x):
            # Constants may be repeated over the stabilizer, and then the map can stay as it lies in memory.
            constants = (self.running_mean, self.running_var, self.weight, self.bias)
            repeated = (None if c is None else c.repeat_interleave(on_group.shape[2]) for c in constants)
            return F.batch_norm(x.flatten(1, -3), *repeated, eps=self.eps).view(x.shape)
        # The stabilizer joins the rows: a view of a contiguous map, and the same statistics.
        return like(super().forward(on_group.flatten(2, 3)).reshape(x.shape), x)
