"""Pooling of feature maps on a group (N, C, S, H, W): over pixels, over the stabilizer (coset pooling), over both."""

import torch
import torch.nn.functional as F
from torch import nn

from groupy.gconv import geometry
from torch_gconv.feature_maps import with_stabilizer_axis


def plane_group_spatial_max_pooling(x, ksize, stride=None, pad=0):
    """Max pooling over pixels, for each channel and stabilizer element alike: (N, C, S, H, W) -> (N, C, S, H', W').

    Arguments as of torch.nn.functional.max_pool2d; stride is ksize if None. Equivariant where the
    windows tile the padded input exactly, (size + 2 * pad - ksize) % stride == 0.
    """
    return F.max_pool2d(x.flatten(1, 2), ksize, stride, pad).unflatten(1, x.shape[1:3])


def coset_max_pooling(x):
    """The largest value over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers.

    Where several elements share the largest value, each gets an equal part of the gradient: no
    choice among them would be equivariant.
    """
    return x.amax(dim=2)


def coset_mean_pooling(x):
    """The mean over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers."""
    return x.mean(dim=2)


def coset_sum_pooling(x):
    """The sum over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers."""
    return x.sum(dim=2)


def coset_l2_pooling(x):
    """The Euclidean norm over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers.

    Its gradient where all elements are zero is zero.
    """
    return torch.linalg.vector_norm(x, dim=2)


class _SpatialPool(nn.Module):
    """Planar pooling of each channel and stabilizer element; a subclass has `_pool(x)` on (N, C * S, H, W)."""

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, strict=False):
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.dilation, self.strict, self._warned = dilation, strict, False
        self.window  # noqa: B018 - refuses what does not fit

    @property
    def window(self):
        """How the window steps over the grid, a groupy.gconv.geometry.Window."""
        layer, padding = type(self).__name__, geometry.as_pair(type(self).__name__, "padding", self.padding, minimum=0)
        names = ("kernel_size", "stride", "dilation")
        ksize, stride, dilation = (geometry.as_pair(layer, name, getattr(self, name), minimum=1) for name in names)
        return geometry.Window(ksize, stride, padding, padding, dilation)

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C, S, H', W'); a folded map (N, C * S, H, W) stays folded."""
        if self.strict or not torch.compiler.is_compiling():
            layer, window, size = type(self).__name__, self.window, x.shape[-2:]
            window.check_size(layer, size)
            geometry.announce_break(self, window.equivariance_break(layer, size), stacklevel=4)
        return self._pool(x.flatten(1, -3)).unflatten(1, x.shape[1:-2])

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}" + (
            f", dilation={self.dilation}" if self.dilation != 1 else ""
        )


class GMaxPool2d(_SpatialPool):
    """Max pooling over pixels, (N, C, S, H, W) -> (N, C, S, H', W'); arguments as of torch.nn.MaxPool2d.

    Sizes that break equivariance: as of GAvgPool2d.
    """

    def _pool(self, x):
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation)


class GAvgPool2d(_SpatialPool):
    """The mean over windows of pixels, (N, C, S, H, W) -> (N, C, S, H', W'); arguments as of torch.nn.AvgPool2d.

    An input size at which the windows do not tile the padded input breaks equivariance: it is warned of
    once (EquivarianceWarning), or with strict=True raises EquivarianceError, and the nearest sizes that
    work are named. There is no ceil_mode: where equivariance holds it would change nothing.
    """

    def __init__(self, kernel_size, stride=None, padding=0, count_include_pad=True, strict=False):
        super().__init__(kernel_size, stride, padding, strict=strict)
        self.count_include_pad = count_include_pad

    def _pool(self, x):
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding, count_include_pad=self.count_include_pad)


class _OnTheGroup(nn.Module):
    """A function of maps (N, C, S, H, W), the class attribute `_pool`, as a module.

    stabilizer_size: S, needed for maps with folded channels, (N, C * S, H, W)
    """

    def __init__(self, stabilizer_size=None):
        super().__init__()
        self.stabilizer_size = stabilizer_size

    def forward(self, x):
        """(N, C, S, H, W), or folded (N, C * S, H, W), -> (N, C, H, W); global pooling -> (N, C)."""
        return self._pool(with_stabilizer_axis(type(self).__name__, x, stabilizer_size=self.stabilizer_size))

    def extra_repr(self):
        return "" if self.stabilizer_size is None else f"stabilizer_size={self.stabilizer_size}"


class CosetMaxPool(_OnTheGroup):
    """coset_max_pooling as a module; stabilizer_size is needed for maps with folded channels."""

    _pool = staticmethod(coset_max_pooling)


class CosetMeanPool(_OnTheGroup):
    """coset_mean_pooling as a module; stabilizer_size is needed for maps with folded channels."""

    _pool = staticmethod(coset_mean_pooling)


class CosetSumPool(_OnTheGroup):
    """coset_sum_pooling as a module; stabilizer_size is needed for maps with folded channels."""

    _pool = staticmethod(coset_sum_pooling)


class CosetL2Pool(_OnTheGroup):
    """coset_l2_pooling as a module; stabilizer_size is needed for maps with folded channels."""

    _pool = staticmethod(coset_l2_pooling)


class GGlobalMaxPool(_OnTheGroup):
    """The largest value over stabilizer and pixels: (N, C, S, H, W) -> (N, C), invariant; folded maps need S."""

    @staticmethod
    def _pool(x):
        return x.amax(dim=(2, 3, 4))


class GGlobalMeanPool(_OnTheGroup):
    """The mean over stabilizer and pixels: (N, C, S, H, W) -> (N, C), invariant; folded maps need S."""

    @staticmethod
    def _pool(x):
        return x.mean(dim=(2, 3, 4))
