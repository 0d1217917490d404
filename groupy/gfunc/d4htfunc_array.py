"""Functions on D4ht, sampled on a box of the grid and the whole stabilizer."""

from groupy.garray.D4ht_array import _d4ht
from groupy.gfunc.grid_func_array import SpaceFuncArray


class D4htFuncArray(SpaceFuncArray):
    """Feature maps on D4ht. v: shape + (16, nu, nv, nw), or shape + (2, 2, 4, nu, nv, nw) by (h, m, r)."""

    group = _d4ht
