"""Functions on C4ht, sampled on a box of the grid and the whole stabilizer."""

from groupy.garray.C4ht_array import _c4ht
from groupy.gfunc.grid_func_array import SpaceFuncArray


class C4htFuncArray(SpaceFuncArray):
    """Feature maps on C4ht. v: shape + (8, nu, nv, nw), or shape + (2, 4, nu, nv, nw) by (h, r)."""

    group = _c4ht
