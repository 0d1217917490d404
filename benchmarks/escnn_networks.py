"""The published networks in escnn: those of torch_gconv.models, with escnn's module in the place of each of theirs.

Maps are escnn's GeometricTensors, (N, C * S, H, W), from before the first convolution until after the last.
"""

from functools import cache, partial

from escnn.nn import FieldType, GeometricTensor, GroupPooling, InnerBatchNorm, PointwiseMaxPool2D, ReLU
from torch import nn

from benchmarks.networks import NETWORKS
from benchmarks.torch_networks import published_network, replace_layers
from torch_gconv import GBatchNorm, GGlobalMaxPool, GMaxPool2d
from torch_gconv.models import PixelMean
from torch_gconv.splitgconv import SplitGConv


def escnn_network(shape, space, like):
    """The network of a NetworkShape, over an escnn.gspaces space of the same group.

    like: from a layer of torch_gconv to escnn's
    """

    def norm(layer):
        maps = FieldType(space, layer.num_features * [space.regular_repr])
        return InnerBatchNorm(maps, layer.eps).to(layer.weight.device, layer.weight.dtype)

    def pool(layer):
        return OfAnyType(partial(PointwiseMaxPool2D, kernel_size=layer.kernel_size, stride=layer.stride))

    replacements = {
        SplitGConv: like,
        GBatchNorm: norm,
        GMaxPool2d: pool,
        nn.ReLU: lambda layer: OfAnyType(ReLU),
        nn.Dropout: lambda layer: nn.Identity(),  # its published rate is 0
        GGlobalMaxPool: lambda layer: nn.Sequential(OfAnyType(GroupPooling), Untyped(), GGlobalMaxPool(1)),
        PixelMean: lambda layer: nn.Sequential(Untyped(), layer),
    }
    in_channels, *_ = NETWORKS[shape.network].input_shape
    pictures = FieldType(space, in_channels * [space.trivial_repr])
    return nn.Sequential(Typed(pictures), replace_layers(published_network(shape), replacements))


class Typed(nn.Module):
    """Tensors as GeometricTensors of a FieldType."""

    def __init__(self, field_type):
        super().__init__()
        self.field_type = field_type

    def forward(self, x):
        return GeometricTensor(x, self.field_type)


class Untyped(nn.Module):
    """GeometricTensors as tensors."""

    def forward(self, x):
        return x.tensor


class OfAnyType(nn.Module):
    """A module without parameters, made for each FieldType that it meets: escnn's are for one, known beforehand."""

    def __init__(self, make):
        super().__init__()
        self.of_type = cache(make)

    def forward(self, x):
        return self.of_type(x.type)(x)
