"""p4: translations (u, v) and quarter turns r of the square grid, as T(u, v) R(r).

'int' is (r, u, v), the order in which a function on p4 is indexed; 'hmat' is the homogeneous
matrix. Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 4.2.
"""

from groupy.garray.group_functions import PlaneGroupFunctions
from groupy.garray.split_garray import SplitGArray
from groupy.garray.stabilizers import C4 as _C4


class P4Array(SplitGArray):
    """Elements of p4. g_shape of 'int': (3,), of 'hmat': (3, 3)."""

    stabilizer = _C4
    _group_name = "p4"


_p4 = PlaneGroupFunctions(P4Array)
r, u, v = _p4.generators()
r_range, u_range, v_range = _p4.ranges()
identity, rand, meshgrid = _p4.identity, _p4.rand, _p4.meshgrid
translation, rotation = _p4.translation, _p4.rotation

# An even-sized filter is centred on the corner between its middle taps, not on a grid point.
# With the origin at the tap just after that corner, these four turns map the filter onto itself.
C4_halfshift = P4Array([[0, 0, 0], [1, -1, 0], [2, -1, -1], [3, 0, -1]])
