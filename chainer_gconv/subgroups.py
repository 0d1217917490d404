"""Maps between feature maps on a group and on a subgroup of it, by which a network lowers its symmetry half way up.

All of them permute the stabilizer axis, and are linear; they commute with translations and with the
elements of the subgroup. See groupy.gconv.subgroups for what they are. x lies on the plane, (..., H, W),
or in space, (..., D, H, W); group and subgroup are names ('p4m', or its stabilizer, 'D4') or FiniteGroups.
Source: Serre, Linear Representations of Finite Groups (1977), sections 3.3 and 7.2.
"""

import chainer
import chainer.functions as F
import numpy as np

from groupy.gconv.subgroups import subgroup_of


def restrict(x, group, subgroup):
    """A feature map on a group, as one on a subgroup: (N, C, |H|, ...) -> (N, C * |H| / |K|, |K|, ...).

    Channel c * |H| / |K| + i of the result is channel c on coset i. Nothing is lost: see unrestrict.
    Raises ValueError for a shape that does not fit, or if the second is not a subgroup of the first.
    """
    maps = subgroup_of(group, subgroup)
    x, (N, C, *grid) = _checked("restrict", x, maps, maps.group)
    x = F.permutate(x, _indices(x, maps.gather), axis=2)
    return F.reshape(x, (N, C * maps.index, maps.subgroup.size, *grid))


def unrestrict(x, group, subgroup):
    """The inverse of restrict: (N, C * |H| / |K|, |K|, ...) -> (N, C, |H|, ...).

    It commutes with the subgroup's elements only. Raises ValueError as restrict, and for a number of channels
    that the number of cosets, |H| / |K|, does not divide.
    """
    maps = subgroup_of(group, subgroup)
    x, (N, channels, *grid) = _checked("unrestrict", x, maps, maps.subgroup)
    if channels % maps.index:
        raise ValueError(
            f"unrestrict: x must have a multiple of {maps.index} channels, the cosets of "
            f"{maps.subgroup.stabilizer.name} in {maps.group.stabilizer.name}; got {channels} in shape {x.shape}."
        )
    x = F.reshape(x, (N, channels // maps.index, maps.group.size, *grid))
    return F.permutate(x, _indices(x, maps.inverse), axis=2)


def induce(x, group, subgroup):
    """A feature map on a subgroup, as one on the group that is zero elsewhere: (N, C, |K|, ...) -> (N, C, |H|, ...).

    Raises ValueError as restrict.
    """
    maps = subgroup_of(group, subgroup)
    x, (N, C, *grid) = _checked("induce", x, maps, maps.subgroup)
    elsewhere = chainer.backend.get_array_module(x.array).zeros(
        (N, C, maps.group.size - maps.subgroup.size, *grid), x.dtype
    )
    return F.permutate(F.concat((x, elsewhere), axis=2), _indices(x, maps.inverse), axis=2)


def _checked(function, x, maps, group):
    """x as a Variable, and its shape without the stabilizer axis, which is to be that of the group."""
    x, ndim = chainer.as_variable(x), group.stabilizer.ndim
    if x.ndim != 3 + ndim or x.shape[2] != group.size:
        grid = ", ".join("DHW"[-ndim:])
        raise ValueError(
            f"{function}: x must be a feature map on {group.stabilizer.name}, (N, C, {group.size}, {grid}), to go "
            f"between {maps.group.stabilizer.name} and {maps.subgroup.stabilizer.name}; got shape {x.shape}."
        )
    return x, x.shape[:2] + x.shape[3:]


def _indices(x, positions):
    return chainer.backend.get_device_from_array(x.array).send(positions.astype(np.int32))
