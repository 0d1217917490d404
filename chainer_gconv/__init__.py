"""Group equivariant convolutions for Chainer, on today's Python, NumPy and CuPy."""

from importlib.util import find_spec

from chainer_gconv import bridge

if find_spec("chainer") is None:
    raise ImportError("chainer_gconv needs Chainer, which is not installed: pip install 'groupy-gconv[chainer]'.")
bridge.install()

from chainer_gconv.batch_normalization import GBatchNorm
from chainer_gconv.p4_conv import P4ConvP4, P4ConvZ2
from chainer_gconv.p4m_conv import P4MConvP4M, P4MConvZ2
from chainer_gconv.pooling import (
    coset_max_pooling,
    coset_mean_pooling,
    plane_group_spatial_max_pooling,
)
from chainer_gconv.splitgconv2d import SplitGConv2D
from chainer_gconv.transform_filter import TransformGFilter, transform_filter

__all__ = [
    "GBatchNorm",
    "P4ConvP4",
    "P4ConvZ2",
    "P4MConvP4M",
    "P4MConvZ2",
    "SplitGConv2D",
    "TransformGFilter",
    "coset_max_pooling",
    "coset_mean_pooling",
    "plane_group_spatial_max_pooling",
    "transform_filter",
]
