"""PlaneFuncArray: functions on a split plane group, sampled on the stabilizer times a rectangle of the grid."""

import math

import numpy as np

from groupy.garray.group_functions import PlaneGroupFunctions
from groupy.gfunc.gfuncarray import GFuncArray


class PlaneFuncArray(GFuncArray):
    """Functions on the plane group whose elements `group` makes.

    v: values, shape + (S, nu, nv); the stabilizer's parameters may have an axis each instead of
        sharing one of length S, and on Z2 there is none
    umin, umax, vmin, vmax: the first and last row and column of the grid, all or none; without
        them the grid is centred, an even one with the origin just after its centre

    Raises ValueError if some but not all bounds are given, or v does not fit the grid.
    """

    group: PlaneGroupFunctions

    def __init__(self, v, umin=None, umax=None, vmin=None, vmax=None):
        if np.ndim(v) < 2:
            raise ValueError(f"{type(self).__name__}: v must end in axes (u, v), got shape {np.shape(v)}.")
        bounds = (umin, umax, vmin, vmax)
        if all(bound is None for bound in bounds):
            nu, nv = np.shape(v)[-2:]
            umin, vmin = -(nu // 2), -(nv // 2)
            umax, vmax = umin + nu - 1, vmin + nv - 1
        elif any(bound is None for bound in bounds):
            raise ValueError("Either all or none of umin, umax, vmin, vmax must equal None.")
        self.umin, self.umax, self.vmin, self.vmax = umin, umax, vmin, vmax
        u_range, v_range = self.group.ranges()[-2:]
        i2g = self.group.meshgrid(u=u_range(umin, umax + 1), v=v_range(vmin, vmax + 1))
        periods = self.group.periods
        self.flat_stabilizer = len(periods) > 1 and np.shape(v)[-3:-2] == (math.prod(periods),)
        if self.flat_stabilizer:
            i2g = i2g.reshape((-1,) + i2g.shape[-2:])
        super().__init__(v=v, i2g=i2g)

    def _indices(self, g):
        parameters = g.reparameterize("int").data
        stabilizer, translation = parameters[..., :-2], parameters[..., -2:]
        if self.flat_stabilizer:
            stabilizer = g.stabilizer.index_of_parameters(stabilizer)[..., None]
        return np.concatenate([stabilizer, translation - (self.umin, self.vmin)], axis=-1)
