"""The reference G-convolution: float64, straight from the definition over group elements.

    y[n, o, h, p] = b[o] + sum over i, g, t of  w[o, i, h^-1 g, R_h^-1 t] * x[n, i, g, p + t]

with the sum over g and the factor h^-1 g absent where x lives on the grid. Group elements are
GArrays, composed, inverted and applied to points as such; no index table is used. Slow and
obvious: every (h, g, t) is visited in a loop.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), equations 10 and 11.
"""

from functools import cache
from itertools import product

import numpy as np

from groupy.garray.Z2_array import Z2Array


def gconv(x, w, b, group, stride=1, pad=0):
    """The feature map of a lifting or group convolution.

    x: (N, I, S_in, H, W); w: (O, I, S_in, k, k); b: (O,) or None
    group: FiniteGroup of S_out elements; S_in is 1 or S_out
    stride, pad: one integer, or a pair (u, v)
    Returns y: float64 (N, O, S_out, H', W').
    """
    x, w, stride, pad, y_shape = _prepare(x, w, group, stride, pad)
    y = np.zeros(y_shape)
    for h, g, window, source in _terms(group, w.shape, stride, y_shape):
        y[:, :, h] += np.einsum("oi,niuv->nouv", w[(..., *source)], x[(slice(None), slice(None), g, *window)])
    return y if b is None else y + np.asarray(b, dtype=np.float64)[:, None, None, None]


def gconv_gradients(x, w, gy, group, stride=1, pad=0):
    """The gradients of sum(gconv(...) * gy): gx, gw, gb in float64, with the shapes of x, w and b."""
    unpadded = np.shape(x)
    x, w, stride, pad, y_shape = _prepare(x, w, group, stride, pad)
    gy = np.asarray(gy, dtype=np.float64)
    if gy.shape != y_shape:
        raise ValueError(f"gy must have the shape of the output, {y_shape}, got {gy.shape}.")
    gx, gw = np.zeros_like(x), np.zeros_like(w)
    for h, g, window, source in _terms(group, w.shape, stride, y_shape):
        at = (slice(None), slice(None), g, *window)
        gx[at] += np.einsum("oi,nouv->niuv", w[(..., *source)], gy[:, :, h])
        gw[(..., *source)] += np.einsum("nouv,niuv->oi", gy[:, :, h], x[at])
    inside = tuple(slice(p, p + n) for p, n in zip(pad, unpadded[-2:]))
    return gx[(..., *inside)], gw, gy.sum(axis=(0, 2, 3, 4))


def _prepare(x, w, group, stride, pad):
    x, w = np.asarray(x, dtype=np.float64), np.asarray(w, dtype=np.float64)
    if x.ndim != 5 or w.ndim != 5 or x.shape[1:3] != w.shape[1:3] or w.shape[2] not in (1, group.size):
        raise ValueError(
            f"x must be (N, I, S_in, H, W) and w (O, I, S_in, k, k) with S_in 1 or {group.size}; "
            f"got {x.shape} and {w.shape}."
        )
    stride, pad = (tuple(pair) if np.ndim(pair) else (pair, pair) for pair in (stride, pad))
    x = np.pad(x, [(0, 0)] * 3 + [(p, p) for p in pad])
    size = tuple((n - w.shape[-1]) // s + 1 for n, s in zip(x.shape[-2:], stride))
    if min(size) < 1:
        raise ValueError(f"a {w.shape[-1]} x {w.shape[-1]} kernel does not fit the padded input {x.shape[-2:]}.")
    return x, w, stride, pad, (x.shape[0], w.shape[0], group.size) + size


def _terms(group, w_shape, stride, y_shape):
    """Each (h, g, t) of the sum: h, g, the window x[p + t] over all p, the cell (h^-1 g, R_h^-1 t) of w."""
    for h, g, tap, source in _orbit(group, w_shape[2], w_shape[-1]):
        window = tuple(slice(t, t + s * n, s) for t, s, n in zip(tap, stride, y_shape[-2:]))
        yield h, g, window, source


@cache
def _orbit(group, input_stabilizer_size, ksize):
    # The centre of the kernel is the origin. Twice the distance from it is an integer for even sizes too.
    centre = ksize - 1
    taps = list(product(range(ksize), repeat=2))
    points = Z2Array(2 * np.array(taps) - centre)
    terms = []
    for h in range(group.size):
        back = group[h].inv()
        elements = [0] if input_stabilizer_size == 1 else [_position(group, back * g) for g in group]
        cells = ((back * points).data + centre) // 2
        for g, element in enumerate(elements):
            terms += [(h, g, tap, (element, int(u), int(v))) for tap, (u, v) in zip(taps, cells)]
    return tuple(terms)


def _position(group, element):
    return next(i for i, g in enumerate(group) if g == element)


def transform_filters(w, group):
    """The filter orbits: tw[o, h, i, g, t] = w[o, i, h^-1 g, R_h^-1 t], bit for bit.

    w: (O, I, S_in, k, k), any dtype; returns (O, S_out, I, S_in, k, k) of that dtype.
    """
    transformed = np.empty((w.shape[0], group.size) + w.shape[1:], dtype=w.dtype)
    for h, g, tap, source in _orbit(group, w.shape[2], w.shape[-1]):
        transformed[(slice(None), h, slice(None), g, *tap)] = w[(..., *source)]
    return transformed


def left_translate(x, group, h):
    """L_h x, a feature map moved by an element of the stabilizer: (L_h x)[g, p] = x[h^-1 g, R_h^-1 p].

    x: (..., S, H, W), S = 1 (on the grid) or the group's order; h: one element, a GArray
    The centre of the picture is the origin; a quarter turn makes it (..., S, W, H).
    """
    H, W = x.shape[-2:]
    back = h.inv()
    turned = [int(n) for n in np.abs(h.reparameterize("mat").data) @ (H, W)]
    # Twice the distance from the centre is an integer for even sizes too.
    points = 2 * np.indices(turned) - np.reshape([n - 1 for n in turned], (2, 1, 1))
    sources = ((back * Z2Array(np.moveaxis(points, 0, -1))).data + (H - 1, W - 1)) // 2
    moved = x[..., sources[..., 0], sources[..., 1]]
    if x.shape[-3] == 1:
        return moved
    return moved[..., [_position(group, back * g) for g in group], :, :]
