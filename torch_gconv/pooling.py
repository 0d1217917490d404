"""Pooling of feature maps on a group (N, C, S, H, W): spatial, over pixels; coset, over the stabilizer."""

import torch.nn.functional as F
from torch import nn


def plane_group_spatial_max_pooling(x, ksize, stride=None, pad=0):
    """Max pooling over pixels, for each channel and stabilizer element alike: (N, C, S, H, W) -> (N, C, S, H', W').

    Arguments as of torch.nn.functional.max_pool2d; stride is ksize if None. Equivariant where the
    windows tile the padded input exactly, (size + 2 * pad - ksize) % stride == 0.
    """
    return F.max_pool2d(x.flatten(1, 2), ksize, stride, pad).unflatten(1, x.shape[1:3])


def coset_max_pooling(x):
    """The largest value over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers.

    Where several elements share the largest value, each gets an equal part of the gradient: no
    choice among them would be equivariant.
    """
    return x.amax(dim=2)


def coset_mean_pooling(x):
    """The mean over the stabilizer: (N, C, S, H, W) -> (N, C, H, W), invariant to turns of the fibers."""
    return x.mean(dim=2)


class GMaxPool2d(nn.Module):
    """plane_group_spatial_max_pooling as a module; arguments as of torch.nn.MaxPool2d."""

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C, S, H', W')."""
        return plane_group_spatial_max_pooling(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride or self.kernel_size}, padding={self.padding}"


class CosetMaxPool(nn.Module):
    """coset_max_pooling as a module."""

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C, H, W)."""
        return coset_max_pooling(x)


class CosetMeanPool(nn.Module):
    """coset_mean_pooling as a module."""

    def forward(self, x):
        """(N, C, S, H, W) -> (N, C, H, W)."""
        return coset_mean_pooling(x)
