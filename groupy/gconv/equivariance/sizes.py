"""good_sizes: the input sizes at which no stride of a network breaks equivariance."""

from itertools import product

import numpy as np

# How far from the given size to look; the arithmetic repeats after the product of the strides, or twice that.
FARTHEST = 64


def good_sizes(windows_at, size, stabilizer):
    """The input sizes (H, W) or (D, H, W) at which all strides keep equivariance: the given one, or the nearest ones.

    windows_at: size -> [(Window, input size), ...] of all calls, or None if the network cannot take it
    Axes that are given the same size keep the same. What breaks at every size, as asymmetric padding, is left
    out of account. Empty if nothing is found.
    """

    all_axes = range(len(size))

    def holds(size, axes=all_axes):
        windows = windows_at(size)
        return windows is not None and not any(_breaks(w, n, axes, stabilizer) for w, n in windows)

    if holds(size):
        return (tuple(size),)
    strides = [max(window.stride) for window, _ in windows_at(size) or ()]
    period = int(np.prod(strides, initial=1)) * (1 if stabilizer.is_orthogonal else 2)
    reach = min(FARTHEST, period)

    def works(n, axes):
        return holds(tuple(n if a in axes else m for a, m in enumerate(size)), axes)

    def nearest(n, axes):
        """n if it works along these axes, else the nearest numbers below and above that do."""
        if works(n, axes):
            return [n]
        below, above = range(n - 1, max(n - reach, 1) - 1, -1), range(n + 1, n + reach + 1)
        found = (next((m for m in side if works(m, axes)), None) for side in (below, above))
        return [m for m in found if m is not None]

    given = list(dict.fromkeys(size))
    choices = (nearest(n, [a for a, m in enumerate(size) if m == n]) for n in given)
    found = (dict(zip(given, chosen)) for chosen in product(*choices))
    sizes = (tuple(changed[n] for n in size) for changed in found)
    return tuple(filter(holds, sizes))


def _breaks(window, size, axes, stabilizer):
    """Whether the size breaks equivariance along these axes, and another one may not."""
    if window.equivariance_break("", None, stabilizer):
        return False
    # Along the other axes the window is made to fit just once, at which no stride breaks anything.
    sides = zip(size, window.extent, window.before, window.after)
    tried = tuple(n if a in axes else e - p - q for a, (n, e, p, q) in enumerate(sides))
    return window.equivariance_break("", tried, stabilizer) is not None
