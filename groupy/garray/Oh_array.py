"""Oh: the 48 symmetries of the cube: its rotations, as in O, and their products with the inversion i; 'int' is
(i, d, t, r). The stabilizer of the origin in Oht.
"""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import Oh as _Oh


class OhArray(PointGArray):
    """Elements of Oh. g_shape of 'int': (4,), of 'mat': (3, 3), of 'hmat': (4, 4)."""

    stabilizer = _Oh


class OhGroup(PointGroup, OhArray):
    """All of Oh, in the order (i, d, t, r), r fastest: the rotations of the cube, as in O, come first."""


Oh = OhGroup()

_oh = PointGroupFunctions(OhArray)
i, d, t, r = _oh.generators()
identity, rand = _oh.identity, _oh.rand
e = identity()
