"""Dropout of feature maps on a group, a whole fiber at a time."""

import torch.nn.functional as F
from torch import nn

from torch_gconv.feature_maps import fold, with_stabilizer_axis


class GDropout(nn.Module):
    """In training zeroes fibers, each with probability p, and scales the others by 1 / (1 - p).

    x, y: (N, C, S, H, W), or folded (N, C * S, H, W), in space with D, H, W for H, W; in evaluation y is x

    per_channel: a fiber holds all channels of a pixel; True lets the channels fall by themselves, each
        with all of its stabilizer
    stabilizer_size: S, needed with per_channel for a folded map
    ndim: the dimension of the grid, 3 for maps in space

    All elements of the stabilizer stay or fall together, so that what coset pooling puts out is either
    that of the whole fiber or zero, and the layer moves with its input as its mask does.
    Raises ValueError for a probability outside [0, 1] and an x that does not fit.
    Source: Srivastava et al. 2014 (JMLR 15), section 4.
    """

    def __init__(self, p=0.5, per_channel=False, stabilizer_size=None, ndim=2):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"GDropout: p must be a probability, between 0 and 1, got {p}.")
        self.p, self.per_channel, self.stabilizer_size, self.ndim = p, per_channel, stabilizer_size, ndim

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C, S, H, W), folded if x is."""
        if not self.training:
            return x
        if x.dim() not in (2 + self.ndim, 3 + self.ndim):
            raise ValueError(f"GDropout: x must be a map on a grid with ndim={self.ndim}, got shape {tuple(x.shape)}.")
        if self.per_channel:
            on_group = with_stabilizer_axis("GDropout", x, stabilizer_size=self.stabilizer_size, ndim=self.ndim)
            y = on_group * self._mask(on_group, on_group.shape[:2])
            return y if y.dim() == x.dim() else fold(y, self.ndim)
        return x * self._mask(x, x.shape[:1])

    def _mask(self, x, lots):
        """A value for each of `lots` and each pixel, of x's rank: 0 with probability p, else 1 / (1 - p)."""
        shape = (*lots, *(1,) * (x.dim() - self.ndim - len(lots)), *x.shape[-self.ndim :])
        return F.dropout(x.new_ones(shape), self.p)

    def extra_repr(self):
        return f"p={self.p}, per_channel={self.per_channel}" + ("" if self.ndim == 2 else f", ndim={self.ndim}")
