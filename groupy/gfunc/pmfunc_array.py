"""Functions on pm, sampled on a rectangle of the grid and the whole stabilizer."""

from groupy.garray.pm_array import _pm
from groupy.gfunc.grid_func_array import PlaneFuncArray


class PMFuncArray(PlaneFuncArray):
    """Feature maps on pm. v: shape + (2, nu, nv)."""

    group = _pm
