"""C4: the four quarter turns about the origin; 'int' is (r,). The stabilizer of the origin in p4."""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import C4 as _C4


class C4Array(PointGArray):
    """Elements of C4. g_shape of 'int': (1,), of 'mat': (2, 2), of 'hmat': (3, 3)."""

    stabilizer = _C4


class C4Group(PointGroup, C4Array):
    """All of C4, in the order r = 0, 1, 2, 3."""


C4 = C4Group()

_c4 = PointGroupFunctions(C4Array)
(r,) = _c4.generators()
identity, rand = _c4.identity, _c4.rand
e = identity()
