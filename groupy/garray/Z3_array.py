"""Z3: translations of the cubic grid, and at the same time its points (u, v, w)."""

from groupy.garray.group_functions import SpaceGroupFunctions
from groupy.garray.split_garray import GridArray


class Z3Array(GridArray):
    """Translations (u, v, w) of Z3; composition is addition. g_shape of 'int': (3,)."""

    axes = ("u", "v", "w")


_z3 = SpaceGroupFunctions(Z3Array)
u, v, w = _z3.generators()
u_range, v_range, w_range = _z3.ranges()
identity, rand, translation, meshgrid = _z3.identity, _z3.rand, _z3.translation, _z3.meshgrid
