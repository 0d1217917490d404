"""Shapes of layers: pairs, output sizes, which sizes keep equivariance, and what to say when they do not fit.

Both frameworks' layers take their argument checks from here, so that they say the same.
"""

import operator
import warnings
from dataclasses import dataclass

import numpy as np


class EquivarianceWarning(UserWarning):
    """A layer was given a size at which its output is not equivariant."""


class EquivarianceError(ValueError):
    """The same, of a layer that is strict."""


def announce_break(layer, reason, stacklevel):
    """Say why a layer's output will not be equivariant: by EquivarianceWarning, once, or if it is strict, by raising.

    layer: has the attributes `strict` and `_warned`
    reason: what Window.equivariance_break says; None if all is well
    stacklevel: as of warnings.warn, for a caller of this function
    Raises EquivarianceError.
    """
    if reason is None:
        return
    if layer.strict:
        raise EquivarianceError(reason)
    if not layer._warned:
        layer._warned = True
        warnings.warn(reason, EquivarianceWarning, stacklevel=stacklevel + 1)


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


@dataclass(frozen=True)
class Window:
    """How a kernel, or a pooling window, steps over the grid. Every field is a pair, rows first.

    before, after: the rows of padding above and below the picture, and the columns left and right of it
    """

    ksize: tuple
    stride: tuple
    before: tuple
    after: tuple
    dilation: tuple = (1, 1)

    @property
    def extent(self):
        """Rows and columns from the first tap to the last one, both included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.ksize, self.dilation))

    @property
    def is_centred(self):
        """Whether there is as much padding before the picture as after it."""
        return self.before == self.after

    def check_size(self, layer, size):
        """Raises ValueError if the window does not fit into the padded input of size (H, W)."""
        for axis, n, p, q, extent in zip(_AXES, size, self.before, self.after, self.extent):
            if n + p + q < extent:
                padding = p if p == q else f"{p} before and {q} after"
                raise ValueError(
                    f"{layer}: {axis} {n} with padding {padding} is smaller than the kernel ({extent}); it must be "
                    f"at least {max(extent - p - q, 1)}."
                )

    def equivariance_break(self, layer, size=None):
        """None if turning and mirroring an input of size (H, W) turns and mirrors the output, else the reason.

        With stride s the windows must end where the padded input ends, on every axis:
        (size + 2 * pad - extent) % s == 0. Otherwise the strided grid does not map onto itself.
        Without a size: what breaks it at every size.
        """
        for name, (u, v) in (("kernel", self.ksize), ("stride", self.stride), ("dilation", self.dilation)):
            if u != v:
                return f"{layer}: {name} {(u, v)} must be the same on both axes to keep equivariance."
        if not self.is_centred:
            return (
                f"{layer}: padding {self.before} before and {self.after} after the picture breaks equivariance: it "
                "must be the same on all sides. A kernel of odd extent with padding (extent - 1) / 2 keeps the size."
            )
        if self.before[0] != self.before[1]:
            return f"{layer}: padding {self.before} must be the same on both axes to keep equivariance."
        for axis, n, excess in zip(_AXES, size or (), self.excess(size or ())):
            if excess:
                s, p, extent = self.stride[0], self.before[0], self.extent[0]
                below, above = n - excess, n - excess + s
                works = f"{below}, {above}" if below + 2 * p >= extent and below > 0 else f"{above}"
                return (
                    f"{layer}: {axis} {n} breaks equivariance at stride {s}, since {axis} + 2 * pad - "
                    f"{'ksize' if self.dilation == (1, 1) else 'extent'} = {n + 2 * p - extent} is not a multiple of "
                    f"it. Nearest sizes that work: {works}."
                )
        return None

    def excess(self, size):
        """For each axis, the rows or columns of the padded input that the last window does not reach."""
        return tuple(
            (n + p + q - e) % s for n, p, q, e, s in zip(size, self.before, self.after, self.extent, self.stride)
        )


_AXES = ("height", "width")


def padding_of(layer, name, padding, ksize, stride, dilation):
    """The padding (before, after), a pair each, that an integer, a pair, 'same' or 'valid' asks for.

    'same' keeps the size; where that takes an odd number of rows the last one goes after the picture,
    as in torch.nn.Conv2d. Raises TypeError or ValueError, naming layer and argument.
    """
    if not isinstance(padding, str):
        pair = as_pair(layer, name, padding, minimum=0)
        return pair, pair
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise ValueError(f"{layer}: {name} must be an integer, a pair, 'same' or 'valid', got {padding!r}.")
    if stride != (1, 1):
        raise ValueError(f"{layer}: {name}='same' needs stride 1, got {stride}: a strided output is smaller.")
    totals = [d * (k - 1) for k, d in zip(ksize, dilation)]
    return tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)


def check_groups(layer, groups, in_channels, out_channels):
    """groups as a positive int that divides both numbers of channels; TypeError or ValueError otherwise."""
    groups = check_channels(layer, "groups", groups)
    for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if channels % groups:
            raise ValueError(f"{layer}: {name}={channels} must be a multiple of groups={groups}.")
    return groups
