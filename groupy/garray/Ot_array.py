"""Ot: translations (u, v, w) and the rotations of the cube, as T(u, v, w) D(d) T(t) R(r).

'int' is (d, t, r, u, v, w), the order in which a function on Ot is indexed; 'hmat' is the homogeneous
matrix. Source: International Tables for Crystallography A, section 10.1.
"""

from groupy.garray.group_functions import SpaceGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import O as _O


class OtArray(SplitGArray):
    """Elements of Ot. g_shape of 'int': (6,), of 'hmat': (4, 4)."""

    stabilizer = _O
    _group_name = "Ot"


_ot = SpaceGroupFunctions(OtArray)
d, t, r, u, v, w = _ot.generators()
d_range, t_range, r_range, u_range, v_range, w_range = _ot.ranges()
identity, rand, meshgrid = _ot.identity, _ot.rand, _ot.meshgrid
translation, rotation = _ot.translation, _ot.rotation
