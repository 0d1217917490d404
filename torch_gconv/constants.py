"""Constants of layers: tensors that follow from numbers alone, as index tables and the points of a hexagon do.

They are made once for each device and shared by all layers that need the same, so that no state, copy or pickle
of a layer holds them.
"""

import warnings
from functools import lru_cache

import torch
from torch import nn


def constant(make, arguments, like):
    """make(*arguments), an array or a tensor, as a tensor on the device of the tensor `like`.

    arguments: hashable
    Where `like` is a fake tensor, or of another class, it is made anew: what is kept must be of use to all.
    """
    return (_kept if is_plain(like) else _made)(make, arguments, like.device)


def is_plain(tensor):
    """Whether a tensor is of PyTorch's own class, not fake nor distributed."""
    return type(tensor) in (torch.Tensor, nn.Parameter)


def runs_eagerly():
    """Whether operations are carried out as they stand: under no compiler, tracer or transform of torch.func."""
    return not (sizes_are_symbols() or torch._C._are_functorch_transforms_active())


def sizes_are_symbols():
    """Whether a compiler or tracer is at work, which may hand out sizes that are no numbers."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def static_shape(x):
    """x's shape in numbers: under torch.jit.trace those of the example, without its warning that they are fixed."""
    if not torch.jit.is_tracing():
        return x.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch.Size(map(int, x.shape))


def _made(make, arguments, device):
    return torch.as_tensor(make(*arguments), device=device)


@lru_cache(maxsize=1024)
def _kept(make, arguments, device):
    with torch.inference_mode(False):  # an inference tensor could not take part in training later
        return _made(make, arguments, device)
