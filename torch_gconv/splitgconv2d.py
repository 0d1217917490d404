"""SplitGConv2D: the group convolution of split plane groups, in PyTorch.

A group is split if each of its elements is a translation times an element of the stabilizer H
of the origin. For each h in H the group convolution is the planar correlation of the input with
the filter transformed by h. So a layer is an index table, which makes all transformed filters at
once, and one ordinary convolution.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from groupy.gconv import geometry
from groupy.gconv.layer_specs import LayerSpec
from torch_gconv.transform_filter import transform_filter


class SplitGConv2D(nn.Module):
    """Group convolution over a split plane group; a subclass names its LayerSpec as `spec`.

    x: (N, I, S_in, H, W), or with channels folded, (N, I * S_in, H, W); the weight's dtype
    weight: (O, I, S_in, k, k); bias: (O,), one for each output channel, shared over the stabilizer
    y: (N, O, S_out, H', W'), or (N, O * S_out, H', W') if flat_channels

    kernel_size: the side of the square kernel, odd or even
    stride, padding: an integer or a pair (u, v)
    filter_mask: (O, I, S_in), multiplied into weight; zeros restrict the filters' support on the group
    The others as torch.nn.Conv2d's; the initialization is too, and its fan-in counts the stabilizer.

    Raises TypeError or ValueError, naming the argument, if one does not fit. An input size that
    breaks equivariance at the given stride is warned of once (EquivarianceWarning).
    """

    spec: LayerSpec

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        *,
        bias=True,
        filter_mask=None,
        flat_channels=False,
        device=None,
        dtype=None,
        strict=False,
    ):
        super().__init__()
        layer = type(self).__name__
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"{layer}: dtype must be a real floating-point type, got {dtype}.")
        self.in_channels = geometry.check_channels(layer, "in_channels", in_channels)
        self.out_channels = geometry.check_channels(layer, "out_channels", out_channels)
        self.kernel_size = geometry.square_kernel(layer, "kernel_size", kernel_size)
        self.stride = geometry.as_pair(layer, "stride", stride, minimum=1)
        self.padding = geometry.as_pair(layer, "padding", padding, minimum=0)
        self.flat_channels = flat_channels
        self.strict = strict
        self._warned = False

        shape = (self.out_channels, self.in_channels, self.input_stabilizer_size, self.kernel_size, self.kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(self.out_channels, device=device, dtype=dtype)) if bias else None
        if filter_mask is not None:
            geometry.check_mask(layer, filter_mask, *shape[:3])
            filter_mask = torch.as_tensor(filter_mask, device=device, dtype=self.weight.dtype)[..., None, None]
        self.register_buffer("filter_mask", filter_mask)
        # Derived from the kernel size, so not part of the state.
        transformation = self.spec.transformation(self.kernel_size)
        for name in ("folded_gather", "folded_inverse"):
            table = torch.as_tensor(getattr(transformation, name)(self.in_channels), device=device)
            self.register_buffer(f"_{name}", table, persistent=False)
        self.reset_parameters()

    @property
    def input_stabilizer_size(self):
        """S_in: 1 for a lifting convolution, else S_out."""
        return self.spec.input_stabilizer_size

    @property
    def output_stabilizer_size(self):
        """S_out: the order of the stabilizer."""
        return self.spec.output_stabilizer_size

    def reset_parameters(self):
        """Draw weight and bias uniformly within 1 / sqrt(I * S_in * k * k), as torch.nn.Conv2d does."""
        bound = 1 / math.sqrt(self.weight[0].numel())
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def folded_filters(self):
        """The transformed filters, (O * S_out, I * S_in, k, k): the weight of the planar convolution."""
        weight = self.weight if self.filter_mask is None else self.weight * self.filter_mask
        return transform_filter(weight, self._folded_gather, self._folded_inverse, self.output_stabilizer_size)

    def forward(self, x):
        """x: (N, I, S_in, H, W) or (N, I * S_in, H, W) -> y: (N, O, S_out, H', W'), folded if flat_channels."""
        self._check(x)
        S_out = self.output_stabilizer_size
        x = x.reshape(x.shape[0], self.in_channels * self.input_stabilizer_size, *x.shape[-2:])
        bias = None if self.bias is None else self.bias[:, None].expand(-1, S_out).reshape(-1)
        y = F.conv2d(x, self.folded_filters(), bias, self.stride, self.padding)
        if self.flat_channels:
            return y
        return y.unflatten(1, (self.out_channels, S_out))

    @property
    def window(self):
        """How the kernel steps over the grid."""
        return geometry.Window((self.kernel_size,) * 2, self.stride, self.padding, self.padding)

    def _check(self, x):
        layer = type(self).__name__
        kind = "f" if x.is_floating_point() else "c" if x.is_complex() else "i"
        geometry.check_input(layer, x.shape, kind, self.in_channels, self.input_stabilizer_size)
        self.window.check_size(layer, x.shape[-2:])
        geometry.announce_break(self, self.window.equivariance_break(layer, x.shape[-2:]), stacklevel=5)

    def extra_repr(self):
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding != (0, 0):
            parts.append(f"padding={self.padding}")
        if self.bias is None:
            parts.append("bias=False")
        if self.filter_mask is not None:
            parts.append("filter_mask=...")
        if self.flat_channels:
            parts.append("flat_channels=True")
        return ", ".join(parts)
