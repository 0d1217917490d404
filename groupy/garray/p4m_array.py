"""p4m: translations (u, v), mirrors m and quarter turns r of the square grid, as T(u, v) M(m) R(r).

'int' is (m, r, u, v), the order in which a function on p4m is indexed; 'hmat' is the homogeneous
matrix. Source: G-CNN paper (Cohen & Welling 2016, arXiv:1602.07576), section 4.3.
"""

from types import MappingProxyType

from groupy.garray.group_functions import PlaneGroupFunctions
from groupy.garray.matrix_garray import MatrixGArray
from groupy.garray.stabilizer import D4 as _D4
from groupy.garray.Z2_array import Z2Array


class P4MArray(MatrixGArray):
    """Elements of p4m. g_shape of 'int': (4,), of 'hmat': (3, 3)."""

    stabilizer = _D4
    parameterizations = ["int", "hmat"]
    _g_shapes = {"int": (4,), "hmat": (3, 3)}
    _group_name = "p4m"


P4MArray._left_actions = MappingProxyType(
    {P4MArray: MatrixGArray.left_action_hmat, Z2Array: MatrixGArray.left_action_hvec}
)

_p4m = PlaneGroupFunctions(P4MArray, ("m", "r", "u", "v"))
m, r, u, v = _p4m.generators()
m_range, r_range, u_range, v_range = _p4m.ranges()
identity, rand, meshgrid = _p4m.identity, _p4m.rand, _p4m.meshgrid
translation, rotation = _p4m.translation, _p4m.rotation
mirror_u, mirror_v = _p4m.mirror_u, _p4m.mirror_v
