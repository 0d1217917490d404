"""Functions on p2, sampled on a rectangle of the grid and the whole stabilizer."""

from groupy.garray.p2_array import _p2
from groupy.gfunc.grid_func_array import PlaneFuncArray


class P2FuncArray(PlaneFuncArray):
    """Feature maps on p2. v: shape + (2, nu, nv)."""

    group = _p2
