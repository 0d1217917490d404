"""Functions on Oht, sampled on a box of the grid and the whole stabilizer."""

from groupy.garray.Oht_array import _oht
from groupy.gfunc.grid_func_array import SpaceFuncArray


class OhtFuncArray(SpaceFuncArray):
    """Feature maps on Oht. v: shape + (48, nu, nv, nw), or shape + (2, 3, 2, 4, nu, nv, nw) by (i, d, t, r)."""

    group = _oht
