"""Batch normalization folded into the convolution before it, for planar models in evaluation.

With scale = weight / sqrt(running_var + eps), for each channel and all of its stabilizer,
    batch_norm(conv(x, W) + b) = conv(x, scale * W) + scale * (b - running_mean) + bias
A ReLU that follows is put next to the convolution, where quantizers look for it, before the stabilizer gets an axis of
its own. The model's own ReLU stays, since code may call it and a second one changes nothing.
"""

from collections import Counter, OrderedDict
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import fx, nn

from torch_gconv.batch_normalization import _GroupBatchNorm
from torch_gconv.splitgconv import SplitGConv

_RELUS = (torch.relu, torch.relu_, F.relu, F.relu_, "relu", "relu_")

# What a forward may raise when it is called with proxies.
_UNTRACEABLE = (fx.proxy.TraceError, TypeError, ValueError, AttributeError, RuntimeError, LookupError)


class Pair(NamedTuple):
    """A convolution and the normalization that alone takes what it puts out, by paths; relu: whether ReLU follows."""

    conv: str
    norm: str
    relu: bool


def pairs_of(model, is_whole):
    """The Pairs of a model, a copy whose forward is called with proxies (torch.fx).

    is_whole: whether a module is not looked into, since a rule says what becomes of it
    Where a forward cannot be traced, the modules inside are looked at one by one.
    Raises ValueError if a normalization to be folded is in training.
    """

    def is_leaf(module):
        return is_whole(module) or not any(isinstance(part, (SplitGConv, _GroupBatchNorm)) for part in module.modules())

    paths = Counter(id(module) for _, module in model.named_modules(remove_duplicate=False))
    return [pair for pair in _pairs(model, "", is_leaf) if _is_foldable(model, pair, paths)]


def _pairs(module, prefix, is_leaf):
    if is_leaf(module):
        return
    try:
        graph = _Tracer(is_leaf).trace(module)
    except _UNTRACEABLE:
        for name, child in module.named_children():
            yield from _pairs(child, f"{prefix}{name}.", is_leaf)
        return
    calls = [node for node in graph.nodes if node.op == "call_module"]
    modules = {node: module.get_submodule(node.target) for node in calls}
    times = Counter(id(modules[node]) for node in calls)
    for conv in calls:
        norm = _only_user(conv)
        if norm not in modules or norm.args != (conv,) or norm.kwargs:
            continue
        is_pair = isinstance(modules[conv], SplitGConv) and isinstance(modules[norm], _GroupBatchNorm)
        if is_pair and times[id(modules[conv])] == times[id(modules[norm])] == 1:
            relu = _only_user(norm)
            is_relu = relu is not None and (isinstance(modules.get(relu), nn.ReLU) or relu.target in _RELUS)
            yield Pair(f"{prefix}{conv.target}", f"{prefix}{norm.target}", is_relu)


def _only_user(node):
    return next(iter(node.users)) if len(node.users) == 1 else None


class _Tracer(fx.Tracer):
    def __init__(self, is_leaf):
        super().__init__()
        self._is_leaf = is_leaf

    def is_leaf_module(self, m, module_qualified_name):
        return self._is_leaf(m)


def _is_foldable(model, pair, paths):
    conv, norm = model.get_submodule(pair.conv), model.get_submodule(pair.norm)
    if norm.training and norm.track_running_stats:
        raise ValueError(
            f"to_planar: fold_batch_norm=True folds running statistics, and {pair.norm}, of class "
            f"{type(norm).__name__}, is in training. Call model.eval() first."
        )
    # Outside of the hexagon both put out zero, or neither does; a mask of the user's own may be another.
    masks_alike = norm.hexagonal == conv.masks_output and not torch.is_tensor(conv.output_mask)
    is_alone = paths[id(conv)] == paths[id(norm)] == 1
    return is_alone and masks_alike and norm.track_running_stats and norm.num_features == conv.out_channels


def fold(form, layer, norm, relu):
    """The planar form of a layer, with its normalization folded in, and ReLU besides if asked for."""
    S, conv = layer.output_stabilizer_size, form.conv
    dtype = torch.promote_types(conv.weight.dtype, torch.float32)
    variance, mean = norm.running_var.to(dtype), norm.running_mean.to(dtype)
    weight, shift = (1, 0) if norm.weight is None else (norm.weight.to(dtype), norm.bias.to(dtype))
    scale = weight / (variance + norm.eps).sqrt()
    bias = 0 if layer.bias is None else layer.bias.to(dtype)
    scales = scale.repeat_interleave(S).reshape(-1, *(1,) * (conv.weight.dim() - 1))
    weight, bias = conv.weight.to(dtype) * scales, ((bias - mean) * scale + shift).repeat_interleave(S)
    for name, value in (("weight", weight), ("bias", bias)):
        value = value.to(conv.weight.dtype)
        setattr(conv, name, nn.Parameter(value.detach().clone(), value.requires_grad))
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name, part in form.named_children():
        parts[name] = part
        if part is conv and relu:
            parts["relu"] = nn.ReLU()
    return nn.Sequential(parts)
