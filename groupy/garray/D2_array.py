"""D2: the mirrors and the half turn of a rectangle; 'int' is (m, r). The stabilizer of the origin in p2mm."""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import D2 as _D2


class D2Array(PointGArray):
    """Elements of D2. g_shape of 'int': (2,), of 'mat': (2, 2), of 'hmat': (3, 3)."""

    stabilizer = _D2


class D2Group(PointGroup, D2Array):
    """All of D2, in the order (m, r) = (0, 0), (0, 1), (1, 0), (1, 1)."""


D2 = D2Group()

_d2 = PointGroupFunctions(D2Array)
m, r = _d2.generators()
identity, rand = _d2.identity, _d2.rand
e = identity()
