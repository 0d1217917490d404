"""The points of feature maps on the hexagonal grid.

In axial coordinates a map is an array (..., H, W), and its points are the hexagon in the middle of a square
of odd side: the points (u, v) about the centre with |u|, |v| and |u + v| at most (H - 1) / 2. Outside of it a
map is zero, whatever stands in the array: numbers there have no effect, NaN included, and no gradient.
Arrays of other sizes hold no hexagon that turns onto itself; all of their points count.
Source: HexaConv paper (Hoogeboom et al. 2018, arXiv:1803.02108), section 3.3.
"""

from functools import reduce
from operator import and_, or_

import numpy as np
import torch
import torch.nn.functional as F

from groupy.garray.stabilizers import C6
from torch_gconv.constants import constant, is_plain, sizes_are_symbols, static_shape

HEXAGONAL = C6.oblique_rows


def grid_points(x, rows=HEXAGONAL):
    """The points of a map x (..., H, W), booleans (H, W): groupy.gconv.geometry.grid_support, True where that is None.

    rows: the Stabilizer's oblique_rows
    Made once for each size and device. Under compilers and tracers they are made of operations on x without a
    branch, since sizes may be symbols there.
    """
    if sizes_are_symbols() or not is_plain(x):
        return _points(x, rows)
    return constant(_points_of_size, (tuple(x.shape[-len(rows[0]) :]), x.device, rows), x)


def on_grid(x, rows=HEXAGONAL):
    """x where the grid has its points, and zero elsewhere, whatever stands there."""
    return torch.where(grid_points(x, rows), x, 0)


def check_on_plane(layer, on_group):
    """Raises ValueError if a map with its stabilizer axis is none on the plane, where the hexagonal grid is."""
    if on_group.dim() != 5:
        raise ValueError(
            f"{layer}: hexagonal maps lie on the plane, (N, C, S, H, W), got {tuple(on_group.shape)}. "
            "For volumes leave hexagonal=False."
        )


def on_points(function, x):
    """A function of the hexagon's points alone: x (..., H, W), as function(x at the P points, (..., P)); else zero."""
    size = static_shape(x)[-2:]
    if torch.compiler.is_compiling() or not is_plain(x):
        positions = _positions(size, x.device)
    else:
        positions = constant(_positions, (tuple(size), x.device), x)
    values = function(x.flatten(-2).index_select(-1, positions))
    return values.new_zeros(x.shape).flatten(-2).index_copy(-1, positions, values).unflatten(-1, size)


def hexagonal_taps(ksize):
    """The taps (u, v) of a hexagonal window in a square of odd sides."""
    return tuple(map(tuple, np.argwhere(C6.support(ksize)).tolist()))


def hexagonal_windows(x, window, taps, outside):
    """What each hexagonal window sees of a map: x (..., H, W) -> (taps, ..., H', W').

    window: a groupy.gconv.geometry.Window; taps: its kernel's hexagonal_taps
    outside: the value of what pads the map
    """
    x = F.pad(x, (window.before[1], window.after[1], window.before[0], window.after[0]), value=outside)
    rows, columns = x.shape[-2] - window.extent[0] + 1, x.shape[-1] - window.extent[1] + 1
    (s, t), (d, e) = window.stride, window.dilation
    return torch.stack([x[..., u * d : u * d + rows : s, v * e : v * e + columns : t] for u, v in taps])


def _points(x, rows):
    ndim = len(rows[0])
    ones = x.new_ones(x.shape[-ndim:], dtype=torch.int64)
    # Twice the distance from the centre, an integer for odd and even sides: 2 * index - (n - 1).
    doubled = [2 * ones.cumsum(axis) - x.shape[axis - ndim] - 1 for axis in range(ndim)]
    slanted = [axis for axis in range(ndim) if any(row[axis] for row in rows)]  # in a prism not all are
    last, *others = (doubled[axis].max() for axis in slanted)  # n - 1
    stays = [sum(n * p for n, p in zip(row, doubled)).abs() <= last for row in rows]
    has_no_hexagon = [last % 2 == 1, *(n != last for n in others)]
    return reduce(and_, stays) | reduce(or_, has_no_hexagon)


def _points_of_size(size, device, rows=HEXAGONAL):
    return _points(torch.empty(size, device=device), rows)


def _positions(size, device):
    """The points of a map (H, W), as positions in H * W, in order.

    How many there are follows from the size, so that no shape depends on data: compilers and fake tensors need that.
    """
    rows, columns = size
    r = rows // 2
    n_points = 3 * r * (r + 1) + 1 if rows == columns and rows % 2 == 1 else rows * columns
    is_other = (~_points_of_size(size, device)).flatten().to(torch.uint8)
    return is_other.argsort(stable=True)[:n_points]
