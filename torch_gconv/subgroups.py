"""Maps between feature maps on a group and on a subgroup, as functions and modules.

What they are good for, and which elements they commute with: groupy.gconv.subgroups.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from groupy.gconv.layer_specs import name_of
from groupy.gconv.subgroups import subgroup_of
from torch_gconv.constants import constant, sizes_are_symbols, static_shape
from torch_gconv.feature_maps import like


def restrict(x, group, subgroup):
    """A map on a group as one on a subgroup, without loss: (N, C, |H|, ...) -> (N, C * |H| / |K|, |K|, ...).

    Channel c * |H| / |K| + i of the result is what channel c has on the i-th coset of the subgroup.
    group, subgroup: names ('p4m', 'p4') or stabilizers, as groupy.gconv.subgroups.subgroup_of takes them

    Raises ValueError if they are not a group and a subgroup of it, or if x is not a map on the group.
    """
    return Restrict._map(x, group, subgroup)


def unrestrict(x, group, subgroup):
    """The inverse of restrict: (N, C * |H| / |K|, |K|, ...) -> (N, C, |H|, ...).

    Arguments and errors as of restrict; the number of channels must be a multiple of |H| / |K|.
    """
    return Unrestrict._map(x, group, subgroup)


def induce(x, group, subgroup):
    """A map on a subgroup as one on the group that is zero outside of it: (N, C, |K|, ...) -> (N, C, |H|, ...).

    Arguments and errors as of restrict. It is the adjoint of restricting to the subgroup's elements alone.
    """
    return Induce._map(x, group, subgroup)


class _SubgroupMap(nn.Module):
    """A map between a group and a subgroup; a subclass has its `_function`'s name and `_rearrange(x, plan, positions)`.

    group, subgroup: names ('p4m', 'p4') or stabilizers; the attributes are names
    Raises ValueError if they are not a group and a subgroup of it.
    """

    _function: str

    def __init__(self, group, subgroup):
        super().__init__()
        maps = subgroup_of(group, subgroup)
        self.group, self.subgroup = name_of(maps.group), name_of(maps.subgroup)

    @property
    def plan(self):
        """The map in plain numbers, a Plan."""
        return _plan(self._function, self.group, self.subgroup)

    def forward(self, x):
        """A map on one group -> a map on the other."""
        return self._map(x, self.group, self.subgroup)

    @classmethod
    def _map(cls, x, group, subgroup):
        plan = _plan(cls._function, group, subgroup)
        shape = static_shape(x)
        if x.dim() != 3 + plan.ndim or shape[2] != plan.size or shape[1] % plan.channels:
            channels = "C" if plan.channels == 1 else f"C * {plan.channels}"
            expected = f"(N, {channels}, {plan.size}, {'H, W' if plan.ndim == 2 else 'D, H, W'})"
            raise ValueError(f"{cls._function}: x must be a map on {plan.domain}, {expected}, got {tuple(shape)}.")
        if sizes_are_symbols():
            positions = torch.tensor(plan.positions, device=x.device)
        else:
            positions = constant(np.array, (plan.positions,), x)
        return like(cls._rearrange(x, plan, positions), x, plan.ndim)

    def extra_repr(self):
        return f"{self.group!r}, {self.subgroup!r}"


class Restrict(_SubgroupMap):
    """restrict as a module: (N, C, |H|, ...) -> (N, C * |H| / |K|, |K|, ...)."""

    _function = "restrict"

    @staticmethod
    def _rearrange(x, plan, positions):
        N, C, _, *grid = _sizes(x, plan)
        n_cosets, size = plan.cosets
        return x.index_select(2, positions).reshape(N, C * n_cosets, size, *grid)


class Unrestrict(_SubgroupMap):
    """unrestrict as a module: (N, C * |H| / |K|, |K|, ...) -> (N, C, |H|, ...)."""

    _function = "unrestrict"

    @staticmethod
    def _rearrange(x, plan, positions):
        N, C, size, *grid = _sizes(x, plan)
        n_cosets = plan.cosets[0]
        return x.reshape(N, C // n_cosets, n_cosets * size, *grid).index_select(2, positions)


class Induce(_SubgroupMap):
    """induce as a module: (N, C, |K|, ...) -> (N, C, |H|, ...)."""

    _function = "induce"

    @staticmethod
    def _rearrange(x, plan, positions):
        n_cosets, size = plan.cosets  # the first coset is the subgroup; the others are zero
        return F.pad(x, (0, 0) * plan.ndim + (0, (n_cosets - 1) * size)).index_select(2, positions)


def _sizes(x, plan):
    """x's sizes one by one: the exporter of TorchScript takes those after `unflatten` for constants, the batch too."""
    return [x.shape[axis] for axis in range(3 + plan.ndim)]


class Plan(NamedTuple):
    """What a map between a group and a subgroup takes and does, in numbers that compilers and tracers can keep.

    domain, size, ndim: of x, the group's name, the order of its stabilizer and the dimension of the grid
    channels: of which x's number of channels must be a multiple
    cosets: (|H| / |K|, |K|)
    positions: where index_select reads, of |H| entries
    """

    domain: str
    size: int
    ndim: int
    channels: int
    cosets: tuple
    positions: tuple


@torch.compiler.assume_constant_result
def _plan(function, group, subgroup):
    return _kept_plan(function, group, subgroup)


@cache
def _kept_plan(function, group, subgroup):
    maps = subgroup_of(group, subgroup)
    domain, positions = (maps.group, maps.gather) if function == "restrict" else (maps.subgroup, maps.inverse)
    channels = maps.index if function == "unrestrict" else 1
    sizes = domain.size, domain.stabilizer.ndim
    return Plan(name_of(domain), *sizes, channels, maps.cosets.shape, tuple(positions.tolist()))
