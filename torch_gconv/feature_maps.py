"""Feature maps on a group: with a stabilizer axis, (N, C, S, H, W), or folded into the channels, (N, C * S, H, W).

In space likewise (N, C, S, D, H, W) and (N, C * S, D, H, W).
"""

import torch

_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}  # by the axes of a folded map


def with_stabilizer_axis(layer, x, channels=None, stabilizer_size=None, ndim=None):
    """x with its stabilizer axis, (N, C, S, H, W) or (N, C, S, D, H, W): itself, or a view of a folded map.

    channels, stabilizer_size: C and S, as far as the layer knows them; a folded map needs one of them
    ndim: the dimension of the grid if folded maps may come and C does not tell them apart: a map of five axes is one
        on the plane, (N, C, S, H, W), or a folded one in space, (N, C * S, D, H, W). None: the former if it can be
    Raises ValueError, naming the layer, if x does not fit.
    """
    known, C, S = channels or stabilizer_size, channels or x.shape[1], stabilizer_size or x.shape[2]
    any_grid = ndim is None or not known
    if x.dim() in ((5, 6) if any_grid else (3 + ndim,)) and x.shape[1:3] == (C, S):
        return x
    if known and x.dim() in ((4, 5) if any_grid else (2 + ndim,)) and x.shape[1] % known == 0:
        rest = x.shape[1] // known
        return x.unflatten(1, (channels or rest, stabilizer_size or rest))
    C, S, grid = channels or "C", stabilizer_size or "S", "[D, ]H, W" if any_grid else "D, H, W"[3 * (3 - ndim) :]
    advice = "" if known else " A map with folded channels needs the argument stabilizer_size."
    advice += "" if any_grid else f" The layer was made for a grid with ndim={ndim}."
    raise ValueError(
        f"{layer}: x must have shape (N, {C}, {S}, {grid}) or (N, {C} * {S}, {grid}), got {tuple(x.shape)}.{advice}"
    )


def is_channels_last(on_group):
    """Whether a map's channels, with the stabilizer, lie next to each other in memory, and not its pixels.

    on_group: with its stabilizer axis
    """
    folded = on_group.flatten(1, 2)
    return not folded.is_contiguous() and folded.is_contiguous(memory_format=_CHANNELS_LAST[folded.dim()])


def like(y, on_group):
    """y in channels_last if on_group, a map of its shape, is: the format goes on through a network as in PyTorch's."""
    if torch.compiler.is_compiling() or not is_channels_last(on_group):
        return y
    folded = y.flatten(1, 2)
    return folded.contiguous(memory_format=_CHANNELS_LAST[folded.dim()]).view(y.shape)
