"""layer_of: the layer class of a LayerSpec, for groups that the library does not know too."""

from functools import cache

import chainer_gconv
from chainer_gconv.splitgconv2d import SplitGConv2D
from chainer_gconv.splitgconv3d import SplitGConv3D

_BASES = {base.ndim: base for base in (SplitGConv2D, SplitGConv3D)}


@cache
def layer_of(spec):
    """The layer class of a groupy.gconv.layer_specs.LayerSpec: the exported one, or a new one of its name.

    The same spec gives the same class each time. A new class is in no module, so that its layers cannot be
    pickled; write `class MyConvZ2(SplitGConv2D): spec = ...` where they must be.
    """
    exported = getattr(chainer_gconv, spec.name, None)
    if getattr(exported, "spec", None) == spec:
        return exported
    return type(spec.name, (_BASES[spec.ndim],), {"spec": spec, "__doc__": f"The layer of {spec.name}."})
