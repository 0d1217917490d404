"""Functions on a split group, sampled on the stabilizer times a box of the grid."""

import math

import numpy as np

from groupy.garray.group_functions import GroupFunctions
from groupy.gfunc.gfuncarray import GFuncArray


class GridFuncArray(GFuncArray):
    """Functions on the group whose elements `group` makes.

    v: values, shape + (S, nu, nv, ...); the stabilizer's parameters may have an axis each instead of
        sharing one of length S, and on a grid alone there is none
    bounds: the first and last coordinate along each axis, umin, umax, vmin, vmax, ..., all or none;
        without them the grid is centred, an even one with the origin just after its centre

    Raises ValueError if some but not all bounds are given, or v does not fit the grid.
    """

    group: GroupFunctions

    def __init__(self, v, *bounds):
        axes = self.group.axes
        d, names = len(axes), [axis + end for axis in axes for end in ("min", "max")]
        if np.ndim(v) < d:
            raise ValueError(f"{type(self).__name__}: v must end in axes ({', '.join(axes)}), got shape {np.shape(v)}.")
        if all(bound is None for bound in bounds):
            bounds = [bound for n in np.shape(v)[-d:] for bound in (-(n // 2), -(n // 2) + n - 1)]
        elif any(bound is None for bound in bounds):
            raise ValueError(f"Either all or none of {', '.join(names)} must equal None.")
        vars(self).update(zip(names, bounds))
        self._first, periods = bounds[::2], self.group.periods
        size = tuple(last + 1 - first for first, last in zip(bounds[::2], bounds[1::2]))
        parameters = np.moveaxis(np.indices(periods + size), 0, -1)
        parameters[..., len(periods) :] += self._first
        self.flat_stabilizer = len(periods) > 1 and np.shape(v)[-d - 1 : -d] == (math.prod(periods),)
        if self.flat_stabilizer:
            parameters = parameters.reshape((math.prod(periods),) + size + parameters.shape[-1:])
        super().__init__(v=v, i2g=self.group.element(parameters, 0))

    def _indices(self, g):
        parameters, n = g.reparameterize("int").data, len(self.group.periods)
        stabilizer, translation = parameters[..., :n], parameters[..., n:]
        if self.flat_stabilizer:
            stabilizer = g.stabilizer.index_of_parameters(stabilizer)[..., None]
        return np.concatenate([stabilizer, translation - self._first], axis=-1)


class PlaneFuncArray(GridFuncArray):
    """Functions on a plane group; see GridFuncArray."""

    def __init__(self, v, umin=None, umax=None, vmin=None, vmax=None):
        super().__init__(v, umin, umax, vmin, vmax)


class SpaceFuncArray(GridFuncArray):
    """Functions on a group of the cubic grid; see GridFuncArray."""

    def __init__(self, v, umin=None, umax=None, vmin=None, vmax=None, wmin=None, wmax=None):
        super().__init__(v, umin, umax, vmin, vmax, wmin, wmax)
