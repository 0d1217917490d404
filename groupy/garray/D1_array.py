"""D1: the identity and the mirror (u, v) -> (u, -v), by which left and right change places; 'int' is (m,). The
stabilizer of the origin in pm.
"""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import D1 as _D1


class D1Array(PointGArray):
    """Elements of D1. g_shape of 'int': (1,), of 'mat': (2, 2), of 'hmat': (3, 3)."""

    stabilizer = _D1


class D1Group(PointGroup, D1Array):
    """All of D1, in the order m = 0, 1."""


D1 = D1Group()

_d1 = PointGroupFunctions(D1Array)
(m,) = _d1.generators()
identity, rand = _d1.identity, _d1.rand
e = identity()
