"""D4: the quarter turns and mirrors that fix the origin, 'int' (m, r), the stabilizer in p4m."""

from types import MappingProxyType

import numpy as np

from groupy.garray.finitegroup import FiniteGroup
from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.matrix_garray import MatrixGArray
from groupy.garray.p4m_array import P4MArray
from groupy.garray.stabilizer import D4 as _D4
from groupy.garray.Z2_array import Z2Array


class D4Array(MatrixGArray):
    """Elements of D4. g_shape of 'int': (2,), of 'mat': (2, 2), of 'hmat': (3, 3)."""

    stabilizer = _D4
    parameterizations = ["int", "mat", "hmat"]
    _g_shapes = {"int": (2,), "mat": (2, 2), "hmat": (3, 3)}
    _group_name = "D4"


D4Array._left_actions = MappingProxyType(
    {
        D4Array: MatrixGArray.left_action_mat,
        P4MArray: MatrixGArray.left_action_hmat,
        Z2Array: MatrixGArray.left_action_vec,
    }
)


class D4Group(FiniteGroup, D4Array):
    """All of D4, in the order (m, r) = (0, 0) ... (0, 3), (1, 0) ... (1, 3)."""

    def __init__(self):
        D4Array.__init__(self, _D4.parameters_of_index(np.arange(_D4.order)))
        FiniteGroup.__init__(self, D4Array)


D4 = D4Group()

_d4 = PointGroupFunctions(D4Array, ("m", "r"))
m, r = _d4.generators()
identity, rand = _d4.identity, _d4.rand
e = identity()
