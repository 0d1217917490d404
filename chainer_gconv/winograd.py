"""Convolution of NumPy arrays by Winograd's minimal filtering F(2x2, 3x3): 16 products where 36 are due.

Kernels 3x3 at stride 1. The output is cut into tiles of 2x2 points, which see 4x4 points of the input each. Along
one axis, the two outputs of a tile are
    y = A^T [(G w) * (B^T x)],  w: (3,), x: (4,), y: (2,), * elementwise,
and the transformations apply along rows and columns in turn. The products are summed over channels: 16 matrix
multiplications (tiles, C) x (C, O). The gradient of the filters is the adjoint, gW = G^T [(A gy) * (B^T x)] G, summed
over tiles; that of the input is a correlation with the mirrored filters.

The transformations add, and halve: integers stay exact, in units of 1/4, as long as 2^8 C |x| |w| for outputs, and
2^6 (N H' W') |x| |gy| for gradients of filters, stay below 2^24 (2^53 in float64), |.| the largest number of each.
An output is made of what its kernel sees and nothing else, so on real numbers its error is bounded by the norm of
that, though not term by term (Higham 2002, section 23.2.2); of infinities it makes NaNs.
Source: Lavin & Gray 2015 (arXiv:1509.09308), section 4.1; the signs of B and A's last rows are turned, so that A's
has no minus.
"""

import numpy as np

from chainer_gconv.blocks import blocks

_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_GG = np.kron(_G, _G)  # (16, 9): along rows and columns at once

# What making one number costs, in multiplications and additions of a matrix product: measured on one and two cores.
_COST_OF_TILES, _COST_OF_PRODUCTS, _COST_OF_FILTERS, _COST_OF_PATCHES = 45, 65, 50, 20


def is_faster(window, x_shape, n_outputs, n_uses=None):
    """Whether this is faster than patches. It is if the channels are many, from about 52 inputs and outputs on.

    n_uses: how many products each number that is copied, or scattered, has a part in; None for n_outputs
    """
    if window.ksize != (3, 3) or window.stride != (1, 1):
        return False
    N, C, *size = x_shape
    height, width = window.output_size(size)
    n_tiles = N * ((height + 1) // 2) * ((width + 1) // 2)
    cost_of_tile = 1 + _COST_OF_TILES / n_outputs + _COST_OF_PRODUCTS / C
    cost_of_patch = 1 + _COST_OF_PATCHES / (n_uses or n_outputs)
    return 16 * (n_tiles * cost_of_tile + _COST_OF_FILTERS) < 9 * N * height * width * cost_of_patch


def has_all_taps(W):
    """Whether no tap is zero in all filters (O, C, 3, 3), as two are on the hexagonal grid.

    What only these see adds nothing to an output; here it would add its rounding errors. The first output tells.
    """
    return bool(W[0].any(axis=0).all())


def filters(W):
    """W (O, C, 3, 3) as correlate takes it: transformed, (16, C, O)."""
    O, C = W.shape[:2]
    return np.matmul(_GG.astype(W.dtype), W.swapaxes(0, 1).reshape(-1, 9).T).reshape(16, C, O)


def correlate(x, filters, window, y):
    """Write the correlation of x (N, C, H, W) with the filters to y (N, O, H', W')."""
    O = filters.shape[2]
    for at, (n, r, c), tiles in _blocks_of_tiles(x, window, y.shape):
        products = np.matmul(tiles, filters).reshape(4, 4, n, r, c, O)
        of_rows = np.empty((2, 4, n, r, c, O), y.dtype)
        outputs = np.empty((n, r, 2, c, 2, O), y.dtype)
        _collect(products, of_rows)
        _collect(of_rows.swapaxes(0, 1), outputs.transpose(4, 2, 0, 1, 3, 5))
        target = y[at]
        _, _, height, width = target.shape
        target[...] = outputs.reshape(n, 2 * r, 2 * c, O)[:, :height, :width].transpose(0, 3, 1, 2)


def filter_gradient(x, gy, window):
    """The gradient (O, C, 3, 3) of the filters, of x (N, C, H, W) and gy (N, O, H', W')."""
    O, C = gy.shape[1], x.shape[1]
    total = np.zeros((16, O, C), x.dtype)
    product = np.empty_like(total)
    for at, (n, r, c), tiles in _blocks_of_tiles(x, window, gy.shape):
        gradients = np.zeros((n, 2 * r, 2 * c, O), gy.dtype)
        of_rows = np.empty((4, n, r, c, 2, O), gy.dtype)
        products = np.empty((4, 4, n, r, c, O), gy.dtype)
        _, _, height, width = gy[at].shape
        gradients[:, :height, :width] = gy[at].transpose(0, 2, 3, 1)
        _distribute(gradients.reshape(n, r, 2, c, 2, O).transpose(2, 0, 1, 3, 4, 5), of_rows)
        _distribute(of_rows.transpose(4, 0, 1, 2, 3, 5), products.swapaxes(0, 1))
        total += np.matmul(products.reshape(16, -1, O).transpose(0, 2, 1), tiles, out=product)
    return np.matmul(total.reshape(16, -1).T, _GG.astype(x.dtype)).reshape(O, C, 3, 3)


def _blocks_of_tiles(x, window, y_shape):
    """Of each block: where in y it is, its tiles (images, rows, columns), and the transformed input (16, tiles, C)."""
    N, C, H, W = x.shape
    if not N:
        return
    (up, left), (down, right), O = window.before, window.after, y_shape[1]
    n_rows, n_columns = ((side + 1) // 2 for side in y_shape[2:])
    # With more tiles than outputs, OpenBLAS gives each of its threads a share of both.
    image_blocks, row_blocks = blocks(N, n_rows, n_columns, 16 * (C + O), O + 1)
    # With channels last, all that follows runs along them. Sides that are odd get a row more of padding.
    sides = (max(up + H + down, 2 * n_rows + 2), max(left + W + right, 2 * n_columns + 2))
    padded = np.zeros((image_blocks[0].stop, *sides, C), x.dtype)
    for images in image_blocks:
        n = images.stop - images.start
        padded[:n, up : up + H, left : left + W] = x[images].transpose(0, 2, 3, 1)
        for rows in row_blocks:
            r = rows.stop - rows.start
            of_rows = np.empty((4, n, r, sides[1], C), x.dtype)
            tiles = np.empty((4, 4, n, r, n_columns, C), x.dtype)
            seen = padded[:n, 2 * rows.start :]
            _spread([seen[:, i : i + 2 * r : 2] for i in range(4)], of_rows)
            _spread([of_rows[:, :, :, j : j + 2 * n_columns : 2] for j in range(4)], tiles.swapaxes(0, 1))
            at = (images, slice(None), slice(2 * rows.start, 2 * rows.stop))
            yield at, (n, r, n_columns), tiles.reshape(16, -1, C)


def _spread(x, out):
    """B^T: four to four."""
    np.subtract(x[0], x[2], out=out[0])
    np.add(x[1], x[2], out=out[1])
    np.subtract(x[2], x[1], out=out[2])
    np.subtract(x[3], x[1], out=out[3])


def _collect(m, out):
    """A^T: four to two."""
    np.add(m[0], m[1], out=out[0])
    np.add(out[0], m[2], out=out[0])
    np.subtract(m[1], m[2], out=out[1])
    np.add(out[1], m[3], out=out[1])


def _distribute(y, out):
    """A: two to four."""
    out[0] = y[0]
    np.add(y[0], y[1], out=out[1])
    np.subtract(y[0], y[1], out=out[2])
    out[3] = y[1]
