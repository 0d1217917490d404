"""C2: the half turns about the origin; 'int' is (r,). The stabilizer of the origin in p2."""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import C2 as _C2


class C2Array(PointGArray):
    """Elements of C2. g_shape of 'int': (1,), of 'mat': (2, 2), of 'hmat': (3, 3)."""

    stabilizer = _C2


class C2Group(PointGroup, C2Array):
    """All of C2, in the order r = 0, 1."""


C2 = C2Group()

_c2 = PointGroupFunctions(C2Array)
(r,) = _c2.generators()
identity, rand = _c2.identity, _c2.rand
e = identity()
