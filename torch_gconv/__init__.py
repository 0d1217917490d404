"""Group equivariant convolutions for PyTorch, from the same index tables as the Chainer layers."""

import importlib
from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("torch_gconv needs PyTorch, which is not installed: pip install 'groupy-gconv[torch]'.")

from torch_gconv.batch_normalization import GBatchNorm
from torch_gconv.dropout import GDropout
from torch_gconv.equality import EqualityReport, equality_report
from torch_gconv.equivariance_check import check_equivariance
from torch_gconv.group_normalization import GGroupNorm
from torch_gconv.p4_conv import P4ConvP4, P4ConvZ2
from torch_gconv.p4m_conv import P4MConvP4M, P4MConvZ2
from torch_gconv.planar import planar_form, to_planar
from torch_gconv.pooling import (
    CosetL2Pool,
    CosetMaxPool,
    CosetMeanPool,
    CosetSumPool,
    GAvgPool2d,
    GGlobalMaxPool,
    GGlobalMeanPool,
    GMaxPool2d,
    coset_l2_pooling,
    coset_max_pooling,
    coset_mean_pooling,
    coset_sum_pooling,
    plane_group_spatial_max_pooling,
)
from torch_gconv.residual import GResidualBlock
from torch_gconv.splitgconv2d import SplitGConv2D

__all__ = [
    "CosetL2Pool",
    "CosetMaxPool",
    "CosetMeanPool",
    "CosetSumPool",
    "EqualityReport",
    "GAvgPool2d",
    "GBatchNorm",
    "GDropout",
    "GGlobalMaxPool",
    "GGlobalMeanPool",
    "GGroupNorm",
    "GMaxPool2d",
    "GResidualBlock",
    "P4ConvP4",
    "P4ConvZ2",
    "P4MConvP4M",
    "P4MConvZ2",
    "SplitGConv2D",
    "check_equivariance",
    "coset_l2_pooling",
    "coset_max_pooling",
    "coset_mean_pooling",
    "coset_sum_pooling",
    "equality_report",
    "planar_form",
    "plane_group_spatial_max_pooling",
    "to_planar",
]


def __getattr__(name):
    if name == "models":  # when it is asked for: `python -m torch_gconv.models` must not find it imported
        return importlib.import_module("torch_gconv.models")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
