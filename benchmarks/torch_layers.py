"""Contenders in PyTorch: torch_gconv; the planar convolution of the same folded shape; the old PyTorch port.

The planar convolution is the limit of every implementation that folds the transformed filters.
"""

import warnings
from shutil import which

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import torch_networks
from benchmarks.contenders import Contender
from benchmarks.networks import NETWORKS
from benchmarks.sizes import KSIZE, PADDING, NetworkShape
from benchmarks.targets import (
    CONSTRUCTION,
    EVALUATION,
    INDEX_TABLE,
    NETWORK_TRAINING,
    OPERATIONS,
    TRAINING,
    TRANSFORMATION,
    TRANSFORMATION_WITH_GRADIENT,
)
from groupy.garray.C4_array import C4
from groupy.garray.D4_array import D4
from groupy.gconv.layer_specs import as_group
from torch_gconv import GBatchNorm, GMaxPool2d, layer_of, to_planar
from torch_gconv.splitgconv import SplitGConv

_CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}  # by the dimension of the grid
_CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}


class TorchContender(Contender):
    """A layer of PyTorch.

    operations: that it has
    """

    pool = "torch"
    operations = frozenset(OPERATIONS) - {INDEX_TABLE}

    def takes(self, operation, shape):
        return operation in self.operations and (shape.device == "cpu" or torch.cuda.is_available())

    def layer(self, spec, in_channels, out_channels, kernel_size, stride=1, padding=0, *, device, dtype):
        """Its layer for a LayerSpec, arguments as of nn.Conv2d."""
        raise NotImplementedError

    def ready(self, layer):
        """What is called: the layer or network, in training or evaluation mode, or what is made of it beforehand."""
        return layer

    def apply(self, layer, x):
        """x -> y, tensors; whatever a user has to do around the layer is part of it."""
        return layer(x)

    def folded_filters(self, layer):
        """The folded filters of the layer's canonical ones."""
        raise NotImplementedError

    def network(self, shape):
        """The network of a NetworkShape, of the contender's layers."""
        raise NotImplementedError

    def construct(self, shape):
        factory = {"device": shape.device, "dtype": getattr(torch, shape.dtype)}
        return self.layer(shape.spec, shape.in_channels, shape.channels, KSIZE, padding=PADDING, **factory)

    def input(self, shape):
        """What the layer is given: (N, I * S_in, H, W), in the shape's layout and dtype, on its device."""
        x = torch.from_numpy(shape.feature_map()).to(shape.device, getattr(torch, shape.dtype))
        return x.contiguous(memory_format=_CHANNELS_LAST[shape.ndim]) if shape.layout == "channels_last" else x

    def output_gradient(self, y):
        """What comes from the layers that follow: it lies in memory as y does."""
        return torch.randn_like(y)

    def training_step(self, shape):
        layer, x = self.ready(self.construct(shape)), self.input(shape).requires_grad_()
        gy = self.output_gradient(self.apply(layer, x))

        def step():
            layer.zero_grad()
            x.grad = None
            self.apply(layer, x).backward(gy)

        return step

    def evaluation(self, shape):
        layer, x = self.ready(self.construct(shape).eval()), self.input(shape)

        def evaluate():
            with torch.no_grad():
                return self.apply(layer, x)

        return evaluate

    def filter_transformation(self, shape, gradient):
        layer = self.construct(shape)
        folded_gradient = self.output_gradient(self.folded_filters(layer))

        def transform():
            with torch.no_grad():
                return self.folded_filters(layer)

        def transform_and_back():
            layer.zero_grad()
            self.folded_filters(layer).backward(folded_gradient)

        return transform_and_back if gradient else transform

    def network_training_step(self, shape):
        return torch_networks.training_step(self.ready(self.network(shape)), shape)

    def synchronize(self, shape):
        if shape.device == "cuda":
            torch.cuda.synchronize()

    def like(self, layer):
        """Its layer for one of torch_gconv's, with the same arguments; the networks' kernels are square."""
        factory = {"device": layer.weight.device, "dtype": layer.weight.dtype}
        geometry = layer.kernel_size[0], layer.stride, layer.padding
        return self.layer(layer.spec, layer.in_channels, layer.out_channels, *geometry, **factory)


class OnGroup(TorchContender):
    """A contender whose maps have a stabilizer axis, (N, I, S_in, H, W)."""

    def input(self, shape):
        x = super().input(shape)
        return x if shape.spec.lifting else x.unflatten(1, (shape.in_channels, -1))


class GConv(OnGroup):
    """torch_gconv."""

    rival = "torch_gconv"

    def layer(self, spec, *arguments, **keywords):
        return layer_of(spec)(*arguments, **keywords)

    def folded_filters(self, layer):
        return layer.folded_filters()

    def network(self, shape):
        return torch_networks.published_network(shape)


class CompiledGConv(GConv):
    """torch_gconv, compiled for the one shape."""

    rival = "torch_gconv compiled"
    operations = {EVALUATION, TRAINING, NETWORK_TRAINING}

    def ready(self, layer):
        # What was compiled for other shapes is forgotten: after eight of one class the compiler gives up.
        torch.compiler.reset()
        return torch.compile(layer, dynamic=False)

    def training_step(self, shape):
        return _compiled(super().training_step, shape)

    def evaluation(self, shape):
        return _compiled(super().evaluation, shape)

    def network_training_step(self, shape):
        return _compiled(super().network_training_step, shape)


def _compiled(make_call, shape):
    """make_call(shape), called once: then all is compiled."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch's compiler uses what PyTorch deprecates
        call = make_call(shape)
        call()
    return call


class PlanarForm(GConv):
    """What to_planar makes of a layer of torch_gconv, for deployment."""

    rival = "torch_gconv planar"
    operations = {EVALUATION}

    def ready(self, layer):
        return to_planar(layer)


class Planar(TorchContender):
    """nn.Conv2d or nn.Conv3d in one memory format; conversion of an input in the other is part of the call."""

    rival = "planar"
    operations = TorchContender.operations - {TRANSFORMATION, TRANSFORMATION_WITH_GRADIENT}

    def __init__(self, layout):
        self.layout = layout

    def layer(self, spec, in_channels, out_channels, *geometry, **keywords):
        S_in, S_out = spec.input_stabilizer_size, spec.output_stabilizer_size
        layer = _CONVOLUTIONS[spec.ndim](in_channels * S_in, out_channels * S_out, *geometry, **keywords)
        return layer.to(memory_format=self._memory_format(spec.ndim))

    def apply(self, layer, x):
        return layer(x.contiguous(memory_format=self._memory_format(x.dim() - 2)))

    def network(self, shape):
        S = as_group(NETWORKS[shape.network].group).size

        def norm(layer):
            factory = {"device": layer.weight.device, "dtype": layer.weight.dtype}
            return nn.BatchNorm2d(layer.num_features * S, layer.eps, **factory)

        def pool(layer):
            return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding)

        replacements = {SplitGConv: self.like, GBatchNorm: norm, GMaxPool2d: pool}
        return torch_networks.replace_layers(torch_networks.published_network(shape), replacements)

    def _memory_format(self, ndim):
        return _CHANNELS_LAST[ndim] if self.layout == "channels_last" else torch.contiguous_format


class OldPort(OnGroup):
    """What GrouPy's port to PyTorch does, for the groups that it has; made anew here."""

    rival = "old PyTorch port"
    operations = TorchContender.operations - {CONSTRUCTION}  # in which the port makes its table in a way of its own

    def takes(self, operation, shape):
        has_group = isinstance(shape, NetworkShape) or shape.spec.group in (C4, D4)
        return super().takes(operation, shape) and has_group

    def layer(self, *arguments, **keywords):
        return PortedGConv(*arguments, **keywords)

    def folded_filters(self, layer):
        return layer.folded_filters()

    def network(self, shape):
        network = torch_networks.published_network(shape)
        return torch_networks.replace_layers(network, {SplitGConv: self.like})


class PortedGConv(nn.Module):
    """The group convolution as GrouPy's port to PyTorch computes it.

    x: (N, I, S_in, H, W) -> y: (N, O, S_out, H', W'); weight: (O, I, S_in, k, k); bias: (O,)

    Each forward turns the index table into indices for PyTorch, gathers the filters by them, copies them into the
    order of the planar convolution, convolves, and adds the bias to what comes out. Gradients are those that
    autograd has for these steps: the gather's is an accumulation over the indices.
    Source: github.com/tscohen/GrouPy, groupy/gconv/pytorch_gconv, of 2018. Nothing is copied from it.
    """

    def __init__(self, spec, in_channels, out_channels, kernel_size, stride=1, padding=0, *, device=None, dtype=None):
        super().__init__()
        self.table = np.array(spec.transformation(kernel_size).table)
        S_out, S_in, *kernel = self.table.shape[:-1]
        self.out_channels, self.stabilizer_size, self.stride, self.padding = out_channels, S_out, stride, padding
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, S_in, *kernel, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(out_channels, device=device, dtype=dtype))
        bound = (in_channels * np.prod(kernel)) ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def folded_filters(self):
        """The folded filters, (O * S_out, I * S_in, k, k)."""
        cells = self.table.reshape(-1, 3).astype(np.int64)
        gathered = self.weight[:, :, cells[:, 0], cells[:, 1], cells[:, 2]]  # (O, I, S_out * S_in * k * k)
        orbit = gathered.unflatten(2, self.table.shape[:-1]).transpose(1, 2).contiguous()
        return orbit.flatten(2, 3).flatten(0, 1)

    def forward(self, x):
        """x: (N, I, S_in, H, W), or (N, I, H, W) where S_in is 1 -> y: (N, O, S_out, H', W')."""
        y = F.conv2d(x.flatten(1, -3), self.folded_filters(), None, self.stride, self.padding)
        return y.unflatten(1, (self.out_channels, self.stabilizer_size)) + self.bias[:, None, None, None]


CONTENDERS = {
    "torch_gconv": GConv(),
    "torch_gconv planar": PlanarForm(),
    "planar NCHW": Planar("NCHW"),
    "planar channels_last": Planar("channels_last"),
    "old PyTorch port": OldPort(),
}
LEFT_OUT = {}
if which("g++"):
    CONTENDERS["torch_gconv compiled"] = CompiledGConv()
else:
    LEFT_OUT["torch_gconv compiled"] = "torch.compile needs a C++ compiler on the CPU, and there is no g++"
