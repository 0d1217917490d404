"""Equal models of stock torch.nn modules alone: what is deployed needs PyTorch, and not this project.

A group convolution is a planar convolution by transformed filters; here they are transformed once and for all.
docs/deployment.md says what becomes of each kind of layer.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7.
"""

import copy
from collections import OrderedDict
from functools import singledispatch

import torch
from torch import fx, nn

from torch_gconv.batch_normalization import GBatchNorm
from torch_gconv.dropout import GDropout
from torch_gconv.group_normalization import GGroupNorm
from torch_gconv.pooling import GAvgPool2d, GMaxPool2d, _OnTheGroup
from torch_gconv.splitgconv2d import SplitGConv2D


def to_planar(model, *, trace=False):
    """A copy of a model in which every module of this project is made of stock modules and operations of PyTorch.

    trace: True to trace (torch.fx) the modules of all other classes too, so that the copy unpickles without their code

    Submodules keep their paths, training flags, devices, dtypes and requires_grad, and a layer used in several places
    stays one layer. The keys of the state dict differ. Parametrizations and filter masks are folded in.
    Raises TypeError for a module whose planar form is not known, ValueError for one with forward hooks.
    """
    model = getattr(model, "_orig_mod", model)  # torch.compile's wrapper would go on to call what it has compiled
    with torch.enable_grad():  # so that what is made of a parameter says whether the parameter requires gradients
        return _planar(copy.deepcopy(model), type(model).__name__, _is_not_torchs if trace else _is_ours, {})


@singledispatch
def planar_form(module):
    """What takes a module's place: stock modules, or others that have a planar form themselves.

    Modules without a rule are traced, which their forward must allow: it may not branch on its input, and what it
    reads of `training` is fixed. A rule for a layer of your own is a function, `@planar_form.register(MyLayer)`.
    """
    return fx.GraphModule(module, _Tracer().trace(module), type(module).__name__.lstrip("_"))


def _planar(module, path, is_replaced, done):
    """The planar form of a module and all that is in it; `done` has those of the modules met before."""
    if module not in done:
        form = module
        while is_replaced(form):
            form = _form_of(form, path)
        for name, child in form._modules.items():  # named_children would give a child with two names once
            if child is not None:
                form._modules[name] = _planar(child, f"{path}.{name}", is_replaced, done)
        done[module] = form
    return done[module]


def _form_of(module, path):
    kind = type(module).__name__
    what = f"to_planar: {path}, of class {kind},"
    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError(f"{what} has forward hooks, which have no planar form; remove them first.")
    ruled = next(base for base in type(module).__mro__ if base in planar_form.registry)
    if ruled is not object and type(module).forward is not ruled.forward:
        raise TypeError(
            f"{what} overrides {ruled.__name__}.forward, so its planar form is not known. Put a {ruled.__name__} into "
            f"a module of your own instead, or write a rule: @torch_gconv.planar_form.register({kind})."
        )
    try:
        form = planar_form(module)
    except (fx.proxy.TraceError, TypeError) as error:
        raise TypeError(
            f"{what} cannot be traced by torch.fx ({error}). Write a rule: @torch_gconv.planar_form.register({kind})."
        ) from error
    # What a rule makes is new; what a trace contains is the module's own children, each with a flag of its own.
    return form if ruled is object else form.train(module.training)


def _is_ours(module):
    return "torch_gconv" in _packages(module)


def _is_not_torchs(module):
    return not _packages(module) <= {"torch", "builtins"}


def _packages(module):
    return {base.__module__.partition(".")[0] for base in type(module).__mro__}


class _Tracer(fx.Tracer):
    """Traces a module and none of its children, which keep their paths: they have planar forms of their own."""

    def is_leaf_module(self, m, module_qualified_name):
        return True

    def trace(self, root, concrete_args=None):
        graph = super().trace(root, concrete_args)
        graph._tracer_cls = fx.Tracer  # else a pickle of the graph would name this class
        return graph


@planar_form.register
def _(layer: SplitGConv2D):
    S_in, S_out, window = layer.input_stabilizer_size, layer.output_stabilizer_size, layer.window
    parts: OrderedDict[str, nn.Module] = OrderedDict(fold=nn.Flatten(1, -3))  # which leaves four axes as they are
    if not window.is_centred:
        # nn.Conv2d pads more on one side too, given padding='same', but warns of the copy that this takes.
        sides = (window.before[1], window.after[1], window.before[0], window.after[0])
        parts["pad"] = _PADS[layer.padding_mode](sides)
    parts["conv"] = conv = nn.Conv2d(
        layer.in_channels * S_in,
        layer.out_channels * S_out,
        layer.kernel_size,
        layer.stride,
        window.before if window.is_centred else 0,
        layer.dilation,
        layer.groups,
        layer.bias is not None,
        layer.padding_mode,
        device="meta",  # where nothing is drawn: the parameters follow
    )
    conv.weight, conv.bias = _parameter(layer.folded_filters()), _parameter(layer.folded_bias())
    if not layer.flat_channels:
        parts["unfold"] = nn.Unflatten(1, (layer.out_channels, S_out))
    return nn.Sequential(parts)


_PADS = {
    "zeros": nn.ZeroPad2d,
    "circular": nn.CircularPad2d,
    "reflect": nn.ReflectionPad2d,
    "replicate": nn.ReplicationPad2d,
}


@planar_form.register
def _(layer: GBatchNorm):
    C = layer.num_features
    norm = nn.BatchNorm2d(C, layer.eps, layer.momentum, layer.affine, layer.track_running_stats, device="meta")
    for name, buffer in layer.named_buffers(recurse=False):
        norm.register_buffer(name, buffer)
    return _Normalized(norm, C, layer)


@planar_form.register
def _(layer: GGroupNorm):
    C = layer.num_channels
    return _Normalized(nn.GroupNorm(layer.num_groups, C, layer.eps, layer.affine, device="meta"), C, layer)


@planar_form.register
def _(layer: GMaxPool2d):
    return _Pooled(nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding, layer.dilation))


@planar_form.register
def _(layer: GAvgPool2d):
    options = {"count_include_pad": layer.count_include_pad}
    return _Pooled(nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, **options))


@planar_form.register
def _(layer: _OnTheGroup):
    reduced = _Reduced(layer._pool)
    return reduced if layer.stabilizer_size is None else nn.Sequential(*_unfolded(layer.stabilizer_size), reduced)


@planar_form.register
def _(layer: GDropout):
    fibers: nn.Module
    if not layer.per_channel:
        fibers = nn.Flatten(1, -3)
    elif layer.stabilizer_size is None:
        fibers = nn.Flatten(0, 1)
    else:
        fibers = nn.Sequential(*_unfolded(layer.stabilizer_size), nn.Flatten(0, 1))
    return _Dropped(fibers, nn.Dropout1d(layer.p))


class _Normalized(nn.Module):
    """A normalization of (N, C, S * H, W), for (N, C, S, H, W) or (N, C * S, H, W), with the parameters of `layer`."""

    def __init__(self, norm, channels, layer):
        super().__init__()
        self.norm, self.channels = norm, channels
        norm.weight, norm.bias = _parameter(layer.weight), _parameter(layer.bias)

    def forward(self, x):
        return self.norm(x.reshape(x.shape[0], self.channels, -1, x.shape[-1])).reshape(x.shape)


class _Pooled(nn.Module):
    """Planar pooling, for (N, C, S, H, W) or (N, C * S, H, W)."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x):
        return self.pool(x.flatten(1, -3)).unflatten(1, x.shape[1:-2])


class _Reduced(nn.Module):
    """A function of (N, C, S, H, W)."""

    def __init__(self, reduce):
        super().__init__()
        self.reduce = reduce

    def forward(self, x):
        return self.reduce(x)


class _Dropped(nn.Module):
    """Dropout of whole fibers: `fibers` makes x (B, fiber, H, W), and what torch.nn.Dropout1d drops is a row."""

    def __init__(self, fibers, dropout):
        super().__init__()
        self.fibers, self.dropout = fibers, dropout

    def forward(self, x):
        rows = self.fibers(x).flatten(2).transpose(1, 2)  # (B, H * W, fiber)
        return self.dropout(rows).transpose(1, 2).reshape(x.shape)


def _unfolded(stabilizer_size):
    """Modules that make (N, C, S, H, W) of itself or of (N, C * S, H, W)."""
    return nn.Flatten(1, -3), nn.Unflatten(1, (-1, stabilizer_size))


def _parameter(tensor):
    """The parameter itself; of a tensor made of one, a parameter with its values; None of None."""
    if tensor is None or isinstance(tensor, nn.Parameter):
        return tensor
    return nn.Parameter(tensor.detach().clone(), tensor.requires_grad)
