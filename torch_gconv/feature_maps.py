"""Feature maps on a group: with a stabilizer axis, (N, C, S, H, W), or folded into the channels, (N, C * S, H, W)."""

import torch


def with_stabilizer_axis(layer, x, channels=None, stabilizer_size=None):
    """x as (N, C, S, H, W): itself, or a view of a folded (N, C * S, H, W).

    channels, stabilizer_size: C and S, as far as the layer knows them; a folded map needs one of them
    Raises ValueError, naming the layer, if x does not fit.
    """
    known = channels or stabilizer_size
    if x.dim() == 5 and x.shape[1] == (channels or x.shape[1]) and x.shape[2] == (stabilizer_size or x.shape[2]):
        return x
    if x.dim() == 4 and known:
        C, S = channels or x.shape[1] // known, stabilizer_size or x.shape[1] // known
        if C * S == x.shape[1]:
            return x.unflatten(1, (C, S))
    C, S = channels or "C", stabilizer_size or "S"
    advice = " A map with folded channels needs the argument stabilizer_size." if x.dim() == 4 and not known else ""
    raise ValueError(
        f"{layer}: x must have shape (N, {C}, {S}, H, W) or (N, {C} * {S}, H, W), got {tuple(x.shape)}.{advice}"
    )


def is_channels_last(x):
    """Whether a map's channels, with the stabilizer, lie next to each other in memory, and not its pixels."""
    folded = x.flatten(1, -3)
    return not folded.is_contiguous() and folded.is_contiguous(memory_format=torch.channels_last)


def like(y, x):
    """y, a map of x's shape, in channels_last if x is: the format goes on through a network as it does in PyTorch's."""
    if torch.compiler.is_compiling() or not is_channels_last(x):
        return y
    return y.flatten(1, -3).contiguous(memory_format=torch.channels_last).view(x.shape)
