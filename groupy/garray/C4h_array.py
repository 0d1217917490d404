"""C4h: quarter turns r of the slices, and the mirror h that reverses their order, (u, v, w) -> (-u, v, w);
'int' is (h, r). The stabilizer of the origin in C4ht.
"""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import C4h as _C4h


class C4hArray(PointGArray):
    """Elements of C4h. g_shape of 'int': (2,), of 'mat': (3, 3), of 'hmat': (4, 4)."""

    stabilizer = _C4h


class C4hGroup(PointGroup, C4hArray):
    """All of C4h, in the order (h, r) = (0, 0) ... (0, 3), (1, 0) ... (1, 3)."""


C4h = C4hGroup()

_c4h = PointGroupFunctions(C4hArray)
h, r = _c4h.generators()
identity, rand = _c4h.identity, _c4h.rand
e = identity()
