"""Oht: translations (u, v, w) and the symmetries of the cube, as T(u, v, w) I(i) D(d) T(t) R(r).

'int' is (i, d, t, r, u, v, w), the order in which a function on Oht is indexed; 'hmat' is the homogeneous
matrix. Source: International Tables for Crystallography A, section 10.1.
"""

from groupy.garray.group_functions import SpaceGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import Oh as _Oh


class OhtArray(SplitGArray):
    """Elements of Oht. g_shape of 'int': (7,), of 'hmat': (4, 4)."""

    stabilizer = _Oh
    _group_name = "Oht"


_oht = SpaceGroupFunctions(OhtArray)
i, d, t, r, u, v, w = _oht.generators()
i_range, d_range, t_range, r_range, u_range, v_range, w_range = _oht.ranges()
identity, rand, meshgrid = _oht.identity, _oht.rand, _oht.meshgrid
translation, rotation = _oht.translation, _oht.rotation
