"""Functions on p4m, sampled on a rectangle of the grid and the whole stabilizer."""

from groupy.garray.p4m_array import _p4m
from groupy.gfunc.grid_func_array import PlaneFuncArray


class P4MFuncArray(PlaneFuncArray):
    """Feature maps on p4m. v: shape + (8, nu, nv), or shape + (2, 4, nu, nv) by mirror and turn."""

    group = _p4m
