"""The interface of GrouPy's old PyTorch port, as far as code and files of its users rely on it.

There a layer was SplitGConv2D with two stabilizer sizes, and a subclass could make an index table of its own; `bias`
was the sixth argument. SplitGConv calls what stands here where that differs from a layer that names its spec.
Source: the port's groupy/gconv/pytorch_gconv/splitgconv2d.py (github.com/adambielski/GrouPy).
"""

import functools
import inspect
from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import torch

from groupy.gconv import geometry
from groupy.gconv.filter_transformation import FilterTransformation
from groupy.gconv.layer_specs import LAYER_SPECS, LayerSpec
from groupy.gconv.make_gconv_indices import (
    make_c4_p4_indices,
    make_c4_z2_indices,
    make_d4_p4m_indices,
    make_d4_z2_indices,
)

__all__ = [
    "make_c4_p4_indices",
    "make_c4_z2_indices",
    "make_d4_p4m_indices",
    "make_d4_z2_indices",
    "make_indices_functions",
    "trans_filter",
]

# By (S_in, S_out).
make_indices_functions = {
    (1, 4): make_c4_z2_indices,
    (4, 4): make_c4_p4_indices,
    (1, 8): make_d4_z2_indices,
    (8, 8): make_d4_p4m_indices,
}
_LAYERS = {(1, 4): "P4ConvZ2", (4, 4): "P4ConvP4", (1, 8): "P4MConvZ2", (8, 8): "P4MConvP4M"}
_SIZES = {"input_stabilizer_size": 1, "output_stabilizer_size": 4}  # and what they are if nobody says


def trans_filter(w, inds):
    """The transformed filters of w (O, I, S_in, k, k), as a gather: (O, S_out, I, S_in, k, k), contiguous.

    inds: the index table, integers (S_out, S_in, k, k, 3), a NumPy array or a tensor; in space likewise
    Any table will do, and it is differentiable as often as one likes. The layers' own way is faster.
    """
    table = torch.as_tensor(np.array(inds) if isinstance(inds, np.ndarray) else inds, device=w.device)
    return w[(slice(None), slice(None), *table.long().unbind(-1))].transpose(1, 2).contiguous()


def takes_ports_arguments(init):
    """A layer's __init__ that takes a bool as sixth argument for the port's `bias`, since it is no dilation.

    The two after it are then the port's too, input_stabilizer_size and output_stabilizer_size.
    """

    @functools.wraps(init)
    def __init__(self, *args, **kwargs):
        if len(args) > 5 and isinstance(args[5], (bool, np.bool_)):
            named = dict(zip(("bias", *_SIZES), args[5:]))
            again = sorted(named.keys() & kwargs.keys())
            if again or len(args) > 8:
                what = f"{again[0]} is given by name too" if again else f"{len(args)} are given"
                raise TypeError(
                    f"{type(self).__name__}: with a bool as sixth argument, bias, the seventh and eighth are the "
                    f"stabilizer sizes and there is no ninth; {what}. Give bias by name."
                )
            args, kwargs = args[:5], {**kwargs, **named}
        init(self, *args, **kwargs)

    return __init__


@dataclass(frozen=True, eq=False)
class OwnTable:
    """What stands for the LayerSpec of a layer whose index table its class makes or its user has set.

    ndim: the dimension of the grid
    base: the LayerSpec that the class names, if it does: its grid, and its filters' support, are kept
    table: int32 (S_out, S_in, k, ..., 1 + d), None until it is made
    """

    name: str
    ndim: int
    base: Optional[LayerSpec] = None
    table: Any = field(default=None, repr=False)

    @property
    def stabilizer(self):
        """The base's Stabilizer, or None."""
        return None if self.base is None else self.base.stabilizer

    def kernel(self, layer, name, ksize):
        """The sides of the kernel, of one integer or ndim; raises as LayerSpec.kernel does."""
        if self.base is not None:
            return self.base.kernel(layer, name, ksize)
        return geometry.as_sides(layer, name, ksize, self.ndim, minimum=1)

    def transformation(self, ksize):
        """The FilterTransformation of the table, which is for one size of kernel."""
        return self._transformation

    @functools.cached_property
    def _transformation(self):
        return FilterTransformation(self.table)

    def filter_support(self, ksize):
        """The taps that a filter has: the base's, or None for all."""
        return None if self.base is None else self.base.filter_support(ksize)

    def __reduce__(self):
        return OwnTable, (self.name, self.ndim, self.base, self.table)  # what was made of the table is made again


def take_sizes(layer, base, given):
    """Give a new layer its stabilizer sizes, and, if its class names no spec, that of the sizes.

    base: SplitGConv; given: what the constructor was given for the two sizes, None if nothing

    Raises TypeError or ValueError, naming the argument, if they contradict each other or mean no layer.
    """
    cls, name = type(layer), type(layer).__name__
    spec = getattr(cls, "spec", None)
    for (attribute, usual), argument in zip(_SIZES.items(), given):
        said = getattr(layer, attribute, None)  # by an attribute or property of the class, as in GrouPy
        due = next((value for value in (getattr(spec, attribute, None), said, argument) if value is not None), usual)
        due = geometry.check_channels(name, attribute, due)
        for value in (said, argument):
            if value not in (None, due):
                raise ValueError(
                    f"{name}: {attribute} must be {due}, as this class has it, got {value!r}; leave it out."
                )
        if said is None:
            setattr(layer, attribute, due)
    if spec is not None:
        return
    sizes = layer.input_stabilizer_size, layer.output_stabilizer_size
    if _makes_table(layer, base):
        layer.spec = OwnTable(name, cls.ndim)
        return
    layer.spec = _usual_spec(layer)
    if layer.spec is None:
        given = (
            f"must be one of {', '.join(map(str, _LAYERS))}; got {sizes}" if cls.ndim == 2 else "name no group in space"
        )
        raise ValueError(
            f"{name}: without a spec, input_stabilizer_size and output_stabilizer_size {given}. Take the group's own "
            "layer, or name its LayerSpec as `spec` in a subclass, or have that override make_transformation_indices."
        )


def take_own_table(layer, base):
    """Give a new layer the index table of its class, if that overrides make_transformation_indices."""
    if not _makes_table(layer, base):
        return
    make = layer.make_transformation_indices
    # GrouPy's method is given the kernel's side, the port's looks it up.
    set_table(layer, make(layer.ksize) if inspect.signature(make).parameters else make())


def set_table(layer, table):
    """Transform a layer's filters by another index table, integers (S_out, S_in, k, k, 3).

    Raises ValueError if it is not of that shape, or does not permute the cells of the filter for each output element.
    """
    name = type(layer).__name__
    array = table.cpu().numpy() if torch.is_tensor(table) else np.asarray(table)
    sizes = layer.input_stabilizer_size, layer.output_stabilizer_size
    expected = (*sizes[::-1], *layer.kernel_size, 1 + layer.spec.ndim)
    if array.shape != expected or array.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: the index table must be integers of shape {expected}, as the functions of "
            f"groupy.gconv.make_gconv_indices make them; got {array.dtype} of shape {array.shape}."
        )
    try:
        FilterTransformation(array)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    usual, base, ndim = _usual_spec(layer), getattr(type(layer), "spec", None), layer.spec.ndim
    vars(layer).pop("spec", None)  # the class's is there still
    if usual is not None and usual.stabilizer.keeps_box(layer.kernel_size):
        if np.array_equal(array, usual.transformation(layer.kernel_size).table):
            if base is None:
                layer.spec = usual
            return
    layer.spec = OwnTable(name, ndim, base, np.array(array, np.int32))


def usual_table(layer, ksize):
    """The index table of a layer whose class does not make one, int32 (S_out, S_in, k, k, 3); ksize None for its own.

    Raises ValueError if the layer has no group, by a spec or by the port's stabilizer sizes.
    """
    spec, name = _usual_spec(layer), type(layer).__name__
    if spec is None:
        sizes = layer.input_stabilizer_size, layer.output_stabilizer_size
        raise ValueError(f"{name}: the port had no index table for stabilizer sizes {sizes}; make it yourself.")
    kernel = spec.kernel(name, "ksize", layer.kernel_size if ksize is None else ksize)
    return np.array(spec.transformation(kernel).table)


def _usual_spec(layer):
    spec = getattr(type(layer), "spec", None)
    if spec is not None or type(layer).ndim != 2:
        return spec
    return LAYER_SPECS.get(_LAYERS.get((layer.input_stabilizer_size, layer.output_stabilizer_size), ""))


def _makes_table(layer, base):
    return type(layer).make_transformation_indices is not base.make_transformation_indices


def is_ports_state(state):
    """Whether the port pickled this __dict__ of a layer: it kept the index table there."""
    return "inds" in state


def restore(layer, state, base):
    """Make a layer of the __dict__ that the port pickled.

    base: SplitGConv, whose constructor gives today's attributes; parameters, buffers, hooks and what a subclass added
        are the state's

    Raises ValueError if it lacks what the port's layers had.
    """
    missing = [name for name in (*_PORTS_ARGUMENTS, "_parameters", "_buffers") if name not in state]
    # Weight norm has weight_g and weight_v, the other old hooks keep the weight among the attributes.
    if not missing and not {"weight", "weight_g"} & {*state, *state["_parameters"]}:
        missing = ["weight"]
    if missing:
        raise ValueError(
            f"{type(layer).__name__}: the pickled layer lacks {', '.join(missing)}, so it is of another port than "
            "adambielski/GrouPy. Save net.state_dict() with the code that wrote it, and load that."
        )
    sizes = {name: state[name] for name in _SIZES if name in state}
    arguments = {name: state[name] for name in _PORTS_ARGUMENTS}
    theirs = {name: value for name, value in state.items() if name not in {*_PORTS_ARGUMENTS, *_SIZES, "ksize", "inds"}}
    layer.__dict__.update(theirs)  # a method of theirs that makes the index table may look at them
    base.__init__(layer, **arguments, **sizes, device="meta")  # where nothing is drawn
    buffers = {**layer._buffers, **theirs["_buffers"]}
    layer.__dict__.update(theirs, _buffers=buffers)
    layer.inds = state["inds"]


_PORTS_ARGUMENTS = ("in_channels", "out_channels", "kernel_size", "stride", "padding")
