"""p6: translations (u, v) and turns r by 60 degrees of the hexagonal grid, as T(u, v) R(r), in axial
coordinates.

'int' is (r, u, v), the order in which a function on p6 is indexed; 'hmat' is the homogeneous
matrix. Source: HexaConv paper (Hoogeboom et al. 2018, arXiv:1803.02108), section 3.
"""

from groupy.garray.group_functions import PlaneGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import C6 as _C6


class P6Array(SplitGArray):
    """Elements of p6. g_shape of 'int': (3,), of 'hmat': (3, 3)."""

    stabilizer = _C6
    _group_name = "p6"


_p6 = PlaneGroupFunctions(P6Array)
r, u, v = _p6.generators()
r_range, u_range, v_range = _p6.ranges()
identity, rand, meshgrid = _p6.identity, _p6.rand, _p6.meshgrid
translation, rotation = _p6.translation, _p6.rotation
