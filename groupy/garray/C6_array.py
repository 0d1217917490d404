"""C6: the six turns by 60 degrees about the origin of the hexagonal grid; 'int' is (r,). The stabilizer of the
origin in p6.
"""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import C6 as _C6


class C6Array(PointGArray):
    """Elements of C6. g_shape of 'int': (1,), of 'mat': (2, 2), of 'hmat': (3, 3)."""

    stabilizer = _C6


class C6Group(PointGroup, C6Array):
    """All of C6, in the order r = 0, ..., 5."""


C6 = C6Group()

_c6 = PointGroupFunctions(C6Array)
(r,) = _c6.generators()
identity, rand = _c6.identity, _c6.rand
e = identity()
