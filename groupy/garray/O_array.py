"""O: the 24 rotations of the cube; 'int' is (d, t, r). The stabilizer of the origin in Ot."""

from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizers import O as _O


class OArray(PointGArray):
    """Elements of O. g_shape of 'int': (3,), of 'mat': (3, 3), of 'hmat': (4, 4)."""

    stabilizer = _O


class OGroup(PointGroup, OArray):
    """All of O, in the order (d, t, r), r fastest."""


O = OGroup()

_o = PointGroupFunctions(OArray)
d, t, r = _o.generators()
identity, rand = _o.identity, _o.rand
e = identity()
