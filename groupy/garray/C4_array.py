"""C4: the four quarter turns about the origin, 'int' (r,), the stabilizer of the origin in p4."""

from types import MappingProxyType

import numpy as np

from groupy.garray.finitegroup import FiniteGroup
from groupy.garray.group_functions import PointGroupFunctions
from groupy.garray.matrix_garray import MatrixGArray
from groupy.garray.p4_array import P4Array
from groupy.garray.stabilizer import C4 as _C4
from groupy.garray.Z2_array import Z2Array


class C4Array(MatrixGArray):
    """Elements of C4. g_shape of 'int': (1,), of 'mat': (2, 2), of 'hmat': (3, 3)."""

    stabilizer = _C4
    parameterizations = ["int", "mat", "hmat"]
    _g_shapes = {"int": (1,), "mat": (2, 2), "hmat": (3, 3)}
    _group_name = "C4"


C4Array._left_actions = MappingProxyType(
    {
        C4Array: MatrixGArray.left_action_mat,
        P4Array: MatrixGArray.left_action_hmat,
        Z2Array: MatrixGArray.left_action_vec,
    }
)


class C4Group(FiniteGroup, C4Array):
    """All of C4, in the order r = 0, 1, 2, 3."""

    def __init__(self):
        C4Array.__init__(self, _C4.parameters_of_index(np.arange(_C4.order)))
        FiniteGroup.__init__(self, C4Array)


C4 = C4Group()

_c4 = PointGroupFunctions(C4Array, ("r",))
(r,) = _c4.generators()
identity, rand = _c4.identity, _c4.rand
e = identity()
