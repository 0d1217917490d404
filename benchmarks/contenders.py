"""The contenders: what each must be able to do, and which of them can run here."""

import math
from importlib import import_module

SUBJECT = "torch_gconv"  # the one whose figures are reported, against each of the others

# module: what it holds. Each imports its framework, and has CONTENDERS, {name: Contender}.
_MODULES = {
    "benchmarks.torch_layers": "torch_gconv and the planar convolution",
    "benchmarks.escnn_layers": "escnn",
    "benchmarks.chainer_layers": "chainer_gconv",
}


class Contender:
    """One implementation of the layers. All are given the same feature maps, contiguous (NCHW).

    rival: what it counts as. The fastest of those that count as one rival stands for it.
    most_folded_channels: it is left out where the layer puts out more
    """

    rival = None
    most_folded_channels = math.inf

    def construct(self, shape):
        """The layer."""
        raise NotImplementedError

    def construction(self, shape):
        """A call that constructs the layer, and drops it."""

        def construct():
            self.construct(shape)

        return construct

    def training_step(self, shape):
        """A call: drop the last gradients, forward, backward of sum(y * gy) to input and parameters."""
        raise NotImplementedError

    def evaluation(self, shape):
        """A call: forward in evaluation mode, without gradients, of weights that stay as they are."""
        raise NotImplementedError


def load_contenders():
    """({name: Contender} of all that can run here, {what: why not} of the others)."""
    contenders, left_out = {}, {}
    for module, what in _MODULES.items():
        try:
            contenders.update(import_module(module).CONTENDERS)
        except ImportError as error:
            left_out[what] = str(error)
    return contenders, left_out
