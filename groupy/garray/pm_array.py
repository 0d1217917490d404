"""pm: translations (u, v) and mirrors m of a rectangular grid, left and right exchanged, as T(u, v) M(m).

'int' is (m, u, v), the order in which a function on pm is indexed; 'hmat' is the homogeneous
matrix. Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 4.
"""

from groupy.garray.group_functions import PlaneGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import D1 as _D1


class PMArray(SplitGArray):
    """Elements of pm. g_shape of 'int': (3,), of 'hmat': (3, 3)."""

    stabilizer = _D1
    _group_name = "pm"


_pm = PlaneGroupFunctions(PMArray)
m, u, v = _pm.generators()
m_range, u_range, v_range = _pm.ranges()
identity, rand, meshgrid = _pm.identity, _pm.rand, _pm.meshgrid
translation = _pm.translation
