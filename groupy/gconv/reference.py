"""The reference G-convolution: float64, straight from the definition over group elements.

    y[n, o, h, p] = b[o] + sum over i, g, t of  w[o, i, h^-1 g, R_h^-1 t] * x[n, i, g, p + t]

with the sum over g and the factor h^-1 g absent where x lives on the grid. Group elements are
GArrays, composed, inverted and applied to points as such; no index table is used. Slow and
obvious: every h and every tap t is visited in a loop.

On the hexagonal grid a filter is a hexagon in a square of taps, and a feature map one in a square of
points: taps that turn out of the square count as zero, and so do inputs and outputs at such points. What an
array holds there is not looked at, so it may be NaN or infinite.
Sources: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), equations 10 and 11; HexaConv paper
(Hoogeboom et al. 2018, arXiv:1803.02108), section 4.
"""

from functools import cache

import numpy as np

from groupy.garray.Z2_array import Z2Array
from groupy.garray.Z3_array import Z3Array

_GRIDS = {2: Z2Array, 3: Z3Array}


def gconv(x, w, b, group, stride=1, pad=0):
    """The feature map of a lifting or group convolution; H, W stand for D, H, W in three dimensions.

    x: (N, I, S_in, H, W); w: (O, I, S_in, k, k); b: (O,) or None
    group: FiniteGroup of S_out elements; S_in is 1 or S_out
    stride, pad: one integer, or one for each axis
    Returns y: float64 (N, O, S_out, H', W'). Raises ValueError if the shapes do not fit each other or the group.
    """
    x, w, stride, pad, y_shape = _prepare(x, w, group, stride, pad)
    y = np.zeros(y_shape)
    for h, window, source in _terms(group, w, stride, y_shape):
        y[:, :, h] += np.moveaxis(np.tensordot(w[source], x[window], axes=((1, 2), (1, 2))), 0, 1)
    if b is not None:
        y += _along(np.asarray(b, dtype=np.float64), y)
    return _inside(group, y)


def gconv_gradients(x, w, gy, group, stride=1, pad=0):
    """The gradients of sum(gconv(...) * gy): gx, gw, gb in float64, with the shapes of x, w and b.

    Raises ValueError as gconv does, and if gy has not the shape of y.
    """
    unpadded = np.shape(x)
    x, w, stride, pad, y_shape = _prepare(x, w, group, stride, pad)
    gy = np.asarray(gy, dtype=np.float64)
    if gy.shape != y_shape:
        raise ValueError(f"gy must have the shape of the output, {y_shape}, got {gy.shape}.")
    gy = _inside(group, gy)
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    for h, window, source in _terms(group, w, stride, y_shape):
        gx[window] += np.moveaxis(np.tensordot(w[source], gy[:, :, h], axes=((0,), (1,))), 2, 0)
        at_output = np.moveaxis(gy[:, :, h], 1, 0).reshape(len(gw), -1)
        at_input = np.moveaxis(x[window], 0, 2).reshape(gw.shape[1] * gw.shape[2], -1)
        gw[source] += (at_output @ at_input.T).reshape(gw.shape[:3])
    inside = tuple(slice(p, p + n) for p, n in zip(pad, unpadded[3:]))
    return _inside(group, gx[(..., *inside)]), gw, gy.sum(axis=(0, *range(2, gy.ndim)))


def _inside(group, x):
    """A map (N, C, S, ...) with zeros outside of its domain, whatever is there."""
    return np.where(domain(group, x.shape[3:]), x, 0)


def _along(b, y):
    return b.reshape(-1, *(1,) * (y.ndim - 2))


def _prepare(x, w, group, stride, pad):
    x, w = np.asarray(x, dtype=np.float64), np.asarray(w, dtype=np.float64)
    d = group.stabilizer.ndim
    if x.ndim != 3 + d or w.ndim != 3 + d or x.shape[1:3] != w.shape[1:3] or w.shape[2] not in (1, group.size):
        raise ValueError(
            f"x must be (N, I, S_in, ...) and w (O, I, S_in, k, ...) with S_in 1 or {group.size}, and {d} axes after "
            f"S_in; got {x.shape} and {w.shape}."
        )
    stride, pad = (tuple(sides) if np.ndim(sides) else (sides,) * d for sides in (stride, pad))
    x = np.pad(_inside(group, x), [(0, 0)] * 3 + [(p, p) for p in pad])
    size = tuple((n - k) // s + 1 for n, k, s in zip(x.shape[3:], w.shape[3:], stride))
    if min(size) < 1:
        by = " x ".join(map(str, w.shape[3:]))
        raise ValueError(f"a {by} kernel does not fit the padded input {x.shape[3:]}.")
    return x, w, stride, pad, (x.shape[0], w.shape[0], group.size) + size


def _terms(group, w, stride, y_shape):
    """Each (h, t) of the sum, for all g at once: h, x[p + t] over all p, the cells (h^-1 g, R_h^-1 t) of w."""
    for h, tap, elements, source in _orbit(group, w.shape[2], w.shape[3:]):
        window = tuple(slice(t, t + s * n, s) for t, s, n in zip(tap, stride, y_shape[3:]))
        yield h, (slice(None), slice(None), slice(None), *window), (slice(None), slice(None), elements, *source)


@cache
def _orbit(group, input_stabilizer_size, kernel):
    """(h, tap, elements h^-1 g in the order of g, R_h^-1 tap) for all h and taps."""
    if any(_moved_size(matrix, kernel) != kernel for matrix in _matrices(group)):
        raise ValueError(f"the group does not map a {' x '.join(map(str, kernel))} kernel onto itself.")
    taps = np.argwhere(_stays_inside(group, kernel))
    terms = []
    for h in range(group.size):
        back = group[h].inv()
        elements = np.zeros(1, dtype=int) if input_stabilizer_size == 1 else _positions(group, back * group[:])
        cells = _moved_cells(back, taps, kernel, kernel)
        terms += [(h, tuple(tap), elements, tuple(cell)) for tap, cell in zip(taps.tolist(), cells.tolist())]
    return tuple(terms)


@cache
def _matrices(group):
    return [h.reparameterize("mat").data for h in group]


def _moved_size(matrix, size):
    """The sides of the box that a box of these sides turns into; None if its cells do not turn into cells."""
    slanted = [row != 0 for row in matrix if np.count_nonzero(row) > 1]  # a sum of axes: the hexagonal grid
    sides = {size[axis] for axes in slanted for axis in np.flatnonzero(axes)}
    if len(sides) > 1 or any(side % 2 == 0 for side in sides):
        return None
    return tuple(int(size[np.flatnonzero(row)[0]]) for row in matrix)


def _moved_cells(element, cells, size, moved_size):
    """Where an element of the stabilizer takes cells (..., d) of a box, whose centre is the origin."""
    # Twice the distance from the centre is an integer for even sizes too.
    points = _GRIDS[len(size)](2 * cells - (np.array(size) - 1))
    return ((element * points).data + np.array(moved_size) - 1) // 2


@cache
def _stays_inside(group, size):
    """The cells of a box that each element takes to cells of the box that it turns into: booleans."""
    cells = np.moveaxis(np.indices(size), 0, -1)
    stays = np.ones(size, dtype=bool)
    for h, matrix in zip(group, _matrices(group)):
        moved_size = _moved_size(matrix, size)
        moved = _moved_cells(h, cells, size, moved_size)
        stays &= ((moved >= 0) & (moved < moved_size)).all(axis=-1)
    stays.flags.writeable = False
    return stays


def _positions(group, elements):
    """Where group elements stand in the group's list."""
    return (elements[:, None] == group[None, :]).argmax(axis=1)


def domain(group, size):
    """The points of a feature map, booleans of its size: on the hexagonal grid a hexagon in a square of odd side.

    All points on other grids, and at sizes that hold no hexagon.
    """
    if any(_moved_size(matrix, size) is None for matrix in _matrices(group)):
        return np.ones(size, dtype=bool)
    return _stays_inside(group, tuple(size))


def transform_filters(w, group):
    """The filter orbits: tw[o, h, i, g, t] = w[o, i, h^-1 g, R_h^-1 t], bit for bit.

    w: (O, I, S_in, k, k) or (O, I, S_in, k, k, k), any dtype
    Returns (O, S_out, I, S_in, k, ...) of that dtype; zero at taps that the stabilizer turns out of the kernel.
    Raises ValueError if the stabilizer does not map such a kernel onto itself.
    """
    transformed = np.zeros((w.shape[0], group.size) + w.shape[1:], dtype=w.dtype)
    for h, tap, elements, source in _orbit(group, w.shape[2], w.shape[3:]):
        transformed[(slice(None), h, slice(None), slice(None), *tap)] = w[(slice(None), slice(None), elements, *source)]
    return transformed


def left_translate(x, group, h):
    """L_h x, a feature map moved by an element of the stabilizer: (L_h x)[g, p] = x[h^-1 g, R_h^-1 p].

    x: (..., S, H, W) or (..., S, D, H, W), S = 1 (on the grid) or the group's order; h: one element, a GArray
    group: its FiniteGroup; may be None where S = 1, for all of a map on a square or cubic grid
    The centre of the picture is the origin; a quarter turn makes it (..., S, W, H). On the hexagonal grid
    H = W is odd, and the points outside the hexagon become zero.
    Raises ValueError if x has another number of elements, or a size that does not turn onto itself.
    """
    matrix = h.reparameterize("mat").data
    d = len(matrix)
    orders = (1,) if group is None else (1, group.size)
    if x.ndim <= d or x.shape[-d - 1] not in orders:
        raise ValueError(f"x must be (..., S, {', '.join('DHW'[-d:])}) with S in {orders}, got {x.shape}.")
    size, back = x.shape[-d:], h.inv()
    moved_size = _moved_size(matrix, size)
    if moved_size is None:
        raise ValueError(f"a map of size {size} does not turn onto itself on the hexagonal grid; use an odd square.")
    sources = _moved_cells(back, np.moveaxis(np.indices(moved_size), 0, -1), moved_size, size)
    inside = ((sources >= 0) & (sources < size)).all(axis=-1)
    if group is not None:
        inside = inside & domain(group, moved_size)
    sources = np.where(inside[..., None], sources, 0)
    moved = np.where(inside, x[(..., *np.moveaxis(sources, -1, 0))], np.zeros((), x.dtype))
    if x.shape[-d - 1] == 1:
        return moved
    return moved[(..., _positions(group, back * group[:]), *(slice(None),) * d)]
