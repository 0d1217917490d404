"""Shapes of layers: pairs, output sizes, which sizes keep equivariance, and what to say when they do not fit.

Both frameworks' layers take their argument checks from here, so that they say the same.
"""

import operator

import numpy as np


class EquivarianceWarning(UserWarning):
    """A layer was given a size at which its output is not equivariant."""


def as_pair(layer, name, value, minimum):
    """One integer or a pair as a pair of ints. Raises TypeError or ValueError, naming layer and argument."""
    values = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value, value)
    try:
        pair = tuple(operator.index(v) for v in values)
    except TypeError:
        raise TypeError(f"{layer}: {name} must be an integer or a pair of integers, got {value!r}.") from None
    if len(pair) != 2 or min(pair) < minimum:
        raise ValueError(f"{layer}: {name} must be an integer or a pair, each at least {minimum}; got {value!r}.")
    return pair


def check_channels(layer, name, channels):
    """channels as a positive int. Raises TypeError or ValueError, naming layer and argument."""
    try:
        channels = operator.index(channels)
    except TypeError:
        raise TypeError(f"{layer}: {name} must be an integer, got {channels!r}.") from None
    if channels < 1:
        raise ValueError(f"{layer}: {name} must be at least 1, got {channels}.")
    return channels


def square_kernel(layer, name, ksize):
    """The side of a square kernel, given as one integer or a pair of equal ones; TypeError or ValueError otherwise."""
    pair = as_pair(layer, name, ksize, minimum=1)
    if pair[0] != pair[1]:
        raise ValueError(
            f"{layer}: {name} must be square, since a quarter turn maps a {pair[0]} x {pair[1]} kernel onto a "
            f"{pair[1]} x {pair[0]} one; got {ksize!r}."
        )
    return pair[0]


def check_mask(layer, mask, out_channels, in_channels, input_stabilizer_size):
    """Raises ValueError unless the filter mask has an entry for each (output, input, stabilizer element)."""
    expected = (out_channels, in_channels, input_stabilizer_size)
    if tuple(np.shape(mask)) != expected:
        raise ValueError(
            f"{layer}: filter_mask must have shape (out_channels, in_channels, S_in) = {expected}, "
            f"got {tuple(np.shape(mask))}."
        )


def channels_of(layer, shape, input_stabilizer_size):
    """The number of channels I of an input (N, I, S_in, H, W) or (N, I * S_in, H, W).

    Raises ValueError if the shape is of neither form.
    """
    S = input_stabilizer_size
    if len(shape) == 5 and shape[2] == S and shape[1]:
        return shape[1]
    if len(shape) == 4 and shape[1] and shape[1] % S == 0:
        return shape[1] // S
    raise ValueError(f"{layer}: x must have shape (N, I, {S}, H, W) or (N, I * {S}, H, W), got {tuple(shape)}.")


def check_input(layer, shape, dtype_kind, in_channels, input_stabilizer_size):
    """Check a layer's input: (N, I, S_in, H, W), or its channels folded, (N, I * S_in, H, W).

    dtype_kind: NumPy's letter, 'f' for floating point
    Raises TypeError for numbers that are not real floating point; ValueError for a shape that does not fit.
    """
    if dtype_kind != "f":
        got = {"c": "complex numbers", "i": "integers", "u": "integers", "b": "booleans"}.get(dtype_kind, "other data")
        raise TypeError(
            f"{layer}: x must hold real floating-point numbers, got {got}. Convert it first, as to float32."
        )
    S, folded = input_stabilizer_size, in_channels * input_stabilizer_size
    if len(shape) == 5 and tuple(shape[1:3]) == (in_channels, S):
        return
    if len(shape) == 4 and shape[1] == folded:
        return
    expected = f"(N, {in_channels}, {S}, H, W) or (N, {folded}, H, W)"
    if len(shape) == 5 and shape[1] == in_channels:
        reason = f"the stabilizer axis has length {shape[2]}, not {S}"
    elif len(shape) in (4, 5):
        reason = f"{shape[1]} channels where the layer has in_channels={in_channels}" + (f", S_in={S}" if S > 1 else "")
    else:
        reason = f"{len(shape)} axes"
    raise ValueError(f"{layer}: x must have shape {expected}, got {tuple(shape)}: {reason}.")


def check_size(layer, size, ksize, pad):
    """Raises ValueError if the kernel does not fit into the padded input of size (H, W)."""
    for axis, n, p in zip(("height", "width"), size, pad):
        if n + 2 * p < ksize:
            raise ValueError(
                f"{layer}: {axis} {n} with padding {p} is smaller than the kernel ({ksize}); it must be at least "
                f"{max(ksize - 2 * p, 1)}."
            )


def check_call(layer, shape, dtype_kind, in_channels, input_stabilizer_size, ksize, stride, pad):
    """Check one call of a layer: its input (check_input), then its size (check_size).

    Returns None, or why the output will not be equivariant (equivariance_break): no error, but worth a warning.
    """
    check_input(layer, shape, dtype_kind, in_channels, input_stabilizer_size)
    check_size(layer, shape[-2:], ksize, pad)
    return equivariance_break(layer, shape[-2:], ksize, stride, pad)


def equivariance_break(layer, size, ksize, stride, pad):
    """None if turning and mirroring an input of size (H, W) turns and mirrors the output, else the reason.

    With stride s the windows must end where the padded input ends, on every axis:
    (size + 2 * pad - ksize) % s == 0. Otherwise the strided grid does not map onto itself.
    """
    if stride[0] != stride[1] or pad[0] != pad[1]:
        return f"{layer}: stride {stride} and padding {pad} must be the same on both axes to keep equivariance."
    for axis, n, s, p in zip(("height", "width"), size, stride, pad):
        excess = (n + 2 * p - ksize) % s
        if excess:
            below, above = n - excess, n - excess + s
            works = f"{below}, {above}" if below + 2 * p >= ksize and below > 0 else f"{above}"
            return (
                f"{layer}: {axis} {n} breaks equivariance at stride {s}, since {axis} + 2 * pad - ksize = "
                f"{n + 2 * p - ksize} is not a multiple of it. Nearest sizes that work: {works}."
            )
    return None
