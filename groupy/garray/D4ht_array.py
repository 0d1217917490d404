"""D4ht: translations (u, v, w) and the elements of D4h, as T(u, v, w) H(h) M(m) R(r).

'int' is (h, m, r, u, v, w), the order in which a function on D4ht is indexed; 'hmat' is the homogeneous
matrix. Source: International Tables for Crystallography A, section 10.1.
"""

from groupy.garray.group_functions import SpaceGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import D4h as _D4h


class D4htArray(SplitGArray):
    """Elements of D4ht. g_shape of 'int': (6,), of 'hmat': (4, 4)."""

    stabilizer = _D4h
    _group_name = "D4ht"


_d4ht = SpaceGroupFunctions(D4htArray)
h, m, r, u, v, w = _d4ht.generators()
h_range, m_range, r_range, u_range, v_range, w_range = _d4ht.ranges()
identity, rand, meshgrid = _d4ht.identity, _d4ht.rand, _d4ht.meshgrid
translation, rotation = _d4ht.translation, _d4ht.rotation
