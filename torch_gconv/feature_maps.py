"""Feature maps on a group: with a stabilizer axis, (N, C, S, H, W), or folded into the channels, (N, C * S, H, W).

In space likewise (N, C, S, D, H, W) and (N, C * S, D, H, W). A map is in channels_last if, in memory, its
fibers lie whole, one after the other: folded it is in torch.channels_last, or in torch.channels_last_3d.
What is put out has the format of what came in, and the strides that a new tensor of this format has. The
latter matters for a batch of one: PyTorch ignores the stride of an axis of length one when it looks for a
format, and reads it in some derivatives (batch normalization's in evaluation, PyTorch 2.13).
"""

import torch

from torch_gconv.constants import runs_eagerly, static_shape


def with_stabilizer_axis(layer, x, channels=None, stabilizer_size=None, ndim=None):
    """x with its stabilizer axis, (N, C, S, H, W) or (N, C, S, D, H, W): itself, or a view of a folded map.

    channels, stabilizer_size: C and S, as far as the layer knows them; a folded map needs one of them
    ndim: the dimension of the grid if folded maps may come and C does not tell them apart: a map of five axes is one
        on the plane, (N, C, S, H, W), or a folded one in space, (N, C * S, D, H, W). None: the former if it can be
    Raises ValueError, naming the layer, if x does not fit.
    """
    shape = static_shape(x)
    known, C, S = channels or stabilizer_size, channels or shape[1], stabilizer_size or shape[2]
    any_grid = ndim is None or not known
    if x.dim() in ((5, 6) if any_grid else (3 + ndim,)) and shape[1:3] == (C, S):
        return x
    if known and x.dim() in ((4, 5) if any_grid else (2 + ndim,)) and shape[1] % known == 0:
        rest = shape[1] // known
        return unfold(x, channels or rest, stabilizer_size or rest)
    C, S, grid = channels or "C", stabilizer_size or "S", "[D, ]H, W" if any_grid else "D, H, W"[3 * (3 - ndim) :]
    advice = "" if known else " A map with folded channels needs the argument stabilizer_size."
    advice += "" if any_grid else f" The layer was made for a grid with ndim={ndim}."
    raise ValueError(
        f"{layer}: x must have shape (N, {C}, {S}, {grid}) or (N, {C} * {S}, {grid}), got {tuple(x.shape)}.{advice}"
    )


def is_channels_last(x, ndim):
    """Whether a map on a grid of ndim axes is in channels_last.

    Where both formats lie alike in memory, as with one channel, the strides tell which was asked for, as they do to
    PyTorch's convolutions.
    False under compilers, tracers and transforms of torch.func: there strides are no numbers, or not to be asked for.
    """
    if not (isinstance(x, torch.Tensor) and runs_eagerly()):
        return False
    strides, n_fiber_axes = x.stride(), x.dim() - ndim - 1
    if strides[-1] < strides[n_fiber_axes]:  # the usual case: a pixel's neighbour is nearer than its channel's
        return False
    sizes, least = x.shape, 0
    for axis in (*range(n_fiber_axes, 0, -1), *range(-1, -1 - ndim, -1), 0):
        is_odd = strides[axis] < least and not (axis == 0 and sizes[0] == 1)  # a batch of one may have any stride
        if is_odd or axis == 0 and least == strides[1]:  # the latter: one number for each N
            return False
        least = strides[axis] * max(sizes[axis], 1)
    return _fibers_last(x, ndim).is_contiguous()


def fold(x, ndim):
    """A map with or without its stabilizer axis -> (N, C * S, ...), a view if x is contiguous or in channels_last."""
    if not is_channels_last(x, ndim):
        return x.flatten(1, -1 - ndim)
    N, *fiber = x.shape[:-ndim]
    channels = fiber[0] if len(fiber) == 1 else fiber[0] * fiber[1]
    # By way of one axis: a view on one axis has the strides of a new tensor, for a batch of one too.
    return _fibers_last(x, ndim).flatten().view(N, *x.shape[-ndim:], channels).movedim(-1, 1)


def unfold(x, channels, stabilizer_size):
    """(N, C * S, ...) -> (N, C, S, ...), a view."""
    if not is_channels_last(x, x.dim() - 2):
        return x.unflatten(1, (channels, stabilizer_size))
    return x.movedim(1, -1).unflatten(-1, (channels, stabilizer_size)).movedim((-2, -1), (1, 2))


def like(y, x, ndim):
    """y in channels_last if x is; both are maps on a grid of ndim axes, with or without a stabilizer axis.

    PyTorch's own operations keep the format where there is no stabilizer axis, but not all of them in space.
    """
    if not is_channels_last(x, ndim):
        return y
    folded_axes = tuple(range(1, y.dim() - ndim))
    return _fibers_last(y, ndim).contiguous().movedim(tuple(range(-len(folded_axes), 0)), folded_axes)


def _fibers_last(x, ndim):
    """(N, C, S, ...) -> (N, ..., C, S), a view."""
    fiber = tuple(range(1, x.dim() - ndim))
    return x.movedim(fiber, tuple(range(-len(fiber), 0)))
