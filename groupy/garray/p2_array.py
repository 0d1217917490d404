"""p2: translations (u, v) and half turns r of a rectangular grid, as T(u, v) R(r).

'int' is (r, u, v), the order in which a function on p2 is indexed; 'hmat' is the homogeneous
matrix. Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 4.
"""

from groupy.garray.group_functions import PlaneGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import C2 as _C2


class P2Array(SplitGArray):
    """Elements of p2. g_shape of 'int': (3,), of 'hmat': (3, 3)."""

    stabilizer = _C2
    _group_name = "p2"


_p2 = PlaneGroupFunctions(P2Array)
r, u, v = _p2.generators()
r_range, u_range, v_range = _p2.ranges()
identity, rand, meshgrid = _p2.identity, _p2.rand, _p2.meshgrid
translation, rotation = _p2.translation, _p2.rotation
