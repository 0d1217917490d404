"""Convolution of NumPy arrays by patches: what the kernel sees at each point is copied to a column of a matrix.

    y = W @ patches(x),  gx = scatter(W^T @ gy),  gW = gy @ patches(x)^T
for each image, where W is (O, C * taps), patches(x) (C * taps, H' * W'), and scatter, the adjoint of patches, adds
what was copied. Any kernel, stride and padding, in any dimension: (H, W) stands for all axes of the grid. All
arrays of a call are contiguous and of one dtype.
"""

import numpy as np

from chainer_gconv.blocks import blocks

_LEAST_POINTS = 200  # of a block: with fewer, multiplication waits for the filters to be read


def filters(W):
    """W (O, C, k, k') as correlate takes it."""
    return W.reshape(len(W), -1)


def correlate(x, filters, window, y):
    """Write the correlation of x (N, C, H, W) with the filters to y (N, O, H', W')."""
    for images, rows, patches in _blocks_of_patches(x, window):
        np.matmul(filters, patches, out=_columns(y[images, :, rows]))


def filter_gradient(x, gy, window):
    """The gradient (O, C, k, k') of the filters, of x (N, C, H, W) and gy (N, O, H', W')."""
    gW = np.zeros((gy.shape[1], x.shape[1], *window.ksize), x.dtype)
    total = gW.reshape(len(gW), -1)
    product = np.empty_like(total)
    for images, rows, patches in _blocks_of_patches(x, window):
        for image, columns in zip(_columns(gy[images, :, rows]), patches):
            total += np.matmul(image, columns.T, out=product)
    return gW


def input_gradient(gy, W, window, gx):
    """Write the gradient of the input to gx (N, C, H, W), of gy (N, O, H', W') and W (O, C, k, k')."""
    N, C, *size = gx.shape
    if not N:
        return
    transposed = filters(W).T
    points = gy.shape[2:]
    image_blocks, row_blocks = blocks(N, points[0], int(np.prod(points[1:])), len(transposed), _LEAST_POINTS)
    padded, inside = _padded(image_blocks[0].stop, C, size, window, gx.dtype)
    for images in image_blocks:
        block = padded[: images.stop - images.start]
        block[...] = 0
        for rows in row_blocks:
            windows = _windows(block, window, points)[_at_rows(window, rows)]
            spread = np.matmul(transposed, _columns(gy[images, :, rows])).reshape(windows.shape)
            for tap in np.ndindex(*window.ksize):
                windows[(slice(None), slice(None), *tap)] += spread[(slice(None), slice(None), *tap)]
        gx[images] = block[inside]


def _blocks_of_patches(x, window):
    """(images, rows of the output, patches (n, C * taps, points)) of each block."""
    N, C, *size = x.shape
    if not N:
        return
    points = window.output_size(size)
    n_cells = C * int(np.prod(window.ksize))
    image_blocks, row_blocks = blocks(N, points[0], int(np.prod(points[1:])), n_cells, _LEAST_POINTS)
    if any(window.before):
        padded, inside = _padded(image_blocks[0].stop, C, size, window, x.dtype)
    for images in image_blocks:
        block = x[images]
        if any(window.before):
            padded[: len(block)][inside] = block
            block = padded[: len(block)]
        windows = _windows(block, window, points)
        for rows in row_blocks:
            # A copy, but for kernels of one tap at stride 1: reshape gives a view where it can.
            yield images, rows, windows[_at_rows(window, rows)].reshape(len(block), n_cells, -1)


def _padded(n_images, n_channels, size, window, dtype):
    """Zeros for that many padded images, and the index of what is not padding."""
    sides = (before + n + after for n, before, after in zip(size, window.before, window.after))
    inside = (..., *(slice(before, before + n) for n, before in zip(size, window.before)))
    return np.zeros((n_images, n_channels, *sides), dtype), inside


def _windows(padded, window, points):
    """What each tap sees at each point, a view (n, C, k, k', H', W') of padded images."""
    of_image, of_channel, *along = padded.strides
    steps = (s * bytes_ for s, bytes_ in zip(window.stride, along))
    shape = (*padded.shape[:2], *window.ksize, *points)
    return np.ndarray(shape, padded.dtype, padded, strides=(of_image, of_channel, *along, *steps))


def _at_rows(window, rows):
    return (*(slice(None),) * (2 + len(window.ksize)), rows)


def _columns(y):
    """Rows of images (n, O, r, W') as matrices (n, O, r * W'), a view."""
    return y.reshape(*y.shape[:2], -1)
