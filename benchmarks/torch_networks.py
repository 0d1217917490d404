"""Training steps of the published networks in PyTorch: torch_gconv.models, or the same with other layers in it."""

import torch
import torch.nn.functional as F

from benchmarks.networks import LEARNING_RATE, MOMENTUM, NETWORKS, batch_of, published_sizes
from torch_gconv.models import build


def published_network(shape):
    """The network of torch_gconv.models that a NetworkShape names, on its device and in its dtype."""
    return build(NETWORKS[shape.network], device=shape.device, dtype=getattr(torch, shape.dtype))


def replace_layers(module, replacements):
    """Put replacements[kind](layer) in the place of every layer of a kind in a module; returns the module.

    replacements: {class: function of the layer}; of classes that both fit, the first counts
    """
    for name, child in module.named_children():
        make = next((make for kind, make in replacements.items() if isinstance(child, kind)), None)
        setattr(module, name, make(child) if make else replace_layers(child, replacements))
    return module


def training_step(network, shape):
    """A call: loss of a batch, its gradients, an update by SGD with momentum."""
    pictures, labels = (torch.from_numpy(array).to(shape.device) for array in batch_of(shape))
    pictures, labels = pictures.to(getattr(torch, shape.dtype)), labels.long()
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE, MOMENTUM)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(network(pictures), labels).backward()
        optimizer.step()

    with published_sizes():  # each layer warns but once
        step()
    return step
