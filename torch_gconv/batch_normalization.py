"""Batch normalization of feature maps on a group, with statistics shared over the stabilizer."""

import torch
import torch.nn.functional as F
from torch import nn

from torch_gconv.feature_maps import is_channels_last, like, with_stabilizer_axis
from torch_gconv.hexagonal import check_on_plane, grid_points, on_points


class GBatchNorm(nn.BatchNorm2d):
    """Batch normalization over (N, S, H, W): one mean, variance, scale and shift for each channel.

    x, y: (N, C, S, H, W), or folded (N, C * S, H, W); in space with D, H, W for H, W
    weight, bias, running_mean, running_var: (C,)

    Arguments are those of torch.nn.BatchNorm2d, num_features the number of channels C. Statistics
    of their own for each stabilizer element would break equivariance.
    hexagonal: True for maps on the hexagonal grid: the statistics are those of the hexagon's points, and y is
        zero outside of it. torch.nn.SyncBatchNorm does not know of it.
    Raises ValueError if x does not fit.
    Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 6.2.
    """

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        device=None,
        dtype=None,
        *,
        hexagonal=False,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)
        self.hexagonal = hexagonal

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C, S, H, W), folded if x is."""
        on_group = with_stabilizer_axis(type(self).__name__, x, channels=self.num_features)
        if self.hexagonal:
            check_on_plane(type(self).__name__, on_group)
        y = self._normalize(on_group).reshape(x.shape)
        return y * grid_points(x) if self.hexagonal and not self.takes_statistics else y

    @property
    def takes_statistics(self):
        """Whether x is normalized by its own statistics."""
        return self.training or not self.track_running_stats

    def _normalize(self, on_group):
        if self.hexagonal and self.takes_statistics:
            return like(on_points(super().forward, on_group), on_group)
        if not (self.takes_statistics or torch.compiler.is_compiling()) and is_channels_last(on_group):
            # Constants may be repeated over the stabilizer, and then the map can stay as it lies in memory.
            constants = (self.running_mean, self.running_var, self.weight, self.bias)
            repeated = (None if c is None else c.repeat_interleave(on_group.shape[2]) for c in constants)
            return F.batch_norm(on_group.flatten(1, 2), *repeated, eps=self.eps)
        # The stabilizer joins the rows: a view of a contiguous map, and the same statistics.
        return like(super().forward(on_group.flatten(2, -2)).reshape(on_group.shape), on_group)

    def extra_repr(self):
        return super().extra_repr() + (", hexagonal=True" if self.hexagonal else "")
