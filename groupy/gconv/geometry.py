"""Shapes of layers: sides, output sizes, which sizes keep equivariance, and what to say when they do not fit.

Both frameworks' layers take their argument checks from here, so that they say the same.
"""

import operator
import warnings
from dataclasses import dataclass
from functools import lru_cache

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


def as_sides(layer, name, value, ndim, minimum):
    """One integer, or one for each axis, as a tuple of ndim ints.

    Raises TypeError or ValueError, naming layer and argument.
    """
    values = tuple(value) if isinstance(value, (tuple, list, np.ndarray)) else (value,) * ndim
    many = {2: "a pair", 3: "a triple"}[ndim]
    try:
        sides = tuple(operator.index(v) for v in values)
    except TypeError:
        raise TypeError(f"{layer}: {name} must be an integer or {many} of integers, got {value!r}.") from None
    if len(sides) != ndim or min(sides) < minimum:
        raise ValueError(f"{layer}: {name} must be an integer or {many}, each at least {minimum}; got {value!r}.")
    return sides


def check_channels(layer, name, channels):
    """channels as a positive int. Raises TypeError or ValueError, naming layer and argument."""
    try:
        channels = operator.index(channels)
    except TypeError:
        raise TypeError(f"{layer}: {name} must be an integer, got {channels!r}.") from None
    if channels < 1:
        raise ValueError(f"{layer}: {name} must be at least 1, got {channels}.")
    return channels


def check_mask(layer, mask, out_channels, in_channels, input_stabilizer_size):
    """Raises ValueError unless the filter mask has an entry for each (output, input, stabilizer element)."""
    expected = (out_channels, in_channels, input_stabilizer_size)
    if tuple(np.shape(mask)) != expected:
        raise ValueError(
            f"{layer}: filter_mask must have shape (out_channels, in_channels, S_in) = {expected}, "
            f"got {tuple(np.shape(mask))}."
        )


def channels_of(layer, shape, input_stabilizer_size, ndim=2):
    """The number of channels I of an input (N, I, S_in, H, W) or (N, I * S_in, H, W), in 3-D (..., D, H, W).

    Raises ValueError if the shape is of neither form.
    """
    S = input_stabilizer_size
    if len(shape) == 3 + ndim and shape[2] == S and shape[1]:
        return shape[1]
    if len(shape) == 2 + ndim and shape[1] and shape[1] % S == 0:
        return shape[1] // S
    grid = ", ".join(_LETTERS[-ndim:])
    raise ValueError(f"{layer}: x must have shape (N, I, {S}, {grid}) or (N, I * {S}, {grid}), got {tuple(shape)}.")


def check_input(layer, shape, dtype_kind, in_channels, input_stabilizer_size, ndim=2):
    """Check a layer's input: (N, I, S_in, H, W), or its channels folded, (N, I * S_in, H, W); in 3-D (..., D, H, W).

    dtype_kind: NumPy's letter, 'f' for floating point
    Raises TypeError for numbers that are not real floating point; ValueError for a shape that does not fit.
    """
    if dtype_kind != "f":
        got = {"c": "complex numbers", "i": "integers", "u": "integers", "b": "booleans"}.get(dtype_kind, "other data")
        raise TypeError(
            f"{layer}: x must hold real floating-point numbers, got {got}. Convert it first, as to float32."
        )
    S, folded, full = input_stabilizer_size, in_channels * input_stabilizer_size, 3 + ndim
    if len(shape) == full and tuple(shape[1:3]) == (in_channels, S):
        return
    if len(shape) == full - 1 and shape[1] == folded:
        return
    grid = ", ".join(_LETTERS[-ndim:])
    expected = f"(N, {in_channels}, {S}, {grid}) or (N, {folded}, {grid})"
    if len(shape) == full and shape[1] == in_channels:
        reason = f"the stabilizer axis has length {shape[2]}, not {S}"
    elif len(shape) in (full - 1, full):
        reason = f"{shape[1]} channels where the layer has in_channels={in_channels}" + (f", S_in={S}" if S > 1 else "")
    else:
        reason = f"{len(shape)} axes"
    raise ValueError(f"{layer}: x must have shape {expected}, got {tuple(shape)}: {reason}.")


_LETTERS = ("D", "H", "W")
_AXES = ("depth", "height", "width")


@lru_cache(maxsize=256)
def grid_support(stabilizer, size):
    """The cells of a feature map that the stabilizer maps onto each other: booleans of shape `size`; None if all are.

    On the hexagonal grid, in axial coordinates, they are the hexagon in a square of odd side. Other sizes
    have none (Window.equivariance_break says so); their maps are left whole. Kept, and read-only.

    size: a tuple
    """
    if stabilizer.is_orthogonal or not stabilizer.keeps_box(size) or any(size[a] % 2 == 0 for a in stabilizer.odd_axes):
        return None
    support = stabilizer.support(size)
    support.flags.writeable = False
    return support


@dataclass(frozen=True)
class Window:
    """How a kernel, or a pooling window, steps over the grid. Every field is a tuple with an entry for each axis.

    before, after: the rows of padding above and below the picture, and the columns left and right of it
    dilation: 1 along each axis if it is empty
    """

    ksize: tuple
    stride: tuple
    before: tuple
    after: tuple
    dilation: tuple = ()

    def __post_init__(self):
        object.__setattr__(self, "dilation", self.dilation or (1,) * len(self.ksize))

    @property
    def extent(self):
        """Rows and columns from the first tap to the last one, both included."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.ksize, self.dilation))

    @property
    def is_centred(self):
        """Whether there is as much padding before the picture as after it."""
        return self.before == self.after

    def output_size(self, size):
        """The size of the output for an input of this size."""
        sides = zip(size, self.before, self.after, self.extent, self.stride)
        return tuple((n + p + q - e) // s + 1 for n, p, q, e, s in sides)

    def check_size(self, layer, size):
        """Raises ValueError if the window does not fit into the padded input of size (H, W) or (D, H, W)."""
        for axis, n, p, q, extent in zip(_AXES[-len(size) :], size, self.before, self.after, self.extent):
            if n + p + q < extent:
                padding = p if p == q else f"{p} before and {q} after"
                raise ValueError(
                    f"{layer}: {axis} {n} with padding {padding} is smaller than the kernel ({extent}); it must be "
                    f"at least {max(extent - p - q, 1)}."
                )

    def equivariance_break(self, layer, size=None, stabilizer=None):
        """None if moving an input of size (H, W) or (D, H, W) moves the output, else the reason.

        What moves together must be alike: axes that the stabilizer exchanges need the same kernel, stride,
        dilation and padding; along axes that it turns round, there must be as much padding on both sides, and
        with stride s the windows must end where the padded input ends, (size + 2 * pad - extent) % s == 0.
        Otherwise the strided grid does not map onto itself. On the hexagonal grid the centre of the picture
        must be a point of the strided grid too: (size + 2 * pad - extent) % (2 * s) == 0, the same on both axes.

        Without a size: what breaks it at every size. Without a stabilizer: one that exchanges all axes.
        """
        ndim = len(self.ksize)
        exchanged = stabilizer.exchanged_axes if stabilizer else (tuple(range(ndim)),)
        reversed_axes = stabilizer.reversed_axes if stabilizer else tuple(range(ndim))
        odd_axes = stabilizer.odd_axes if stabilizer else ()
        for name, values in (("kernel", self.ksize), ("stride", self.stride), ("dilation", self.dilation)):
            for axes in exchanged:
                if len({values[a] for a in axes}) > 1:
                    return f"{layer}: {name} {values} must be the same on {_names(axes, ndim)} to keep equivariance."
        if any(self.before[a] != self.after[a] for a in reversed_axes):
            sides = "on all sides" if len(reversed_axes) == ndim else f"on both sides of {_names(reversed_axes, ndim)}"
            return (
                f"{layer}: padding {self.before} before and {self.after} after the picture breaks equivariance: it "
                f"must be the same {sides}. A kernel of odd extent with padding (extent - 1) / 2 keeps the size."
            )
        for axes in exchanged:
            if len({(self.before[a], self.after[a]) for a in axes}) > 1:
                padding = f"padding {self.before}"
                return f"{layer}: {padding} must be the same on {_names(axes, ndim)} to keep equivariance."
        if size is None:
            return None
        if len({size[a] for a in odd_axes}) > 1:
            return (
                f"{layer}: size {' x '.join(map(str, size))} breaks equivariance: only a map with as many rows as "
                "columns, in axial coordinates, holds a hexagon that turns onto itself."
            )
        for a in reversed_axes:
            period = self.stride[a] * (2 if a in odd_axes else 1)
            excess = (size[a] + self.before[a] + self.after[a] - self.extent[a]) % period
            if excess:
                return self._size_break(layer, a, size[a], period, excess)
        return None

    def _size_break(self, layer, a, n, period, excess):
        axis, s, p, extent = _AXES[-len(self.ksize) :][a], self.stride[a], self.before[a], self.extent[a]
        below, above = n - excess, n - excess + period
        works = f"{below}, {above}" if below + 2 * p >= extent and below > 0 else f"{above}"
        word = "ksize" if self.dilation[a] == 1 else "extent"
        grid, multiple = ("stride", "it") if period == s else ("hexagonal stride", f"{period}, twice the stride")
        return (
            f"{layer}: {axis} {n} breaks equivariance at {grid} {s}, since {axis} + 2 * pad - {word} = "
            f"{n + 2 * p - extent} is not a multiple of {multiple}. Nearest sizes that work: {works}."
        )


def _names(axes, ndim):
    if len(axes) == ndim == 2:
        return "both axes"
    *others, last = [_AXES[-ndim:][a] for a in axes]
    return f"{', '.join(others)} and {last}" if others else last


def padding_of(layer, name, padding, ksize, stride, dilation):
    """The padding (before, after), a tuple each, that an integer, a tuple, 'same' or 'valid' asks for.

    'same' keeps the size; where that takes an odd number of rows the last one goes after the picture,
    as in torch.nn.Conv2d and Conv3d. Raises TypeError or ValueError, naming layer and argument.
    """
    if not isinstance(padding, str):
        sides = as_sides(layer, name, padding, len(ksize), minimum=0)
        return sides, sides
    if padding == "valid":
        return (0,) * len(ksize), (0,) * len(ksize)
    if padding != "same":
        many = {2: "a pair", 3: "a triple"}[len(ksize)]
        raise ValueError(f"{layer}: {name} must be an integer, {many}, 'same' or 'valid', got {padding!r}.")
    if set(stride) != {1}:
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
