"""check_equivariance: which layer or function of a PyTorch model breaks equivariance, and why.

The model runs as a copy, on the CPU, in float64 and in evaluation mode. Layers of torch.nn and of
this package are recorded by hooks; what else a model's `forward` calls (F.max_pool2d, x.view,
x + y) by a TorchFunctionMode.
"""

import warnings
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.padding import _CircularPadNd, _ConstantPadNd, _ReflectionPadNd, _ReplicationPadNd
from torch.nn.modules.pooling import _AvgPoolNd, _LPPoolNd, _MaxPoolNd
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.overrides import TorchFunctionMode, resolve_name

from groupy.gconv.equivariance.check import TOLERANCE, check
from groupy.gconv.equivariance.trace import Facts, Tensors, Tracer, vary_untrained, window_of, window_of_padding
from groupy.gconv.geometry import EquivarianceWarning, Window
from torch_gconv.copies import copy_of
from torch_gconv.pooling import GAvgPool2d, GAvgPool3d, GMaxPool2d, GMaxPool3d
from torch_gconv.splitgconv import SplitGConv
from torch_gconv.subgroups import Induce, Restrict, Unrestrict

# How modules and functions refuse shapes that they cannot take.
_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError)


def check_equivariance(model, x, group, *, tolerance=TOLERANCE):
    """An EquivarianceReport: the error of each layer under each element of the stabilizer, what breaks first, and why.

    model: a torch.nn.Module that takes x alone and returns tensors, in tuples, lists or dicts if several
    x: (N, C, H, W), or on a group (N, C, S, H, W), in three dimensions (N, C, D, H, W) or (N, C, S, D, H, W); random
        numbers show most. On the hexagonal grid H = W is odd, and what is outside of the hexagon counts as zero
    group: a name in groupy.gconv.layer_specs.GROUPS, as 'p4', 'p6m' or 'Oh', or its stabilizer; the dimension
        follows from it
    tolerance: errors, relative to a layer's largest output, that count as rounding in float64

    Biases, scales and running statistics whose entries are all equal, as before training, are varied in
    the copy: while they are equal it would not show that each orientation has its own. The model itself,
    its mode and the random generators stay as they are. All feature maps of two runs are kept in float64: a batch of
    two pictures is enough.

    Raises TypeError if model or x is not of its kind; ValueError as groupy.gconv.equivariance.check.check.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}.")
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        raise TypeError(f"x must be a tensor of real floating-point numbers, got {getattr(x, 'dtype', type(x))}.")
    x = x.detach().to("cpu", torch.float64)
    with torch.random.fork_rng(devices=[]), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", EquivarianceWarning)  # the report says it, and more
        trace_of = partial(_trace, _working_copy(model, x))
        return check(trace_of, x.numpy(), group, tolerance, _REFUSALS)


def _working_copy(model, x):
    """A copy of the model in float64 on the CPU, in evaluation mode, not strict, its untrained values varied."""
    model = copy_of(model, model).to("cpu", torch.float64).eval()
    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        model(x)
    for module in model.modules():
        for name, value in vars(module).items():
            if torch.is_tensor(value) and value.is_floating_point():  # as weights that hooks compute; `to` leaves them
                setattr(module, name, value.to("cpu", torch.float64))
    rng = np.random.default_rng(0)
    # In a layer's planar form a bias of zero is shared by the orientations, which it would not be if it were varied.
    shared = {id(module.bias) for module in model.modules() if isinstance(module, _ConvNd)}
    for tensor in (*model.parameters(), *model.buffers()):
        if id(tensor) not in shared:
            tensor.data = torch.from_numpy(vary_untrained(_to_array(tensor), rng))
    for module in model.modules():
        if getattr(module, "strict", False) and hasattr(module, "window"):
            module.strict = False  # what it would raise becomes a finding
    return model


def _trace(model, x):
    """Run the model on an array and return the Trace."""
    tracer = Tracer(_TorchTensors())
    x = torch.tensor(x)
    tracer.add(x)
    recorder = _Recorder(model, tracer)
    try:
        with recorder:
            result = model(x)
    finally:
        recorder.release()
    return tracer.trace(result)


def _to_array(tensor):
    with torch._C.DisableTorchFunction():
        return tensor.detach().cpu().resolve_conj().numpy().copy()


class _TorchTensors(Tensors):
    def is_tensor(self, thing):
        return isinstance(thing, torch.Tensor)

    def to_array(self, tensor):
        return _to_array(tensor)

    def to_tensor(self, array):
        return torch.tensor(array)


class _Recorder(TorchFunctionMode):
    """Reports the calls of leaf modules, and of functions outside them, to a Tracer."""

    def __init__(self, model, tracer):
        super().__init__()
        self._tracer = tracer
        self._path = {module: name for name, module in model.named_modules()}
        self._inside = []  # modules being run, with what `before` made of their arguments
        self._is_silent = False
        self._hooks = []
        for module in self._path:
            self._hooks.append(module.register_forward_pre_hook(self._enter, with_kwargs=True))
            self._hooks.append(module.register_forward_hook(self._leave, with_kwargs=True))

    def release(self):
        """Take the hooks out of the model."""
        for hook in self._hooks:
            hook.remove()

    def _enter(self, module, args, kwargs):
        if not self._is_silent:
            self._inside.append((module, self._tracer.before((args, kwargs))))
            self._is_silent = _is_leaf(module)

    def _leave(self, module, args, kwargs, result):
        if not self._inside or self._inside[-1][0] is not module:
            return
        _, before = self._inside.pop()
        # A module that computes where no function mode sees it is taken as a whole.
        if before and (self._is_silent or not self._tracer.seen(result)):
            kind = type_before_parametrizations(module).__name__
            self._tracer.after(before, self._path[module] or kind, kind, module, result, _facts_of_module(module))
        self._is_silent = False

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        before = None if self._is_silent else self._tracer.before((args, kwargs))
        result = function(*args, **kwargs)
        if before:
            path = self._path[self._inside[-1][0]] if self._inside else ""
            word = _word(function)
            name = f"{path}.{word}" if path else word
            called, given = (function, result) if result is not None else (_in_place(function), args[0])
            self._tracer.after(
                before, name, resolve_name(function) or word, called, given, _facts_of_function(word, args, kwargs)
            )
        return result


def _is_leaf(module):
    """Whether the module is recorded as a whole: a layer of torch.nn or of this package."""
    children = [name for name, _ in module.named_children() if name != "parametrizations"]
    is_stock = type_before_parametrizations(module).__module__.startswith(("torch.nn.", f"{__package__}."))
    return isinstance(module, SplitGConv) or (is_stock and not children)


def _word(function):
    """A function's name, as 'view' or 'add'; of a property, as in x.T, that of the property."""
    name = function.__name__
    return (function.__self__.__name__ if name == "__get__" else name).strip("_")


def _in_place(function):
    """A function that returns nothing, as x[...] = y, made to return its first argument."""

    def run(*args, **kwargs):
        function(*args, **kwargs)
        return args[0]

    return run


# What is known of modules and functions


def _of_sides(pad):
    """The Window of torch.nn.functional.pad's sides: before and after, the last axis first."""
    return window_of_padding(tuple(pad[-2::-2]), tuple(pad[::-2]))


def _of_conv(ndim):
    def of(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        return window_of(ndim, weight.shape[-ndim:], stride, padding, dilation)

    return of


def _of_max_pool(ndim):
    def of(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        return window_of(ndim, kernel_size, stride or kernel_size, padding, dilation)

    return of


def _of_avg_pool(ndim):
    def of(input, kernel_size, stride=None, padding=0, *_, **__):
        return window_of(ndim, kernel_size, stride or kernel_size, padding)

    return of


_ROLES_OF_MODULES: dict = {
    _ConvNd: "convolution",
    nn.Linear: "linear",
    nn.Bilinear: "linear",
    _NormBase: "normalization",
    nn.GroupNorm: "normalization",
    nn.LayerNorm: "normalization",
    **dict.fromkeys((_MaxPoolNd, _AvgPoolNd, _LPPoolNd), "pooling"),
    **dict.fromkeys((GMaxPool2d, GMaxPool3d, GAvgPool2d, GAvgPool3d), "pooling"),
}
_ROLES_OF_FUNCTIONS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "conv_transpose2d", "conv_transpose3d"), "convolution"),
    **dict.fromkeys(("linear", "bilinear", "matmul", "rmatmul", "mm", "bmm", "einsum", "tensordot"), "linear"),
    **dict.fromkeys(("batch_norm", "group_norm", "layer_norm", "instance_norm"), "normalization"),
    **{f"{kind}_pool{ndim}d": "pooling" for kind in ("max", "avg", "lp") for ndim in (2, 3)},
    **{f"max_pool{ndim}d_with_indices": "pooling" for ndim in (2, 3)},
}
_WINDOWS_OF_MODULES: dict = {
    nn.Conv2d: lambda m: window_of(2, m.kernel_size, m.stride, m.padding, m.dilation),
    nn.Conv3d: lambda m: window_of(3, m.kernel_size, m.stride, m.padding, m.dilation),
    nn.MaxPool2d: lambda m: window_of(2, m.kernel_size, m.stride, m.padding, m.dilation),
    nn.MaxPool3d: lambda m: window_of(3, m.kernel_size, m.stride, m.padding, m.dilation),
    nn.AvgPool2d: lambda m: window_of(2, m.kernel_size, m.stride, m.padding),
    nn.AvgPool3d: lambda m: window_of(3, m.kernel_size, m.stride, m.padding),
    nn.LPPool2d: lambda m: window_of(2, m.kernel_size, m.stride or m.kernel_size),
    nn.LPPool3d: lambda m: window_of(3, m.kernel_size, m.stride or m.kernel_size),
    **dict.fromkeys(
        (_ConstantPadNd, _ReflectionPadNd, _ReplicationPadNd, _CircularPadNd), lambda m: _of_sides(m.padding)
    ),
}
_WINDOWS_OF_FUNCTIONS = {
    **{f"conv{ndim}d": _of_conv(ndim) for ndim in (2, 3)},
    **{f"max_pool{ndim}d": _of_max_pool(ndim) for ndim in (2, 3)},
    **{f"max_pool{ndim}d_with_indices": _of_max_pool(ndim) for ndim in (2, 3)},
    **{f"avg_pool{ndim}d": _of_avg_pool(ndim) for ndim in (2, 3)},
    "pad": lambda input, pad, *_, **__: _of_sides(pad),
}
_REARRANGING_MODULES = (
    *(nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle, nn.Unfold),
    *(Restrict, Unrestrict, Induce),
)
_REARRANGING_FUNCTIONS = frozenset(
    "view reshape flatten ravel unflatten permute transpose movedim moveaxis swapaxes swapdims t T mT "
    "squeeze unsqueeze expand expand_as broadcast_to repeat tile repeat_interleave getitem setitem select narrow "
    "index_select gather chunk split tensor_split unbind cat concat stack roll flip rot90 "
    "unfold pixel_shuffle pixel_unshuffle".split()
)


def _facts_of_module(module):
    window = getattr(module, "window", None)
    if not isinstance(window, Window):
        window = next((of(module) for kind, of in _WINDOWS_OF_MODULES.items() if isinstance(module, kind)), None)
    role = next((role for kind, role in _ROLES_OF_MODULES.items() if isinstance(module, kind)), "")
    return Facts(role, window, isinstance(module, _REARRANGING_MODULES), getattr(module, "hexagonal", False))


def _facts_of_function(word, args, kwargs):
    window = _WINDOWS_OF_FUNCTIONS[word](*args, **kwargs) if word in _WINDOWS_OF_FUNCTIONS else None
    return Facts(_ROLES_OF_FUNCTIONS.get(word, ""), window, word in _REARRANGING_FUNCTIONS)
