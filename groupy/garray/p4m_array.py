"""p4m: translations (u, v), mirrors m and quarter turns r of the square grid, as T(u, v) M(m) R(r).

'int' is (m, r, u, v), the order in which a function on p4m is indexed; 'hmat' is the homogeneous
matrix. Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 4.3.
"""

from groupy.garray.group_functions import PlaneGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import D4 as _D4


class P4MArray(SplitGArray):
    """Elements of p4m. g_shape of 'int': (4,), of 'hmat': (3, 3)."""

    stabilizer = _D4
    _group_name = "p4m"


_p4m = PlaneGroupFunctions(P4MArray)
m, r, u, v = _p4m.generators()
m_range, r_range, u_range, v_range = _p4m.ranges()
identity, rand, meshgrid = _p4m.identity, _p4m.rand, _p4m.meshgrid
translation, rotation = _p4m.translation, _p4m.rotation
mirror_u, mirror_v = _p4m.mirror_u, _p4m.mirror_v
