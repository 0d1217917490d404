"""D6: the turns by 60 degrees and mirrors that fix the origin of the hexagonal grid; 'int' is (m, r). The
stabilizer of the origin in p6m.
"""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import D6 as _D6


class D6Array(PointGArray):
    """Elements of D6. g_shape of 'int': (2,), of 'mat': (2, 2), of 'hmat': (3, 3)."""

    stabilizer = _D6


class D6Group(PointGroup, D6Array):
    """All of D6, in the order (m, r) = (0, 0) ... (0, 5), (1, 0) ... (1, 5)."""


D6 = D6Group()

_d6 = PointGroupFunctions(D6Array)
m, r = _d6.generators()
identity, rand = _d6.identity, _d6.rand
e = identity()
