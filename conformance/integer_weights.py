"""Weights that keep a deep network exact: then two correct ways to compute it agree bit for bit.

Each output of a convolution is a sum of few inputs with the factors 1 and -1, so magnitudes grow
slowly: by at most `taps` in a layer, 1 + taps^2 in a residual block. Float64 holds 53 bits, enough
for 22 residual blocks of one tap, or 13 layers of 8. Batch normalization multiplies by
1 / sqrt(var + eps) = 1.
"""

import numpy as np


def integer_weights(shapes, eps, rng, taps=1):
    """Values for a network's parameters and running statistics, float64: {name: shape} -> {name: array}.

    A name's last part, after a dot, says what it is, as in PyTorch: weight, bias, running_mean or
    running_var. A weight with one axis is the factor of a batch normalization.

    eps: of the batch normalizations
    taps: the number of inputs, at most, that an output of a convolution reads
    """
    return {name: _KINDS[name.rsplit(".")[-1]](shape, eps, rng, taps) for name, shape in shapes.items()}


def _weight(shape, eps, rng, taps):
    if len(shape) == 1:
        return rng.choice([-1.0, 1.0], shape)
    if len(shape) == 2:  # a dense layer is the last one: its sums do not multiply with others
        return rng.integers(-2, 3, shape).astype(float)
    filters = np.zeros((shape[0], int(np.prod(shape[1:]))))
    for w in filters:
        w[rng.integers(0, w.size, taps)] = rng.choice([-1, 1], taps)
    return filters.reshape(shape)


def _shift(shape, eps, rng, taps):
    return rng.integers(-1, 2, shape).astype(float)


def _variance(shape, eps, rng, taps):
    # In float64 (1 - eps) + eps is 1: what the first rounding takes away is at most half of 1's last place.
    return np.full(shape, 1 - eps)


_KINDS = {"weight": _weight, "bias": _shift, "running_mean": _shift, "running_var": _variance}
