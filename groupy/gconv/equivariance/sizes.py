"""good_sizes: the input sizes at which no stride of a network breaks equivariance."""

from itertools import product

import numpy as np

# How far from the given size to look; the arithmetic repeats after the product of the strides.
FARTHEST = 64


def good_sizes(windows_at, size):
    """The input sizes (H, W) at which all strides keep equivariance: the given one, or else the nearest ones.

    windows_at: size -> [(Window, input size), ...] of all calls, or None if the network cannot take it
    What breaks at every size, as asymmetric padding, is left out of account. Empty if nothing is found.
    """

    def holds(size, axes=(0, 1)):
        windows = windows_at(size)
        return windows is not None and not any(w.excess(n)[axis] for w, n in windows for axis in axes)

    if holds(size):
        return (tuple(size),)
    strides = [max(window.stride) for window, _ in windows_at(size) or ()]
    reach = min(FARTHEST, int(np.prod(strides, initial=1)))

    def nearest(n, works):
        """n if it works, else the nearest numbers below and above that do."""
        if works(n):
            return [n]
        below, above = range(n - 1, max(n - reach, 1) - 1, -1), range(n + 1, n + reach + 1)
        found = (next(filter(works, side), None) for side in (below, above))
        return [m for m in found if m is not None]

    H, W = size
    if H == W:
        return tuple((n, n) for n in nearest(H, lambda n: holds((n, n))))
    heights = nearest(H, lambda n: holds((n, W), axes=(0,)))
    widths = nearest(W, lambda n: holds((H, n), axes=(1,)))
    return tuple(pair for pair in product(heights, widths) if holds(pair))
