"""Z2: translations of a plane grid, and at the same time its points (u, v), axial coordinates on a hexagonal one."""

from groupy.garray.group_functions import PlaneGroupFunctions
from groupy.garray.split_garray import GridArray


class Z2Array(GridArray):
    """Translations (u, v) of Z2; composition is addition. g_shape of 'int': (2,)."""

    axes = ("u", "v")


_z2 = PlaneGroupFunctions(Z2Array)
u, v = _z2.generators()
u_range, v_range = _z2.ranges()
identity, rand, translation, meshgrid = _z2.identity, _z2.rand, _z2.translation, _z2.meshgrid
