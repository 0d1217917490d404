"""SplitGConv: the group convolution of split groups, in PyTorch; on the plane and in space.

A group is split if each of its elements is a translation times an element of the stabilizer H
of the origin. For each h in H the group convolution is the correlation of the input with the
filter transformed by h. So a layer is an index table, which makes all transformed filters at
once, and one ordinary convolution.

On the hexagonal grid a filter is a hexagon in a square of taps, and a feature map one in a square
of points: what lies outside is multiplied by zero, in the filters and in the output.
Sources: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7; HexaConv paper (Hoogeboom
et al. 2018, arXiv:1803.02108), section 4.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from groupy.gconv import geometry, initialization
from groupy.gconv.layer_specs import LayerSpec
from torch_gconv import memory_format
from torch_gconv.hexagonal import grid_points
from torch_gconv.kept_filters import KeptFilters, may_be_kept, runs_eagerly
from torch_gconv.transform_filter import transform_filter

# The padding modes of nn.Conv2d and nn.Conv3d, and what torch.nn.functional.pad calls them.
_PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}

_CONVOLUTIONS = {2: F.conv2d, 3: F.conv3d}

# How groupy.gconv.initialization's distributions are drawn into a parameter.
_DRAW = {
    "normal": lambda parameter, scale: nn.init.normal_(parameter, 0, scale),
    "uniform": lambda parameter, scale: nn.init.uniform_(parameter, -scale, scale),
    "zero": lambda parameter, scale: nn.init.zeros_(parameter),
}


class SplitGConv(nn.Module):
    """Group convolution over a split group; SplitGConv2D and SplitGConv3D give the shapes.

    kernel_size: one integer, or one for each axis where the group maps such a kernel onto itself; odd or even
    stride, dilation: one integer, or one for each axis, (u, v) or (u, v, w)
    padding: likewise, or 'valid' or 'same'; 'same' with an even kernel is not symmetric, so not equivariant
    groups: the channels are split into so many parts, which do not see each other
    filter_mask: (O, I / groups, S_in), multiplied into weight; zeros restrict the filters' support on the group
    strict: True to raise EquivarianceError for an input size that breaks equivariance
    output_mask: booleans of the output's size, multiplied into y; True for the hexagon of a hexagonal map,
        an odd square, and for nothing on other grids and at other sizes; False for nothing at all
    The others as torch.nn.Conv2d's. Initial weights: see reset_parameters. Those of a hexagonal kernel outside the
    hexagon are zero, have no effect and get no gradient.

    Raises TypeError or ValueError, naming the argument, if one does not fit. An input size that
    breaks equivariance at the given stride is warned of once (EquivarianceWarning), but not under
    torch.compile and torch.export, where sizes may be symbols.

    In evaluation on the CPU the transformed filters are kept for as long as the weight's values stay
    what they were; see KeptFilters. On the CPU y's strides may be those of torch.channels_last; see
    torch_gconv.memory_format.
    """

    spec: LayerSpec

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
        *,
        filter_mask=None,
        flat_channels=False,
        strict=False,
        output_mask=True,
    ):
        super().__init__()
        layer, ndim = type(self).__name__, self.spec.ndim
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"{layer}: dtype must be a real floating-point type, got {dtype}.")
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"{layer}: padding_mode must be one of {', '.join(_PADDING_MODES)}, got {padding_mode!r}.")
        self.input_stabilizer_size = self.spec.input_stabilizer_size
        self.output_stabilizer_size = self.spec.output_stabilizer_size
        self.in_channels = geometry.check_channels(layer, "in_channels", in_channels)
        self.out_channels = geometry.check_channels(layer, "out_channels", out_channels)
        self.kernel_size = self.spec.kernel(layer, "kernel_size", kernel_size)
        self.stride = geometry.as_sides(layer, "stride", stride, ndim, minimum=1)
        is_word = isinstance(padding, str)
        self.padding = padding if is_word else geometry.as_sides(layer, "padding", padding, ndim, minimum=0)
        self.dilation = geometry.as_sides(layer, "dilation", dilation, ndim, minimum=1)
        self.groups = geometry.check_groups(layer, groups, self.in_channels, self.out_channels)
        self.padding_mode = padding_mode
        self.flat_channels = flat_channels
        self.strict = strict
        self._warned = False
        # What the last call was checked for: in small layers the checks take as long as the convolution.
        self._window = None
        self._checked_call = None
        self._kept = KeptFilters()
        self.window  # noqa: B018 - refuses a padding that does not exist

        I, S_in = self.in_channels // self.groups, self.input_stabilizer_size
        shape = (self.out_channels, I, S_in, *self.kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(self.out_channels, device=device, dtype=dtype)) if bias else None
        if filter_mask is not None:
            geometry.check_mask(layer, filter_mask, *shape[:3])
            filter_mask = torch.as_tensor(filter_mask, device=device, dtype=self.weight.dtype)
            filter_mask = filter_mask.reshape(*shape[:3], *(1,) * ndim)
        self.register_buffer("filter_mask", filter_mask)
        self._oblique_rows = self.spec.stabilizer.oblique_rows
        if isinstance(output_mask, bool):
            self.output_mask = output_mask
        else:
            self.register_buffer("output_mask", _as_mask(layer, output_mask, ndim, device))
        self._place_tables()
        self.reset_parameters()

    @property
    def window(self):
        """How the kernel steps over the grid, a groupy.gconv.geometry.Window."""
        settings = (self.kernel_size, self.stride, self.padding, self.dilation)
        if self._window is None or self._window[0] != settings:
            self._window = settings, self._make_window(*settings)
        return self._window[1]

    def _make_window(self, kernel_size, stride, padding, dilation):
        before, after = geometry.padding_of(type(self).__name__, "padding", padding, kernel_size, stride, dilation)
        return geometry.Window(kernel_size, stride, before, after, dilation)

    def reset_parameters(self, init=initialization.DEFAULT):
        """Draw the weight and the bias anew.

        init: 'he', 'conv2d' or 'port', see groupy.gconv.initialization: its default, He's, draws the weight normally
            with variance 2 / fan-in, where the fan-in is I / groups * S_in * taps, and zeroes the bias
        Raises ValueError, with the names that there are, if it is another.
        """
        rule = initialization.named_initialization(type(self).__name__, "init", init)
        support = self.spec.filter_support(self.kernel_size)
        taps = math.prod(self.kernel_size) if support is None else int(support.sum())
        scale = rule.scale(*self.weight.shape[1:3], taps)
        _DRAW[rule.weight](self.weight, scale)
        if self.bias is not None:
            _DRAW[rule.bias](self.bias, scale)
        if support is not None:
            with torch.no_grad():
                self.weight.mul_(torch.as_tensor(support, device=self.weight.device))

    def folded_filters(self):
        """The transformed filters, (O * S_out, I / groups * S_in, k, ...): the weight of the ordinary convolution."""
        return self._fold(self._masked_weight())

    def folded_bias(self):
        """The bias of the ordinary convolution, (O * S_out,), or None."""
        bias = self.bias
        if bias is None:
            return None
        if torch.is_grad_enabled() and bias.requires_grad:
            return bias.repeat_interleave(self.output_stabilizer_size)
        self._follow(bias)
        return bias.index_select(0, self._bias_gather)  # in half the time, but on a GPU not deterministic backward

    def _place_tables(self):
        """Put the index tables, and the support of hexagonal filters, where the weight is.

        They follow from the kernel size and the channels. As buffers they would be broadcast by
        DistributedDataParallel in each step, and left without values by Module.to_empty.
        """
        transformation, I = self.spec.transformation(self.kernel_size), self.in_channels // self.groups
        support, device = self.spec.filter_support(self.kernel_size), self.weight.device
        self._folded_gather = torch.as_tensor(transformation.folded_gather(I), device=device)
        self._folded_inverse = torch.as_tensor(transformation.folded_inverse(I), device=device)
        channels = torch.arange(self.out_channels, device=device)
        self._bias_gather = channels.repeat_interleave(self.output_stabilizer_size)
        self._support = None if support is None else torch.as_tensor(support, device=device)

    def _apply(self, fn, recurse=True):
        # Module.to(memory_format=torch.channels_last) asks that format of every parameter with 4 or 5 axes, and only
        # those with 4 have it. The canonical filters of the plane are shown to it as planar ones; what comes back is
        # contiguous. Those of space have 6 axes, and are left alone.
        def planar(t):
            return fn(t.flatten(1, 2)).reshape(t.shape).contiguous() if t.dim() == 5 else fn(t)

        super()._apply(planar, recurse)
        self._follow(self.weight)
        return self

    def _follow(self, weight):
        if self._folded_gather.device != weight.device:  # moved, a replica, or a weight that was assigned
            self._place_tables()

    def train(self, mode=True):
        """As torch.nn.Module.train; filters that evaluation kept are dropped."""
        self._kept.drop()
        return super().train(mode)

    def forward(self, x):
        """x: (N, I, S_in, H, W) or (N, I * S_in, H, W) -> y: (N, O, S_out, H', W'), folded if flat_channels."""
        window, ndim = self.window, self.spec.ndim
        self._check(x, window)
        x = x.flatten(1, -1 - ndim)
        padding = window.before
        if self.padding_mode != "zeros" or not window.is_centred:
            x, padding = F.pad(x, padded_sides(window), _PADDING_MODES[self.padding_mode]), 0
        options = (self.stride, padding, self.dilation, self.groups)
        y = _CONVOLUTIONS[ndim](x, self._filters(x, options), self.folded_bias(), *options)
        if self.masks_output:
            y.mul_(self._mask_of(y))  # in place: it takes a quarter of the time, and no derivative needs what y was
        return y if self.flat_channels else y.unflatten(1, (self.out_channels, self.output_stabilizer_size))

    @property
    def masks_output(self):
        """Whether the output is multiplied by a mask."""
        return isinstance(self.output_mask, torch.Tensor) or (self.output_mask and bool(self._oblique_rows))

    def _mask_of(self, y):
        """The mask of the output y: booleans of its size."""
        if not isinstance(self.output_mask, torch.Tensor):
            return grid_points(y, self._oblique_rows)
        layer, size, expected = type(self).__name__, tuple(y.shape[-self.spec.ndim :]), tuple(self.output_mask.shape)
        if size != expected:
            raise ValueError(
                f"{layer}: output_mask is for an output of size {expected}, and this one is of size {size}."
            )
        return self.output_mask

    def _filters(self, x, options):
        """The folded filters for a convolution of x: in its dtype and its faster memory format; kept in evaluation."""
        w = self._masked_weight()
        dtype = _dtype_under_autocast(w)
        if not (w.is_cpu and runs_eagerly()):
            return self._fold(w).to(dtype)
        shape = (w.shape[0] * self.output_stabilizer_size, w.shape[1] * w.shape[2], *w.shape[3:])
        form = (dtype, memory_format.choose(x, shape, dtype, self.training, *options))
        if self.training or not may_be_kept(self.weight):
            return _in_form(self._fold(w), *form)
        if torch.is_grad_enabled() and w.requires_grad:
            kept = self._kept.get(w, (w.dtype, torch.preserve_format), self._fold)
            return _in_form(self._fold(w, kept), *form)
        return self._kept.get(w, form, lambda w: _in_form(self._fold(w), *form))

    def _masked_weight(self):
        weight = self.weight
        self._follow(weight)
        for mask in (self.filter_mask, self._support):
            if mask is not None:
                weight = weight * mask
        return weight

    def _fold(self, weight, folded=None):
        tables = (self._folded_gather, self._folded_inverse)
        return transform_filter(weight, *tables, self.output_stabilizer_size, folded)

    def _check(self, x, window):
        compiling = torch.compiler.is_compiling()
        call = (x.shape, x.dtype, window)
        if not compiling and call == self._checked_call:
            return
        layer, ndim, size = type(self).__name__, self.spec.ndim, x.shape[-self.spec.ndim :]
        kind = "f" if x.is_floating_point() else "c" if x.is_complex() else "i"
        geometry.check_input(layer, x.shape, kind, self.in_channels, self.input_stabilizer_size, ndim)
        if self.strict or not compiling:
            window.check_size(layer, size)
            reason = window.equivariance_break(layer, size, self.spec.stabilizer)
            geometry.announce_break(self, reason, stacklevel=5)
        if not compiling:
            self._checked_call = call

    def extra_repr(self):
        sides = self.kernel_size if len(set(self.kernel_size)) > 1 else self.kernel_size[0]
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={sides}, stride={self.stride}"]
        zeros, ones = ((n,) * self.spec.ndim for n in (0, 1))
        usual = {"padding": zeros, "dilation": ones, "groups": 1, "padding_mode": "zeros", "flat_channels": False}
        usual = {**usual, "strict": False}
        parts += [f"{name}={getattr(self, name)!r}" for name, value in usual.items() if getattr(self, name) != value]
        if self.bias is None:
            parts.append("bias=False")
        if self.filter_mask is not None:
            parts.append("filter_mask=...")
        if self.output_mask is not True:
            parts.append(f"output_mask={'...' if isinstance(self.output_mask, torch.Tensor) else False}")
        return ", ".join(parts)


def padded_sides(window):
    """A Window's padding as torch.nn.functional.pad takes it: before and after, the last axis first."""
    return tuple(side for sides in zip(window.before[::-1], window.after[::-1]) for side in sides)


def _as_mask(layer, mask, ndim, device):
    mask = torch.as_tensor(mask, device=device)
    if mask.dtype != torch.bool or mask.dim() != ndim:
        raise ValueError(
            f"{layer}: output_mask must be True, False, or booleans of the output's size with {ndim} axes, got "
            f"{mask.dtype} of shape {tuple(mask.shape)}."
        )
    return mask


def _in_form(filters, dtype, memory_format):
    return filters.to(dtype=dtype, memory_format=memory_format)


def _dtype_under_autocast(weight):
    """The dtype in which a convolution with this weight computes. Autocast leaves float64 alone."""
    dtype = weight.dtype
    device = "cpu" if weight.is_cpu else weight.device.type  # making that word takes a microsecond
    if dtype == torch.float64 or not torch.amp.is_autocast_available(device):
        return dtype
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else dtype
