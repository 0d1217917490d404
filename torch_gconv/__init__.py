"""Group equivariant convolutions for PyTorch, from the same index tables as the Chainer layers."""

import importlib
from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError("torch_gconv needs PyTorch, which is not installed: pip install 'groupy-gconv[torch]'.")

from torch_gconv.batch_normalization import GBatchNorm, GSyncBatchNorm
from torch_gconv.C4h_conv import C4HConvC4H, C4HConvZ3
from torch_gconv.D4h_conv import D4HConvD4H, D4HConvZ3
from torch_gconv.dropout import GDropout
from torch_gconv.equality import EqualityReport, equality_report
from torch_gconv.equivariance_check import check_equivariance
from torch_gconv.group_normalization import GGroupNorm
from torch_gconv.layers import layer_of
from torch_gconv.O_conv import OConvO, OConvZ3
from torch_gconv.Oh_conv import OHConvOH, OHConvZ3
from torch_gconv.p2_conv import P2ConvP2, P2ConvZ2
from torch_gconv.p2mm_conv import P2MMConvP2MM, P2MMConvZ2
from torch_gconv.p4_conv import P4ConvP4, P4ConvZ2
from torch_gconv.p4m_conv import P4MConvP4M, P4MConvZ2
from torch_gconv.p6_conv import P6ConvP6, P6ConvZ2
from torch_gconv.p6m_conv import P6MConvP6M, P6MConvZ2
from torch_gconv.planar import planar_form, to_planar
from torch_gconv.pm_conv import PMConvPM, PMConvZ2
from torch_gconv.pooling import (
    CosetL2Pool,
    CosetMaxPool,
    CosetMeanPool,
    CosetSumPool,
    GAvgPool2d,
    GAvgPool3d,
    GGlobalMaxPool,
    GGlobalMeanPool,
    GMaxPool2d,
    GMaxPool3d,
    coset_l2_pooling,
    coset_max_pooling,
    coset_mean_pooling,
    coset_sum_pooling,
    plane_group_spatial_max_pooling,
)
from torch_gconv.residual import GResidualBlock
from torch_gconv.splitgconv2d import SplitGConv2D
from torch_gconv.splitgconv3d import SplitGConv3D
from torch_gconv.subgroups import Induce, Restrict, Unrestrict, induce, restrict, unrestrict

__all__ = [
    "C4HConvC4H",
    "C4HConvZ3",
    "CosetL2Pool",
    "CosetMaxPool",
    "CosetMeanPool",
    "CosetSumPool",
    "D4HConvD4H",
    "D4HConvZ3",
    "EqualityReport",
    "GAvgPool2d",
    "GAvgPool3d",
    "GBatchNorm",
    "GDropout",
    "GGlobalMaxPool",
    "GGlobalMeanPool",
    "GGroupNorm",
    "GMaxPool2d",
    "GMaxPool3d",
    "GResidualBlock",
    "GSyncBatchNorm",
    "Induce",
    "OConvO",
    "OConvZ3",
    "OHConvOH",
    "OHConvZ3",
    "P2ConvP2",
    "P2ConvZ2",
    "P2MMConvP2MM",
    "P2MMConvZ2",
    "P4ConvP4",
    "P4ConvZ2",
    "P4MConvP4M",
    "P4MConvZ2",
    "P6ConvP6",
    "P6ConvZ2",
    "P6MConvP6M",
    "P6MConvZ2",
    "PMConvPM",
    "PMConvZ2",
    "Restrict",
    "SplitGConv2D",
    "SplitGConv3D",
    "Unrestrict",
    "check_equivariance",
    "coset_l2_pooling",
    "coset_max_pooling",
    "coset_mean_pooling",
    "coset_sum_pooling",
    "equality_report",
    "induce",
    "layer_of",
    "planar_form",
    "plane_group_spatial_max_pooling",
    "restrict",
    "to_planar",
    "unrestrict",
]


def __getattr__(name):
    if name == "models":  # when it is asked for: `python -m torch_gconv.models` must not find it imported
        return importlib.import_module("torch_gconv.models")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
