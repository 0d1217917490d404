"""Functions on Z2, sampled on a rectangle of the grid."""

from groupy.garray.Z2_array import _z2
from groupy.gfunc.grid_func_array import PlaneFuncArray


class Z2FuncArray(PlaneFuncArray):
    """Images or planar feature maps. v: shape + (nu, nv)."""

    group = _z2
