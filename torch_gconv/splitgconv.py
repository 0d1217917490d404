"""SplitGConv: the group convolution of split groups, in PyTorch; on the plane and in space.

A group is split if each of its elements is a translation times an element of the stabilizer H
of the origin. For each h in H the group convolution is the correlation of the input with the
filter transformed by h. So a layer is an index table, which makes all transformed filters at
once, and one ordinary convolution.

On the hexagonal grid a filter is a hexagon in a square of taps, and a feature map one in a square
of points: what lies outside has no effect, in the filters and in the input, and is zero in the output.
Sources: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7; HexaConv paper (Hoogeboom
et al. 2018, arXiv:1803.02108), section 4.
"""

import math
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from groupy.gconv import geometry, initialization
from groupy.gconv.layer_specs import LayerSpec
from torch_gconv import old_port, saved_groups
from torch_gconv.constants import constant, is_plain, runs_eagerly, static_shape
from torch_gconv.feature_maps import fold, is_channels_last, like, unfold
from torch_gconv.hexagonal import grid_points, on_grid
from torch_gconv.kept_filters import KeptFilters, may_be_kept
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
    filter_mask: (O, I / groups, S_in), multiplied into weight; zeros restrict the filters' support on the group,
        and what the weight holds there has no effect
    strict: True to raise EquivarianceError for an input size that breaks equivariance
    output_mask: booleans of the output's size; where they are false y is zero. True for hexagonal maps, odd
        squares: x counts, and y is not zero, at the points of the hexagon alone; on other grids and at other
        sizes no point is left out. False for leaving none out
    input_stabilizer_size, output_stabilizer_size: of a class without `spec`, as in GrouPy and its PyTorch port:
        (1, 4), (4, 4), (1, 8) or (8, 8) for p4 and p4m, or the class's own attributes or properties; (1, 4) if
        nobody says. The table is the class's make_transformation_indices, if it overrides that.
    A bool as sixth positional argument is `bias`, as in that port, and the two after it are those sizes; as
    dilation=, by name, a bool is refused.
    The others as torch.nn.Conv2d's. Initial weights: see reset_parameters. Those of a hexagonal kernel outside the
    hexagon are zero, have no effect and get no gradient.

    Raises TypeError or ValueError, naming the argument, if one does not fit. An input size that
    breaks equivariance at the given stride is warned of once (EquivarianceWarning), but not under
    torch.compile and torch.export, where sizes may be symbols.

    y has x's memory format, contiguous or channels_last, as torch.nn.Conv2d's has. In evaluation on the CPU the
    transformed filters are kept for as long as the weight's values stay what they were; see KeptFilters.
    """

    spec: LayerSpec
    ndim: ClassVar[int]
    input_stabilizer_size: int
    output_stabilizer_size: int

    @old_port.takes_ports_arguments
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
        input_stabilizer_size=None,
        output_stabilizer_size=None,
    ):
        super().__init__()
        old_port.take_sizes(self, SplitGConv, (input_stabilizer_size, output_stabilizer_size))
        layer, ndim = type(self).__name__, self.spec.ndim
        self._ndim = ndim  # a compiler that is led to the stabilizer makes its tables writable
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(f"{layer}: dtype must be a real floating-point type, got {dtype}.")
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"{layer}: padding_mode must be one of {', '.join(_PADDING_MODES)}, got {padding_mode!r}.")
        if isinstance(dilation, bool):
            raise TypeError(
                f"{layer}: dilation must be an integer or {ndim} of them, got {dilation!r}. Was bias meant?"
            )
        self.in_channels = geometry.check_channels(layer, "in_channels", in_channels)
        self.out_channels = geometry.check_channels(layer, "out_channels", out_channels)
        self.kernel_size = self.spec.kernel(layer, "kernel_size", kernel_size)
        self.ksize = self.kernel_size[0] if len(set(self.kernel_size)) == 1 else self.kernel_size  # GrouPy's name
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
        # Refuses a padding that does not exist; and has the stabilizer find its axes, which no compiler could.
        self.window.equivariance_break(layer, None, self.spec.stabilizer)

        I, S_in = self.in_channels // self.groups, self.input_stabilizer_size
        shape = (self.out_channels, I, S_in, *self.kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(self.out_channels, device=device, dtype=dtype)) if bias else None
        if filter_mask is not None:
            geometry.check_mask(layer, filter_mask, *shape[:3])
            filter_mask = _with_values(filter_mask).to(self.weight.dtype)
            filter_mask = filter_mask.reshape(*shape[:3], *(1,) * ndim)
        # Constants, and no buffers: those are averaged, broadcast, and lose their values in Module.to_empty.
        self.filter_mask = filter_mask
        self.output_mask = output_mask if isinstance(output_mask, bool) else _as_mask(layer, output_mask, ndim)
        old_port.take_own_table(self, SplitGConv)
        self._oblique_rows = self.spec.stabilizer.oblique_rows if self.spec.stabilizer else ()
        self._place_constants()
        self.reset_parameters()

    @property
    def inds(self):
        """The index table, a copy: int32 (S_out, S_in, k, k, 3). To transform filters by another one, set it."""
        return np.array(self.spec.transformation(self.kernel_size).table)

    @inds.setter
    def inds(self, table):
        old_port.set_table(self, table)
        self._place_constants()
        self._kept.drop()

    def make_transformation_indices(self, ksize=None):
        """The group's index table for a kernel of this side, int32 (S_out, S_in, k, k, 3); by default the layer's.

        A subclass that overrides it makes the table of its layers, and is given ksize if it has the argument.
        """
        return old_port.usual_table(self, ksize)

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
        return None if self.bias is None else self.bias.repeat_interleave(self.output_stabilizer_size)

    def _place_constants(self):
        """Put the masks, the index tables and the support of hexagonal filters where the weight is.

        Tables and support follow from the kernel size and the channels, and are shared by all such layers.
        """
        weight = self.weight
        for name, mask in self._masks().items():
            if not (weight.is_meta or mask.is_meta):  # there masks would lose their values
                setattr(self, name, mask.to(weight.device, weight.dtype if mask.is_floating_point() else None))
        self._tables, self._support = self._make_tables(weight)

    def _make_tables(self, weight):
        """((gather, inverse), support) on the weight's device, as a FilterTransformation describes them."""
        transformation, I = self.spec.transformation(self.kernel_size), self.in_channels // self.groups
        makers = (transformation.folded_gather, transformation.folded_inverse)
        support = None
        if self.spec.filter_support(self.kernel_size) is not None:
            support = constant(self.spec.filter_support, (self.kernel_size,), weight)
        return tuple(constant(make, (I,), weight) for make in makers), support

    def _tables_for(self, weight):
        """Those of _make_tables that belong to this weight: it may be a replica on another device, or fake."""
        if is_plain(weight) and self._tables[0].device == weight.device:
            return self._tables, self._support
        return self._make_tables(weight)

    def _apply(self, fn, recurse=True):
        # Module.to(memory_format=torch.channels_last) asks that format of every parameter with 4 or 5 axes, and only
        # those with 4 have it. The canonical filters of the plane are shown to it as planar ones; what comes back is
        # contiguous. Those of space have 6 axes, and are left alone.
        def planar(t):
            return fn(t.flatten(1, 2)).reshape(t.shape).contiguous() if t.dim() == 5 else fn(t)

        super()._apply(planar, recurse)
        self._place_constants()
        return self

    def __getstate__(self):
        """The state without what follows from it, so that a copy or a pickle weighs what the weights weigh."""
        return {**self.__dict__, "_tables": None, "_support": None, "_window": None, "_checked_call": None}

    def __setstate__(self, state):
        if old_port.is_ports_state(state):
            old_port.restore(self, state, SplitGConv)
        else:
            super().__setstate__(state)
            self._ndim = self.spec.ndim
            self._place_constants()

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination.update({prefix + name: mask for name, mask in self._masks().items()})
        saved_groups.note(self, destination, prefix)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        complaint = saved_groups.complaint(self, prefix, local_metadata)
        if complaint is not None:
            error_msgs.append(complaint)
            return
        for name, mask in self._masks().items():
            given = state_dict.pop(prefix + name, None)
            if given is None:
                missing_keys.append(prefix + name)
            elif given.shape != mask.shape:
                error_msgs.append(
                    f"{prefix}{name} has shape {tuple(given.shape)}, and this layer's {tuple(mask.shape)}."
                )
            else:
                setattr(self, name, given.detach().clone().to(self.weight.device, mask.dtype))
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _masks(self):
        """The masks that were given, {name: tensor}: part of the state, though no buffers."""
        masks = {name: getattr(self, name) for name in ("filter_mask", "output_mask")}
        return {name: mask for name, mask in masks.items() if isinstance(mask, torch.Tensor)}

    def train(self, mode=True):
        """As torch.nn.Module.train; filters that evaluation kept are dropped."""
        self._kept.drop()
        return super().train(mode)

    def forward(self, x):
        """x: (N, I, S_in, H, W) or (N, I * S_in, H, W) -> y: (N, O, S_out, H', W'), folded if flat_channels."""
        window, ndim = self.window, self._ndim
        self._check(x, window)
        if self._is_hexagonal:
            x = on_grid(x, self._oblique_rows)
        x = fold(x, ndim)
        padded, padding = x, window.before
        if self.padding_mode != "zeros" or not window.is_centred:
            padded, padding = F.pad(x, padded_sides(window), _PADDING_MODES[self.padding_mode]), 0
        options = (self.stride, padding, self.dilation, self.groups)
        y = like(_CONVOLUTIONS[ndim](padded, self._filters(x), self.folded_bias(), *options), x, ndim)
        if self.masks_output:
            y = torch.where(self._mask_of(y), y, 0)  # NaN and infinity times zero would be NaN
        return y if self.flat_channels else unfold(y, self.out_channels, self.output_stabilizer_size)

    @property
    def _is_hexagonal(self):
        """Whether x and y are maps on a hexagonal grid, of whose arrays only the hexagon counts."""
        return self.output_mask is True and bool(self._oblique_rows)

    @property
    def masks_output(self):
        """Whether the output is zero outside of a mask."""
        return isinstance(self.output_mask, torch.Tensor) or self._is_hexagonal

    def _mask_of(self, y):
        """The mask of the output y: booleans of its size."""
        if self.output_mask is True:
            return grid_points(y, self._oblique_rows)
        layer, size, expected = type(self).__name__, tuple(y.shape[-self._ndim :]), tuple(self.output_mask.shape)
        if size != expected:
            raise ValueError(
                f"{layer}: output_mask is for an output of size {expected}, and this one is of size {size}."
            )
        return self.output_mask.to(y.device)

    def _filters(self, x):
        """The folded filters; in evaluation kept, in the dtype and in the memory format that x is convolved in."""
        w = self._masked_weight()
        if self.training or not (w.is_cpu and runs_eagerly() and may_be_kept(self.weight)):
            return self._fold(w)
        if torch.is_grad_enabled() and w.requires_grad:
            return self._fold(w, self._kept.get(w, None, self._fold))
        form = {"dtype": _dtype_under_autocast(w)}
        if is_channels_last(x, self._ndim):
            form["memory_format"] = {2: torch.channels_last, 3: torch.channels_last_3d}[self._ndim]
        return self._kept.get(w, form, lambda w: self._fold(w).to(**form))

    def _masked_weight(self):
        weight, mask = self.weight, self.filter_mask
        _, support = self._tables_for(weight)
        if mask is not None:
            mask = mask.to(weight.device, weight.dtype)
            weight = (weight * mask).masked_fill(mask == 0, 0)  # times zero, NaN would stay
        return weight if support is None else weight.masked_fill(~support, 0)

    def _fold(self, weight, folded=None):
        tables, _ = self._tables_for(weight)
        return transform_filter(weight, *tables, self.output_stabilizer_size, folded)

    def _check(self, x, window):
        compiling = torch.compiler.is_compiling()
        shape = static_shape(x)
        call = (shape, x.dtype, window)
        if not compiling and call == self._checked_call:
            return
        layer, ndim, size = type(self).__name__, self._ndim, shape[-self._ndim :]
        kind = "f" if x.is_floating_point() else "c" if x.is_complex() else "i"
        geometry.check_input(layer, shape, kind, self.in_channels, self.input_stabilizer_size, ndim)
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


def _as_mask(layer, mask, ndim):
    mask = _with_values(mask)
    if mask.dtype != torch.bool or mask.dim() != ndim:
        raise ValueError(
            f"{layer}: output_mask must be True, False, or booleans of the output's size with {ndim} axes, got "
            f"{mask.dtype} of shape {tuple(mask.shape)}."
        )
    return mask


def _with_values(mask):
    """A mask as a tensor on the CPU, under `with torch.device("meta")` too; one that has no values stays without."""
    return mask if isinstance(mask, torch.Tensor) and mask.is_meta else torch.as_tensor(mask, device="cpu")


def _dtype_under_autocast(weight):
    """The dtype in which a convolution on the CPU with this weight computes. Autocast leaves float64 alone."""
    autocasts = torch.is_autocast_enabled("cpu") and weight.dtype != torch.float64
    return torch.get_autocast_dtype("cpu") if autocasts else weight.dtype
