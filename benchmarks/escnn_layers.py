"""Contender escnn: R2Conv and R3Conv between regular representations, channels and stabilizer axis as ours.

Its filters are expanded from a band-limited basis: 48 free numbers a pair of channels, where a p4m
filter of 3x3 has 72. What it computes is a subset of what our layers do, at the same folded shape.
"""

import warnings
from functools import partial

from benchmarks.networks import NETWORKS
from benchmarks.sizes import NetworkShape
from benchmarks.torch_layers import TorchContender
from groupy.gconv.layer_specs import name_of

with warnings.catch_warnings():
    # It warns that py3nj is missing. That does not build on a current Python, and is for SO(3) alone.
    warnings.filterwarnings("ignore", message="`py3nj` package not found", category=UserWarning)
    from escnn import gspaces
    from escnn.nn import FieldType, GeometricTensor, R2Conv, R3Conv

    from benchmarks.escnn_networks import escnn_network

# By the name of the group. Not p6 and p6m: escnn's grid is square, where a turn by 60 degrees leaves the pixels, and
# its filters approximate. Nor the other groups of space: a layer of Oh takes it two minutes to construct.
_SPACES = {
    "pm": gspaces.flip2dOnR2,
    "p2": partial(gspaces.rot2dOnR2, 2),
    "p2mm": partial(gspaces.flipRot2dOnR2, 2),
    "p4": partial(gspaces.rot2dOnR2, 4),
    "p4m": partial(gspaces.flipRot2dOnR2, 4),
    "O": gspaces.octaOnR3,
}
_CONVOLUTIONS = {2: R2Conv, 3: R3Conv}


class Escnn(TorchContender):
    """R2Conv or R3Conv; wrapping the input, as its users must, is part of the call."""

    rival = "escnn"

    def takes(self, operation, shape):
        if isinstance(shape, NetworkShape):
            fits = shape.dtype == "float32"  # in which escnn's GroupPooling puts out what it is given in any
        else:
            fits = name_of(shape.spec.group) in _SPACES
        return super().takes(operation, shape) and fits

    def layer(self, spec, in_channels, out_channels, kernel_size, stride=1, padding=0, *, device, dtype):
        space = _SPACES[name_of(spec.group)]()
        fiber = space.trivial_repr if spec.lifting else space.regular_repr
        in_type = FieldType(space, in_channels * [fiber])
        out_type = FieldType(space, out_channels * [space.regular_repr])
        layer = _CONVOLUTIONS[spec.ndim](in_type, out_type, kernel_size, stride=stride, padding=padding)
        return layer.to(device, dtype)

    def apply(self, layer, x):
        return layer(GeometricTensor(x, layer.in_type)).tensor

    def folded_filters(self, layer):
        folded, _ = layer.expand_parameters()
        return folded

    def network(self, shape):
        return escnn_network(shape, _SPACES[NETWORKS[shape.network].group](), self.like)


CONTENDERS = {"escnn": Escnn()}
