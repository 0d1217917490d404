"""Functions on Ot, sampled on a box of the grid and the whole stabilizer."""

from groupy.garray.Ot_array import _ot
from groupy.gfunc.grid_func_array import SpaceFuncArray


class OtFuncArray(SpaceFuncArray):
    """Feature maps on Ot. v: shape + (24, nu, nv, nw), or shape + (3, 2, 4, nu, nv, nw) by (d, t, r)."""

    group = _ot
