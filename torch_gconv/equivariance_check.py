"""check_equivariance: which layer or function of a PyTorch model breaks equivariance, and why.

The model runs as a copy, on the CPU, in float64 and in evaluation mode. Layers of torch.nn and of
this package are recorded by hooks; what else a model's `forward` calls (F.max_pool2d, x.view,
x + y) by a TorchFunctionMode.
"""

import copy
import warnings
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode, resolve_name

from groupy.gconv.equivariance.check import TOLERANCE, check
from groupy.gconv.equivariance.trace import Facts, Tensors, Tracer, vary_untrained
from groupy.gconv.geometry import EquivarianceWarning, Window, padding_of
from torch_gconv.splitgconv2d import SplitGConv2D

# How modules and functions refuse shapes that they cannot take.
_REFUSALS = (RuntimeError, ValueError, TypeError, IndexError)


def check_equivariance(model, x, group, *, tolerance=TOLERANCE):
    """An EquivarianceReport: the error of each layer under each element of the stabilizer, what breaks first, and why.

    model: a torch.nn.Module that takes x alone and returns tensors, in tuples, lists or dicts if several
    x: (N, C, H, W), or on a group (N, C, S, H, W); random numbers show most
    group: 'p4', 'p4m', 'C4', 'D4', or groupy's C4 or D4
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
    model = copy.deepcopy(model).to("cpu", torch.float64).eval()
    if any(is_lazy(tensor) for tensor in (*model.parameters(), *model.buffers())):
        model(x)
    rng = np.random.default_rng(0)
    for tensor in (*model.parameters(), *model.buffers()):
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
            name = self._path[module] or type(module).__name__
            self._tracer.after(before, name, type(module).__name__, module, result, _facts_of_module(module))
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
    is_stock = type(module).__module__.startswith(("torch.nn.", f"{__package__}."))
    return isinstance(module, SplitGConv2D) or (is_stock and not children)


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


def _pair(value):
    value = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return value * 2 if len(value) == 1 else value


def _stepping(ksize, stride, padding, dilation=1):
    ksize, stride, dilation = _pair(ksize), _pair(stride), _pair(dilation)
    padding = padding if isinstance(padding, str) else _pair(padding)
    return Window(ksize, stride, *padding_of("", "padding", padding, ksize, stride, dilation), dilation)


def _padding(left, right, top=0, bottom=0, *_):
    return Window((1, 1), (1, 1), (top, left), (bottom, right))


def _of_conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _stepping(weight.shape[-2:], stride, padding, dilation)


def _of_max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    return _stepping(kernel_size, stride or kernel_size, padding, dilation)


def _of_avg_pool2d(input, kernel_size, stride=None, padding=0, *_, **__):
    return _stepping(kernel_size, stride or kernel_size, padding)


def _of_pad(input, pad, *_, **__):
    return _padding(*pad)


_ROLES_OF_MODULES = {
    _ConvNd: "convolution",
    nn.Linear: "linear",
    nn.Bilinear: "linear",
    _NormBase: "normalization",
    nn.GroupNorm: "normalization",
    nn.LayerNorm: "normalization",
}
_ROLES_OF_FUNCTIONS = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "conv_transpose2d", "conv_transpose3d"), "convolution"),
    **dict.fromkeys(("linear", "bilinear", "matmul", "rmatmul", "mm", "bmm", "einsum", "tensordot"), "linear"),
    **dict.fromkeys(("batch_norm", "group_norm", "layer_norm", "instance_norm"), "normalization"),
}
_WINDOWS_OF_MODULES = {
    nn.Conv2d: lambda m: _stepping(m.kernel_size, m.stride, m.padding, m.dilation),
    nn.MaxPool2d: lambda m: _stepping(m.kernel_size, m.stride, m.padding, m.dilation),
    nn.AvgPool2d: lambda m: _stepping(m.kernel_size, m.stride, m.padding),
    nn.LPPool2d: lambda m: _stepping(m.kernel_size, m.stride or m.kernel_size, 0),
    **dict.fromkeys(
        (nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d), lambda m: _padding(*m.padding)
    ),
}
_WINDOWS_OF_FUNCTIONS = {
    "conv2d": _of_conv2d,
    "max_pool2d": _of_max_pool2d,
    "max_pool2d_with_indices": _of_max_pool2d,
    "avg_pool2d": _of_avg_pool2d,
    "pad": _of_pad,
}
_REARRANGING_MODULES = (nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle, nn.Unfold)
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
    return Facts(role, window, isinstance(module, _REARRANGING_MODULES))


def _facts_of_function(word, args, kwargs):
    window = _WINDOWS_OF_FUNCTIONS[word](*args, **kwargs) if word in _WINDOWS_OF_FUNCTIONS else None
    return Facts(_ROLES_OF_FUNCTIONS.get(word, ""), window, word in _REARRANGING_FUNCTIONS)
