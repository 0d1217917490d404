"""D4: the quarter turns and mirrors that fix the origin; 'int' is (m, r). The stabilizer of the origin in p4m."""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import D4 as _D4


class D4Array(PointGArray):
    """Elements of D4. g_shape of 'int': (2,), of 'mat': (2, 2), of 'hmat': (3, 3)."""

    stabilizer = _D4


class D4Group(PointGroup, D4Array):
    """All of D4, in the order (m, r) = (0, 0) ... (0, 3), (1, 0) ... (1, 3)."""


D4 = D4Group()

_d4 = PointGroupFunctions(D4Array)
m, r = _d4.generators()
identity, rand = _d4.identity, _d4.rand
e = identity()
