"""D4h: the 16 symmetries of a square prism: of its slices (m, r), as in D4, and the mirror h that reverses
their order; 'int' is (h, m, r). The stabilizer of the origin in D4ht.
"""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import D4h as _D4h


class D4hArray(PointGArray):
    """Elements of D4h. g_shape of 'int': (3,), of 'mat': (3, 3), of 'hmat': (4, 4)."""

    stabilizer = _D4h


class D4hGroup(PointGroup, D4hArray):
    """All of D4h, in the order (h, m, r), r fastest."""


D4h = D4hGroup()

_d4h = PointGroupFunctions(D4hArray)
h, m, r = _d4h.generators()
identity, rand = _d4h.identity, _d4h.rand
e = identity()
