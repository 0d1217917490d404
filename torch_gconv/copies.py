"""Copies of models whose weights are recomputed before each call, by hooks of torch.nn.utils or by parametrizations.

torch.nn.utils.prune, weight_norm and spectral_norm put a tensor in a parameter's place and recompute it by a forward
pre-hook; parametrizations do so on each access, by a property of a class that is made for the module.
"""

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

# By the class of a hook: the attribute with its tensor's name, and the ends of the names of what it computes that from.
_RECOMPUTING = {
    BasePruningMethod: ("_tensor_name", ("_orig", "_mask")),
    WeightNorm: ("name", ("_g", "_v")),
    SpectralNorm: ("name", ("_orig", "_u", "_v")),
}


def copy_of(thing, *models):
    """A deep copy of a model, or of what is given to one, tensors that were computed with gradients being cut off.

    models: those that `thing` may hold; itself if it is one
    PyTorch copies only tensors that were not computed, and a weight that a hook has computed is an attribute of its
    module.
    """
    held = [value for model in models for module in model.modules() for value in vars(module).values()]
    computed = (tensor for tensor in _tensors([thing, *held]) if not tensor.is_leaf)
    # What stands in the memo counts as copied already.
    return copy.deepcopy(thing, {id(tensor): tensor.detach().clone() for tensor in computed})


def _tensors(tree):
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for branch in tree:
            yield from _tensors(branch)
    elif isinstance(tree, dict):
        yield from _tensors(list(tree.values()))


def settle(module):
    """Make plain parameters and buffers of what a module recomputes, with the values that it has in evaluation.

    Of a parametrized module the class is again what it was. What a value is computed from goes. Submodules, and
    parameters that other modules share, stay as they are.
    """
    training, module.training = module.training, False  # in training, spectral norm would move on by a step
    _settle_hooks(module)
    module.training = training
    if parametrize.is_parametrized(module):
        _settle_parametrizations(module)
    for hooks in (module._state_dict_hooks, module._load_state_dict_pre_hooks):  # they look for what is gone
        for key in [key for key, hook in hooks.items() if _is_of_torch(hook)]:
            del hooks[key]


def _settle_hooks(module):
    hooks = {key: hook for key, hook in module._forward_pre_hooks.items() if isinstance(hook, tuple(_RECOMPUTING))}
    names, parts = [], set()
    for key, hook in hooks.items():
        attribute, ends = next(row for kind, row in _RECOMPUTING.items() if isinstance(hook, kind))
        hook(module, ())
        names.append(getattr(hook, attribute))
        parts.update(names[-1] + end for end in ends)
        del module._forward_pre_hooks[key]
    values = {name: getattr(module, name) for name in names if name not in parts}  # a part may be pruned itself
    for name in parts.union(values):
        delattr(module, name)
    for name, value in values.items():
        module.register_parameter(name, _like(value))


def _settle_parametrizations(module):
    lists = dict(module.parametrizations.eval().items())
    values = {name: getattr(module, name) for name in lists}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        if next(lists[name].parameters(recurse=False), None) is None:
            module.register_buffer(name, value.detach().clone())
        else:
            module.register_parameter(name, _like(value))


def _is_of_torch(hook):
    return getattr(getattr(hook, "hook", hook), "__module__", "").startswith("torch.nn.utils.")


def _like(value):
    return nn.Parameter(value.detach().clone(), value.requires_grad)
