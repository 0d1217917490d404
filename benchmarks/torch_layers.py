"""Contenders in PyTorch: torch_gconv, and the planar convolution of the same folded shape.

The planar convolution is the limit of every implementation that folds the transformed filters.
"""

import torch

import torch_gconv
from benchmarks.contenders import Contender
from benchmarks.memory import peak_bytes
from benchmarks.sizes import KSIZE, PADDING


class TorchContender(Contender):
    """A layer of PyTorch."""

    def input(self, shape):
        """What the layer is given: (N, I * S_in, H, W)."""
        return torch.from_numpy(shape.feature_map())

    def apply(self, layer, x):
        """x -> y, tensors; whatever a user has to do around the layer is part of it."""
        return layer(x)

    def training_step(self, shape):
        layer, x, gy = self._ready_to_train(shape)

        def step():
            layer.zero_grad()
            x.grad = None
            self.apply(layer, x).backward(gy)

        return step

    def training_memory(self, shape):
        """Peak bytes of a training step: all it allocates, so the gradients too, but not the parameters."""
        layer, x, gy = self._ready_to_train(shape)
        return peak_bytes(lambda: self.apply(layer, x).backward(gy))

    def evaluation(self, shape):
        layer, x = self.construct(shape).eval(), self.input(shape)

        def evaluate():
            with torch.no_grad():
                self.apply(layer, x)

        return evaluate

    def _ready_to_train(self, shape):
        layer, x = self.construct(shape), self.input(shape).requires_grad_()
        # gy lies in memory as y does: so it comes from the layers that follow.
        return layer, x, torch.randn_like(self.apply(layer, x))


class GConv(TorchContender):
    """torch_gconv, on (N, I, S_in, H, W)."""

    def construct(self, shape):
        layer = getattr(torch_gconv, shape.layer)
        return layer(shape.in_channels, shape.channels, KSIZE, padding=PADDING)

    def input(self, shape):
        x = super().input(shape)
        return x if shape.spec.lifting else x.unflatten(1, (shape.in_channels, -1))


class Planar(TorchContender):
    """nn.Conv2d in one memory format; conversion of the input is part of the call."""

    rival = "planar"

    def __init__(self, memory_format):
        self.memory_format = memory_format

    def construct(self, shape):
        layer = torch.nn.Conv2d(shape.folded_in_channels, shape.folded_out_channels, KSIZE, padding=PADDING)
        return layer.to(memory_format=self.memory_format)

    def apply(self, layer, x):
        return layer(x.contiguous(memory_format=self.memory_format))


CONTENDERS = {
    "torch_gconv": GConv(),
    "planar NCHW": Planar(torch.contiguous_format),
    "planar channels_last": Planar(torch.channels_last),
}
