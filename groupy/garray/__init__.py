"""Arrays of group elements: composition, inverses and actions, in exact integer arithmetic."""

from groupy.garray.C4_array import C4Array, C4Group
from groupy.garray.D4_array import D4Array, D4Group
from groupy.garray.finitegroup import FiniteGroup
from groupy.garray.garray import GArray
from groupy.garray.matrix_garray import MatrixGArray
from groupy.garray.p4_array import P4Array
from groupy.garray.p4m_array import P4MArray
from groupy.garray.stabilizer import Stabilizer
from groupy.garray.Z2_array import Z2Array

__all__ = [
    "C4Array",
    "C4Group",
    "D4Array",
    "D4Group",
    "FiniteGroup",
    "GArray",
    "MatrixGArray",
    "P4Array",
    "P4MArray",
    "Stabilizer",
    "Z2Array",
]
