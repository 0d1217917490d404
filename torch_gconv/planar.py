"""Equal models of stock torch.nn modules alone: what is deployed needs PyTorch, and not this project.

A group convolution is an ordinary convolution by transformed filters; here they are transformed once and for all.
docs/deployment.md says what becomes of each kind of layer.
Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 7.
"""

from collections import OrderedDict
from functools import singledispatch

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from torch_gconv.batch_norm_folding import fold, pairs_of
from torch_gconv.batch_normalization import _GroupBatchNorm
from torch_gconv.copies import copy_of, settle
from torch_gconv.dropout import GDropout
from torch_gconv.group_normalization import GGroupNorm
from torch_gconv.hexagonal import grid_points
from torch_gconv.pooling import GAvgPool2d, GAvgPool3d, GMaxPool2d, GMaxPool3d, _OnTheGroup
from torch_gconv.splitgconv import SplitGConv, padded_sides
from torch_gconv.subgroups import _SubgroupMap


def to_planar(model, *, trace=False, fold_batch_norm=False):
    """A copy of a model in which every module of this project is made of stock modules and operations of PyTorch.

    trace: True to trace (torch.fx) the modules of all other classes too, so that the copy unpickles without their code
    fold_batch_norm: True to fold into a convolution of this project the GBatchNorm that alone takes what it puts out,
        in evaluation; what becomes of that is an nn.Identity. docs/deployment.md says where such pairs are found

    Submodules keep their paths, training flags, devices, dtypes and requires_grad, and a layer used in several places
    stays one layer. The keys of the state dict differ. Folded in, with the values of evaluation, are filter masks,
    parametrizations, and the hooks of torch.nn.utils.prune, weight_norm and spectral_norm.
    Raises TypeError for a module whose planar form is not known, ValueError for one with other forward hooks,
    and for a GBatchNorm that is to be folded and is in training.
    """
    model = getattr(model, "_orig_mod", model)  # torch.compile's wrapper would go on to call what it has compiled
    with torch.enable_grad():  # so that what is made of a parameter says whether the parameter requires gradients
        copied = copy_of(model, model)
        if trace:  # PyTorch does not pickle what is parametrized
            for module in filter(is_parametrized, list(copied.modules())):
                settle(module)
        root, done = type_before_parametrizations(model).__name__, {}
        is_replaced = _is_not_torchs if trace else _is_ours
        for pair in pairs_of(copy_of(model, model), _is_ruled) if fold_batch_norm else ():
            _fold_pair(copied, pair, root, is_replaced, done)
        return _planar(copied, root, is_replaced, done)


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


def _fold_pair(model, pair, root, is_replaced, done):
    """Put into `done` what becomes of a Pair of a model, unless one of the two has a rule of its own."""
    conv, norm = model.get_submodule(pair.conv), model.get_submodule(pair.norm)
    if _rule_of(conv) is _rule_of(SplitGConv) and _rule_of(norm) is _rule_of(_GroupBatchNorm):
        form, _ = _form_of(conv, f"{root}.{pair.conv}"), _form_of(norm, f"{root}.{pair.norm}")  # with their errors
        form = fold(form, conv, norm, pair.relu).train(conv.training)
        form.folded_norm = pair.norm  # for equality_report
        done[conv] = _planar(form, f"{root}.{pair.conv}", is_replaced, done)
        done[norm] = nn.Identity().train(norm.training)


def _rule_of(module):
    return planar_form.dispatch(module if isinstance(module, type) else type(module))


def _is_ruled(module):
    return _rule_of(module) is not _rule_of(object)


def _form_of(module, path):
    settle(module)
    kind = type(module).__name__
    what = f"to_planar: {path}, of class {kind},"
    for hooks, function in (("_forward_hooks", "forward_hook"), ("_forward_pre_hooks", "forward_pre_hook")):
        for hook in getattr(module, hooks).values():
            name, place = getattr(hook, "__qualname__", type(hook).__qualname__), path.partition(".")[2]
            raise ValueError(
                f"{what} has a {function.replace('_', ' ')}, {name}, which has no planar form. Remove it before: call "
                f"remove() on what register_{function} returned, or model.get_submodule({place!r}).{hooks}.clear()."
            )
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
def _(layer: SplitGConv):
    S_in, S_out, window, ndim = layer.input_stabilizer_size, layer.output_stabilizer_size, layer.window, layer.spec.ndim
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if layer._is_hexagonal:
        parts["points"] = _Masked(layer)
    parts["fold"] = _fold(ndim)
    if not window.is_centred:
        # nn.Conv2d and nn.Conv3d pad more on one side too, given padding='same', but warn of the copy that this takes.
        parts["pad"] = _PADS[ndim][layer.padding_mode](padded_sides(window))
    parts["conv"] = conv = _CONVOLUTIONS[ndim](
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
    if layer.masks_output:
        parts["mask"] = _Masked(layer)
    if not layer.flat_channels:
        parts["unfold"] = _Unfold(S_out, ndim)
    return nn.Sequential(parts)


_CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}

_PADS: dict = {
    2: {
        "zeros": nn.ZeroPad2d,
        "circular": nn.CircularPad2d,
        "reflect": nn.ReflectionPad2d,
        "replicate": nn.ReplicationPad2d,
    },
    3: {
        "zeros": nn.ZeroPad3d,
        "circular": nn.CircularPad3d,
        "reflect": nn.ReflectionPad3d,
        "replicate": nn.ReplicationPad3d,
    },
}


@planar_form.register
def _(layer: _GroupBatchNorm):
    if layer.hexagonal:
        if layer.takes_statistics:
            raise ValueError(
                "GBatchNorm of hexagonal maps has a planar form in evaluation alone; call model.eval() first."
            )
        return _NormalizedHexagon(layer)
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
    if layer.hexagonal:
        return _Pooled(layer._pool_hexagons, layer.ndim)
    return _Pooled(nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding, layer.dilation), layer.ndim)


@planar_form.register
def _(layer: GMaxPool3d):
    return _Pooled(nn.MaxPool3d(layer.kernel_size, layer.stride, layer.padding, layer.dilation), layer.ndim)


@planar_form.register
def _(layer: GAvgPool2d):
    options = {"count_include_pad": layer.count_include_pad}
    return _Pooled(nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, **options), layer.ndim)


@planar_form.register
def _(layer: GAvgPool3d):
    options = {"count_include_pad": layer.count_include_pad}
    return _Pooled(nn.AvgPool3d(layer.kernel_size, layer.stride, layer.padding, **options), layer.ndim)


@planar_form.register
def _(layer: _OnTheGroup):
    reduced = _Reduced(layer._pool)
    return reduced if layer.stabilizer_size is None else nn.Sequential(*_unfolded(layer), reduced)


@planar_form.register
def _(layer: GDropout):
    fibers: nn.Module
    if not layer.per_channel:
        fibers = _fold(layer.ndim)
    elif layer.stabilizer_size is None:
        fibers = nn.Flatten(0, 1)
    else:
        fibers = nn.Sequential(*_unfolded(layer), nn.Flatten(0, 1))
    return _Dropped(fibers, nn.Dropout1d(layer.p))


@planar_form.register
def _(layer: _SubgroupMap):
    return _Rearranged(layer)


# The exporter of TorchScript takes sizes after `unflatten`, and shapes that are handed on as a whole, for constants,
# the batch too. So the sizes are named one by one. What masks leave out is not multiplied, since 0 * inf is NaN.


class _Unfold(nn.Module):
    """(N, C * S, ...) -> (N, C, S, ...), on a grid of ndim axes."""

    def __init__(self, stabilizer_size, ndim):
        super().__init__()
        self.stabilizer_size, self.ndim = stabilizer_size, ndim

    def forward(self, x):
        N, channels, *grid = (x.shape[axis] for axis in range(2 + self.ndim))
        return x.reshape(N, channels // self.stabilizer_size, self.stabilizer_size, *grid)


class _Masked(nn.Module):
    """A map within a layer's mask: one of the user's own, a buffer, or the hexagon of the map's size."""

    def __init__(self, layer):
        super().__init__()
        self.rows = layer._oblique_rows
        self.register_buffer("mask", layer.output_mask if torch.is_tensor(layer.output_mask) else None)

    def forward(self, y):
        return torch.where(grid_points(y, self.rows) if self.mask is None else self.mask, y, 0)


class _Normalized(nn.Module):
    """A normalization of (N, C, pixels, W), for (N, C, S, ..., W) or (N, C * S, ..., W), with `layer`'s parameters."""

    def __init__(self, norm, channels, layer):
        super().__init__()
        self.norm, self.channels = norm, channels
        norm.weight, norm.bias = _parameter(layer.weight), _parameter(layer.bias)

    def forward(self, x):
        return self.norm(_rows(x, self.channels)).reshape_as(x)


class _NormalizedHexagon(nn.Module):
    """GBatchNorm of hexagonal maps, by the statistics that `layer` has, in training too."""

    def __init__(self, layer):
        super().__init__()
        self.channels, self.eps = layer.num_features, layer.eps
        self.weight, self.bias = _parameter(layer.weight), _parameter(layer.bias)
        self.register_buffer("running_mean", layer.running_mean)
        self.register_buffer("running_var", layer.running_var)

    def forward(self, x):
        points, statistics = grid_points(x), (self.running_mean, self.running_var)
        rows = _rows(torch.where(points, x, 0), self.channels)
        y = F.batch_norm(rows, *statistics, self.weight, self.bias, eps=self.eps)
        return torch.where(points, y.reshape_as(x), 0)


class _Pooled(nn.Module):
    """Pooling over pixels of (N, C * S, ...), for maps with a stabilizer axis too."""

    def __init__(self, pool, ndim):
        super().__init__()
        self.pool, self.ndim = pool, ndim

    def forward(self, x):
        y = self.pool(x.flatten(1, -1 - self.ndim))
        return y.reshape(x.shape[: -self.ndim] + y.shape[-self.ndim :])


class _Reduced(nn.Module):
    """A function of maps with a stabilizer axis."""

    def __init__(self, reduce):
        super().__init__()
        self.reduce = reduce

    def forward(self, x):
        return self.reduce(x)


class _Rearranged(nn.Module):
    """A map between a group and a subgroup, its index table a buffer."""

    def __init__(self, layer):
        super().__init__()
        self.plan, self.rearrange = layer.plan, layer._rearrange
        self.register_buffer("positions", torch.tensor(self.plan.positions))

    def forward(self, x):
        return self.rearrange(x, self.plan, self.positions)


class _Dropped(nn.Module):
    """Dropout of whole fibers: `fibers` makes x (B, fiber, ...), and what torch.nn.Dropout1d drops is a row."""

    def __init__(self, fibers, dropout):
        super().__init__()
        self.fibers, self.dropout = fibers, dropout

    def forward(self, x):
        rows = self.fibers(x).flatten(2).transpose(1, 2)  # (B, pixels, fiber)
        return self.dropout(rows).transpose(1, 2).reshape_as(x)


def _rows(x, channels):
    """(N, C, S, ..., W) or (N, C * S, ..., W) -> (N, C, pixels, W)."""
    return x.flatten(1, -2).unflatten(1, (channels, -1))


def _fold(ndim):
    """A module that makes (N, C * S, ...) of itself or of (N, C, S, ...), on a grid of ndim axes."""
    return nn.Flatten(1, -1 - ndim)


def _unfolded(layer):
    """Modules that make (N, C, S, ...) of itself or of (N, C * S, ...)."""
    return _fold(layer.ndim), _Unfold(layer.stabilizer_size, layer.ndim)


def _parameter(tensor):
    """The parameter itself; of a tensor made of one, a parameter with its values; None of None."""
    if tensor is None or isinstance(tensor, nn.Parameter):
        return tensor
    return nn.Parameter(tensor.detach().clone(), tensor.requires_grad)
