"""Functions on p6, sampled on a rhombus of the hexagonal grid, in axial coordinates, and the whole stabilizer."""

from groupy.garray.p6_array import _p6
from groupy.gfunc.grid_func_array import PlaneFuncArray


class P6FuncArray(PlaneFuncArray):
    """Feature maps on p6. v: shape + (6, nu, nv)."""

    group = _p6
