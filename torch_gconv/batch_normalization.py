"""Batch normalization of feature maps on a group, with statistics shared over the stabilizer.

Importing this teaches torch.nn.SyncBatchNorm.convert_sync_batchnorm of it: what PyTorch would make of a
GBatchNorm knows neither folded maps nor hexagons.
"""

import torch.nn.functional as F
from torch import nn

from torch_gconv.feature_maps import fold, is_channels_last, like, unfold, with_stabilizer_axis
from torch_gconv.hexagonal import check_on_plane, on_grid, on_points


class _GroupBatchNorm(nn.modules.batchnorm._BatchNorm):
    """What makes one of PyTorch's batch normalizations one over (N, S, H, W); `hexagonal` as of GBatchNorm."""

    hexagonal: bool

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C, S, H, W), folded if x is."""
        on_group = with_stabilizer_axis(type(self).__name__, x, channels=self.num_features)
        if self.hexagonal:
            check_on_plane(type(self).__name__, on_group)
        y = self._normalize(on_group)
        return y if y.dim() == x.dim() else fold(y, x.dim() - 2)

    @property
    def takes_statistics(self):
        """Whether x is normalized by its own statistics."""
        return self.training or not self.track_running_stats

    def _normalize(self, on_group):
        ndim = on_group.dim() - 3
        if self.takes_statistics:
            rows = on_points if self.hexagonal else _on_rows
            return like(rows(super().forward, on_group), on_group, ndim)
        if self.hexagonal:
            return on_grid(self._by_constants(on_grid(on_group), ndim))
        return self._by_constants(on_group, ndim)

    def _by_constants(self, on_group, ndim):
        """By the running statistics."""
        if not is_channels_last(on_group, ndim):
            return _on_rows(super().forward, on_group)
        # Constants may be repeated over the stabilizer, and then the map can stay as it lies in memory.
        constants = (self.running_mean, self.running_var, self.weight, self.bias)
        repeated = (None if c is None else c.repeat_interleave(on_group.shape[2]) for c in constants)
        y = F.batch_norm(fold(on_group, ndim), *repeated, eps=self.eps)
        return unfold(y, *on_group.shape[1:3])

    def extra_repr(self):
        return super().extra_repr() + (", hexagonal=True" if self.hexagonal else "")


class GBatchNorm(_GroupBatchNorm, nn.BatchNorm2d):
    """Batch normalization over (N, S, H, W): one mean, variance, scale and shift for each channel.

    x, y: (N, C, S, H, W), or folded (N, C * S, H, W); in space with D, H, W for H, W
    weight, bias, running_mean, running_var: (C,)

    Arguments are those of torch.nn.BatchNorm2d, num_features the number of channels C. Statistics
    of their own for each stabilizer element would break equivariance.
    hexagonal: True for maps on the hexagonal grid: only the hexagon's points count, and y is zero outside of it
    Raises ValueError if x does not fit. torch.nn.SyncBatchNorm.convert_sync_batchnorm makes a GSyncBatchNorm of it.
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


class GSyncBatchNorm(_GroupBatchNorm, nn.SyncBatchNorm):
    """GBatchNorm with the statistics of all processes' batches; arguments as of torch.nn.SyncBatchNorm.

    As there, several processes need GPUs; without a process group it is GBatchNorm.
    """

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
        process_group=None,
        device=None,
        dtype=None,
        *,
        hexagonal=False,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, process_group, device, dtype)
        self.hexagonal = hexagonal

    @classmethod
    def of(cls, norm, process_group=None):
        """What synchronizes a GBatchNorm; it has the very parameters and statistics of `norm`."""
        settings = (norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats, process_group)
        new = cls(*settings, device="meta", hexagonal=norm.hexagonal)
        new._parameters.update(norm._parameters)
        new._buffers.update(norm._buffers)
        return new.train(norm.training)


def _on_rows(normalize, on_group):
    """By a function of (N, C, rows, W): the stabilizer joins the rows, which is a view of a contiguous map."""
    return normalize(on_group.flatten(2, -2)).reshape(on_group.shape)


_convert = vars(nn.SyncBatchNorm)["convert_sync_batchnorm"].__func__


def _convert_sync_batchnorm(cls, module, process_group=None):
    if isinstance(module, (GBatchNorm, GSyncBatchNorm)):
        return GSyncBatchNorm.of(module, process_group)
    return _convert(cls, module, process_group)


_convert_sync_batchnorm.__doc__ = _convert.__doc__
nn.SyncBatchNorm.convert_sync_batchnorm = classmethod(_convert_sync_batchnorm)  # type: ignore
