"""Group equivariant convolutions for Chainer, on today's Python, NumPy and CuPy.

Importing this package bridges Chainer to what is installed, and nothing more: Chainer itself is
imported when a layer is first asked for.
"""

import importlib
from importlib.util import find_spec

from chainer_gconv import bridge

bridge.install()

# What is exported, and the module it stands in.
_EXPORTS = {
    "GBatchNorm": "batch_normalization",
    "P4ConvP4": "p4_conv",
    "P4ConvZ2": "p4_conv",
    "P4MConvP4M": "p4m_conv",
    "P4MConvZ2": "p4m_conv",
    "SplitGConv2D": "splitgconv2d",
    "TransformGFilter": "transform_filter",
    "check_equivariance": "equivariance_check",
    "coset_max_pooling": "pooling",
    "coset_mean_pooling": "pooling",
    "plane_group_spatial_max_pooling": "pooling",
}
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
