"""C4ht: translations (u, v, w) and the elements of C4h, as T(u, v, w) H(h) R(r).

'int' is (h, r, u, v, w), the order in which a function on C4ht is indexed; 'hmat' is the homogeneous
matrix. Source: International Tables for Crystallography A, section 10.1.
"""

from groupy.garray.group_functions import SpaceGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import C4h as _C4h


class C4htArray(SplitGArray):
    """Elements of C4ht. g_shape of 'int': (5,), of 'hmat': (4, 4)."""

    stabilizer = _C4h
    _group_name = "C4ht"


_c4ht = SpaceGroupFunctions(C4htArray)
h, r, u, v, w = _c4ht.generators()
h_range, r_range, u_range, v_range, w_range = _c4ht.ranges()
identity, rand, meshgrid = _c4ht.identity, _c4ht.rand, _c4ht.meshgrid
translation, rotation = _c4ht.translation, _c4ht.rotation
