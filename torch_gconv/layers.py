"""layer_of: from a LayerSpec to its layer class, be the group this library's or one that was added."""

from functools import cache

from torch_gconv.C4h_conv import C4HConvC4H, C4HConvZ3
from torch_gconv.D4h_conv import D4HConvD4H, D4HConvZ3
from torch_gconv.O_conv import OConvO, OConvZ3
from torch_gconv.Oh_conv import OHConvOH, OHConvZ3
from torch_gconv.p2_conv import P2ConvP2, P2ConvZ2
from torch_gconv.p2mm_conv import P2MMConvP2MM, P2MMConvZ2
from torch_gconv.p4_conv import P4ConvP4, P4ConvZ2
from torch_gconv.p4m_conv import P4MConvP4M, P4MConvZ2
from torch_gconv.p6_conv import P6ConvP6, P6ConvZ2
from torch_gconv.p6m_conv import P6MConvP6M, P6MConvZ2
from torch_gconv.pm_conv import PMConvPM, PMConvZ2
from torch_gconv.splitgconv2d import SplitGConv2D
from torch_gconv.splitgconv3d import SplitGConv3D

_CLASSES = (
    *(PMConvZ2, PMConvPM, P2ConvZ2, P2ConvP2, P2MMConvZ2, P2MMConvP2MM),
    *(P4ConvZ2, P4ConvP4, P4MConvZ2, P4MConvP4M, P6ConvZ2, P6ConvP6, P6MConvZ2, P6MConvP6M),
    *(C4HConvZ3, C4HConvC4H, D4HConvZ3, D4HConvD4H, OConvZ3, OConvO, OHConvZ3, OHConvOH),
)
_BASES = {2: SplitGConv2D, 3: SplitGConv3D}


@cache
def layer_of(spec):
    """The layer class of a groupy.gconv.layer_specs.LayerSpec: one class for each, the exported one where there is one.

    Of another group, as add_group makes it known, it is made here; its layers are copied as others are, but
    pickled only where a module of your own defines the class: `class P3ConvP3(SplitGConv2D): spec = ...`.
    """
    for layer in _CLASSES:
        if layer.spec == spec:
            return layer
    return type(spec.name, (_BASES[spec.ndim],), {"spec": spec, "__doc__": f"The G-convolution {spec.name}."})
