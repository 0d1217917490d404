"""Functions on p4, sampled on a rectangle of the grid and the whole stabilizer."""

from groupy.garray.p4_array import _p4
from groupy.gfunc.grid_func_array import PlaneFuncArray


class P4FuncArray(PlaneFuncArray):
    """Feature maps on p4. v: shape + (4, nu, nv)."""

    group = _p4
