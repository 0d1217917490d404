"""p6m: translations (u, v), mirrors m and turns r by 60 degrees of the hexagonal grid, as T(u, v) M(m) R(r),
axial coordinates.

'int' is (m, r, u, v), the order in which a function on p6m is indexed; 'hmat' is the homogeneous
matrix. Source: HexaConv paper (Hoogeboom et al. 2018, arXiv:1803.02108), section 3.
"""

from groupy.garray.group_functions import PlaneGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import D6 as _D6


class P6MArray(SplitGArray):
    """Elements of p6m. g_shape of 'int': (4,), of 'hmat': (3, 3)."""

    stabilizer = _D6
    _group_name = "p6m"


_p6m = PlaneGroupFunctions(P6MArray)
m, r, u, v = _p6m.generators()
m_range, r_range, u_range, v_range = _p6m.ranges()
identity, rand, meshgrid = _p6m.identity, _p6m.rand, _p6m.meshgrid
translation, rotation = _p6m.translation, _p6m.rotation
