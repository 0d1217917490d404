"""p2mm: translations (u, v), mirrors m and half turns r of a rectangular grid, as T(u, v) M(m) R(r).

'int' is (m, r, u, v), the order in which a function on p2mm is indexed; 'hmat' is the homogeneous
matrix. Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 4.
"""

from groupy.garray.group_functions import PlaneGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import D2 as _D2


class P2MMArray(SplitGArray):
    """Elements of p2mm. g_shape of 'int': (4,), of 'hmat': (3, 3)."""

    stabilizer = _D2
    _group_name = "p2mm"


_p2mm = PlaneGroupFunctions(P2MMArray)
m, r, u, v = _p2mm.generators()
m_range, r_range, u_range, v_range = _p2mm.ranges()
identity, rand, meshgrid = _p2mm.identity, _p2mm.rand, _p2mm.meshgrid
translation, rotation = _p2mm.translation, _p2mm.rotation
