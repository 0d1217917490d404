"""Pooling of feature maps on a group: over pixels, over the stabilizer (coset pooling), over both.

Maps are (N, C, S, H, W), or in space (N, C, S, D, H, W).
"""

import torch
import torch.nn.functional as F
from torch import nn

from groupy.garray.stabilizers import C6
from groupy.gconv import geometry
from groupy.gconv.make_gconv_indices import kernel_shape
from torch_gconv.constants import static_shape
from torch_gconv.feature_maps import fold, like, unfold, with_stabilizer_axis
from torch_gconv.hexagonal import check_on_plane, grid_points, hexagonal_taps, hexagonal_windows, on_grid


def plane_group_spatial_max_pooling(x, ksize, stride=None, pad=0):
    """Max pooling over pixels, for each channel and stabilizer element alike: (N, C, S, H, W) -> (N, C, S, H', W').

    Arguments as of torch.nn.functional.max_pool2d; stride is ksize if None. Equivariant where the
    windows tile the padded input exactly, (size + 2 * pad - ksize) % stride == 0.
    """
    return unfold(F.max_pool2d(fold(x, 2), ksize, stride, pad), *x.shape[1:3])


def coset_max_pooling(x):
    """The largest value over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers.

    Where several elements share the largest value, each gets an equal part of the gradient: no
    choice among them would be equivariant.
    """
    return _reduced(torch.amax, x)


def coset_mean_pooling(x):
    """The mean over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers."""
    return _reduced(torch.mean, x)


def coset_sum_pooling(x):
    """The sum over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers."""
    return _reduced(torch.sum, x)


def coset_l2_pooling(x):
    """The Euclidean norm over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers.

    Its derivatives, first and second, are zero where it is zero.
    """
    # There the norm has a kink. What takes the zeros' place is smooth, and has no part in the result.
    is_zero = torch.linalg.vector_norm(x.detach(), dim=2, keepdim=True) == 0
    norm = torch.linalg.vector_norm(torch.where(is_zero, 1, x), dim=2)
    return like(torch.where(is_zero.squeeze(2), 0, norm), x, x.dim() - 3)


def _reduced(reduce, x):
    return like(reduce(x, dim=2), x, x.dim() - 3)


class _SpatialPool(nn.Module):
    """Pooling over pixels, each channel and stabilizer element alike, on a grid of `ndim` axes.

    A subclass has `_pool(x)` of folded maps (N, C * S, H, W), and `_pool_hexagons(x)` if it takes hexagonal ones.
    """

    ndim: int

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, strict=False, hexagonal=False):
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, kernel_size if stride is None else stride, padding
        self.dilation, self.strict, self.hexagonal, self._warned = dilation, strict, hexagonal, False
        window = self.window  # refuses what does not fit
        if hexagonal:
            kernel_shape(window.ksize, C6, f"{type(self).__name__}: hexagonal kernel_size")
            self._taps = hexagonal_taps(window.ksize)

    @property
    def window(self):
        """How the window steps over the grid, a groupy.gconv.geometry.Window."""
        names = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}  # and the least that each may be
        ksize, stride, padding, dilation = (
            geometry.as_sides(type(self).__name__, name, getattr(self, name), self.ndim, minimum)
            for name, minimum in names.items()
        )
        return geometry.Window(ksize, stride, padding, padding, dilation)

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C, S, H', W'); a folded map (N, C * S, H, W) stays folded."""
        if self.strict or not torch.compiler.is_compiling():
            layer, window, size = type(self).__name__, self.window, static_shape(x)[-self.ndim :]
            window.check_size(layer, size)
            reason = window.equivariance_break(layer, size, C6 if self.hexagonal else None)
            geometry.announce_break(self, reason, stacklevel=4)
        pool = self._pool_hexagons if self.hexagonal else self._pool
        x_folded = fold(x, self.ndim)
        y = like(pool(x_folded), x_folded, self.ndim)
        return y if y.dim() == x.dim() else unfold(y, *x.shape[1:3])

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
            + (f", dilation={self.dilation}" if self.dilation != 1 else "")
            + (", hexagonal=True" if self.hexagonal else "")
        )


class GMaxPool2d(_SpatialPool):
    """Max pooling over pixels, (N, C, S, H, W) -> (N, C, S, H', W'); arguments as of torch.nn.MaxPool2d.

    hexagonal: True for maps on the hexagonal grid: windows are the hexagons in squares of odd kernel_size, what
        lies outside of the input's hexagon does not count, and the output is zero outside of its own
    Sizes that break equivariance: as of GAvgPool2d.
    """

    ndim = 2

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, strict=False, *, hexagonal=False):
        super().__init__(kernel_size, stride, padding, dilation, strict, hexagonal)

    def _pool(self, x):
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation)

    def _pool_hexagons(self, x):
        windows = hexagonal_windows(_only_points(x), self.window, self._taps, outside=-torch.inf)
        # As elsewhere in max pooling, of equal values the first has the gradient; amax would share it.
        y = F.max_pool2d(windows.movedim(0, 2).flatten(3), (len(self._taps), 1)).view(windows.shape[1:])
        points = grid_points(x).to(torch.uint8)
        seen = hexagonal_windows(points, self.window, self._taps, outside=0).amax(0).bool()  # the others hold -inf
        return torch.where(grid_points(y) & seen, y, 0)


class GMaxPool3d(_SpatialPool):
    """Max pooling over voxels, (N, C, S, D, H, W) -> (N, C, S, D', H', W'); arguments as of torch.nn.MaxPool3d.

    Sizes that break equivariance: as of GAvgPool2d.
    """

    ndim = 3

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, strict=False):
        super().__init__(kernel_size, stride, padding, dilation, strict)

    def _pool(self, x):
        if x.is_cuda:
            return _max_pool3d_by_planes(x, self.window)
        return F.max_pool3d(x, self.kernel_size, self.stride, self.padding, self.dilation)


def _max_pool3d_by_planes(x, window):
    """F.max_pool3d of (N, C, D, H, W): the same values and gradients, planes first, then along the depth.

    On a GPU PyTorch sums the gradient of its own by atomics, in no order, where windows overlap; in two dimensions
    it gathers, so that the same call gives the same bits.
    """
    of_planes, along_depth = {}, {}
    for name, (d, h, w), neutral in (
        ("kernel_size", window.ksize, 1),
        ("stride", window.stride, 1),
        ("padding", window.before, 0),
        ("dilation", window.dilation, 1),
    ):
        of_planes[name], along_depth[name] = (h, w), (d, neutral)
    planes = F.max_pool2d(x.flatten(1, 2), **of_planes)
    columns = planes.unflatten(1, x.shape[1:3]).flatten(3)  # (N, C, D, H' * W')
    return F.max_pool2d(columns, **along_depth).unflatten(3, planes.shape[2:])


class GAvgPool2d(_SpatialPool):
    """The mean over windows of pixels, (N, C, S, H, W) -> (N, C, S, H', W'); arguments as of torch.nn.AvgPool2d.

    An input size at which the windows do not tile the padded input breaks equivariance: it is warned of
    once (EquivarianceWarning), or with strict=True raises EquivarianceError, and the nearest sizes that
    work are named. There is no ceil_mode: where equivariance holds it would change nothing.
    """

    ndim = 2

    def __init__(self, kernel_size, stride=None, padding=0, count_include_pad=True, strict=False):
        super().__init__(kernel_size, stride, padding, strict=strict)
        self.count_include_pad = count_include_pad

    def _pool(self, x):
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding, count_include_pad=self.count_include_pad)


class GAvgPool3d(_SpatialPool):
    """The mean over windows of voxels, (N, C, S, D, H, W) -> (N, C, S, D', H', W'); arguments as of GAvgPool2d."""

    ndim = 3

    def __init__(self, kernel_size, stride=None, padding=0, count_include_pad=True, strict=False):
        super().__init__(kernel_size, stride, padding, strict=strict)
        self.count_include_pad = count_include_pad

    def _pool(self, x):
        return F.avg_pool3d(x, self.kernel_size, self.stride, self.padding, count_include_pad=self.count_include_pad)


class _OnTheGroup(nn.Module):
    """A function of maps (N, C, S, H, W) or (N, C, S, D, H, W), the class attribute `_pool`, as a module.

    stabilizer_size: S, needed for maps with folded channels, (N, C * S, H, W)
    ndim: with stabilizer_size, the dimension of the grid: 3 for maps in space
    """

    def __init__(self, stabilizer_size=None, ndim=2):
        super().__init__()
        self.stabilizer_size, self.ndim = stabilizer_size, ndim

    def forward(self, x):
        """(N, C, S, H, W), or folded (N, C * S, H, W), -> (N, C, H, W); global pooling -> (N, C)."""
        return self._pool(self._on_group(x))

    def _on_group(self, x):
        name = type(self).__name__
        return with_stabilizer_axis(name, x, stabilizer_size=self.stabilizer_size, ndim=self.ndim)

    def extra_repr(self):
        given = {"stabilizer_size": (self.stabilizer_size, None), "ndim": (self.ndim, 2)}
        return ", ".join(f"{name}={value}" for name, (value, usual) in given.items() if value != usual)


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


class _GlobalPool(_OnTheGroup):
    """_OnTheGroup over pixels too.

    hexagonal: True for maps on the hexagonal grid, to pool over the points of the hexagon alone
    """

    def __init__(self, stabilizer_size=None, ndim=2, *, hexagonal=False):
        super().__init__(stabilizer_size, ndim)
        self.hexagonal = hexagonal

    def _on_group(self, x):
        on_group = super()._on_group(x)
        if self.hexagonal:
            check_on_plane(type(self).__name__, on_group)
        return on_group

    def extra_repr(self):
        return ", ".join(filter(None, [super().extra_repr(), "hexagonal=True" if self.hexagonal else ""]))


class GGlobalMaxPool(_GlobalPool):
    """The largest value over stabilizer and pixels: (N, C, S, H, W) -> (N, C), invariant; folded maps need S."""

    def _pool(self, x):
        return (_only_points(x) if self.hexagonal else x).flatten(2).amax(2)


class GGlobalMeanPool(_GlobalPool):
    """The mean over stabilizer and pixels: (N, C, S, H, W) -> (N, C), invariant; folded maps need S."""

    def _pool(self, x):
        if not self.hexagonal:
            return x.flatten(2).mean(2)
        return on_grid(x).flatten(2).sum(2) / (x.shape[2] * grid_points(x).sum())


def _only_points(x):
    """A map on the hexagonal grid, with what no maximum counts outside of its hexagon."""
    return torch.where(grid_points(x), x, -torch.inf)
