"""Contender escnn: R2Conv between regular representations, channels and stabilizer axis as ours.

Its filters are expanded from a band-limited basis: 48 free numbers a pair of channels, where a p4m
filter of 3x3 has 72. What it computes is a subset of what our layers do, at the same folded shape.
"""

import warnings

from benchmarks.sizes import KSIZE, PADDING
from benchmarks.torch_layers import TorchContender

with warnings.catch_warnings():
    # It warns that py3nj is missing. That does not build on a current Python, and is for SO(3) alone.
    warnings.filterwarnings("ignore", message="`py3nj` package not found", category=UserWarning)
    from escnn import gspaces
    from escnn.nn import FieldType, GeometricTensor, R2Conv

_GROUP_SPACES = {4: gspaces.rot2dOnR2, 8: gspaces.flipRot2dOnR2}  # by the order of the stabilizer, both with N=4


class Escnn(TorchContender):
    """R2Conv; wrapping the input, as its users must, is part of the call."""

    rival = "escnn"

    def construct(self, shape):
        space = _GROUP_SPACES[shape.spec.output_stabilizer_size](N=4)
        fiber = space.trivial_repr if shape.spec.lifting else space.regular_repr
        in_type = FieldType(space, shape.in_channels * [fiber])
        out_type = FieldType(space, shape.channels * [space.regular_repr])
        return R2Conv(in_type, out_type, kernel_size=KSIZE, padding=PADDING)

    def apply(self, layer, x):
        return layer(GeometricTensor(x, layer.in_type)).tensor


CONTENDERS = {"escnn": Escnn()}
