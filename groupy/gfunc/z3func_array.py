"""Functions on Z3, sampled on a box of the grid."""

from groupy.garray.Z3_array import _z3
from groupy.gfunc.grid_func_array import SpaceFuncArray


class Z3FuncArray(SpaceFuncArray):
    """Volumes. v: shape + (nu, nv, nw)."""

    group = _z3
