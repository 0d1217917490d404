"""Functions on p6m, sampled on a rhombus of the hexagonal grid, in axial coordinates, and the whole stabilizer."""

from groupy.garray.p6m_array import _p6m
from groupy.gfunc.grid_func_array import PlaneFuncArray


class P6MFuncArray(PlaneFuncArray):
    """Feature maps on p6m. v: shape + (12, nu, nv), or shape + (2, 6, nu, nv) by (m, r)."""

    group = _p6m
