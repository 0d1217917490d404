"""Functions on p2mm, sampled on a rectangle of the grid and the whole stabilizer."""

from groupy.garray.p2mm_array import _p2mm
from groupy.gfunc.grid_func_array import PlaneFuncArray


class P2MMFuncArray(PlaneFuncArray):
    """Feature maps on p2mm. v: shape + (4, nu, nv), or shape + (2, 2, nu, nv) by (m, r)."""

    group = _p2mm
