"""Group equivariant convolutions for Chainer, on today's Python, NumPy and CuPy.

Importing this package bridges Chainer to what is installed, and nothing more: Chainer itself is
imported when a layer is first asked for.
"""

import importlib
from importlib.util import find_spec

from chainer_gconv import bridge

bridge.install()

# What is exported, by the module that it stands in.
_MODULES = {
    "C4h_conv": ("C4HConvC4H", "C4HConvZ3"),
    "D4h_conv": ("D4HConvD4H", "D4HConvZ3"),
    "O_conv": ("OConvO", "OConvZ3"),
    "Oh_conv": ("OHConvOH", "OHConvZ3"),
    "batch_normalization": ("GBatchNorm",),
    "equivariance_check": ("check_equivariance",),
    "layers": ("layer_of",),
    "p2_conv": ("P2ConvP2", "P2ConvZ2"),
    "p2mm_conv": ("P2MMConvP2MM", "P2MMConvZ2"),
    "p4_conv": ("P4ConvP4", "P4ConvZ2"),
    "p4m_conv": ("P4MConvP4M", "P4MConvZ2"),
    "p6_conv": ("P6ConvP6", "P6ConvZ2"),
    "p6m_conv": ("P6MConvP6M", "P6MConvZ2"),
    "pm_conv": ("PMConvPM", "PMConvZ2"),
    "pooling": ("coset_max_pooling", "coset_mean_pooling", "plane_group_spatial_max_pooling"),
    "splitgconv2d": ("SplitGConv2D",),
    "splitgconv3d": ("SplitGConv3D",),
    "subgroups": ("induce", "restrict", "unrestrict"),
    "transform_filter": ("TransformGFilter",),
}
_EXPORTS = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_EXPORTS)


def __getattr__(name):
    if name not in _EXPORTS and name != "models":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec("chainer") is None:
        raise ImportError(f"chainer_gconv.{name} needs Chainer: pip install 'groupy-gconv[chainer]'.")
    if name == "models":
        return importlib.import_module("chainer_gconv.models")
    value = getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    globals()[name] = value  # the next time it is simply there
    return value


def __dir__():
    return sorted({*globals(), *__all__})
