"""Arrays of group elements: composition, inverses and actions, in exact integer arithmetic."""

from groupy.garray.C2_array import C2Array, C2Group
from groupy.garray.C4_array import C4Array, C4Group
from groupy.garray.C4h_array import C4hArray, C4hGroup
from groupy.garray.C4ht_array import C4htArray
from groupy.garray.C6_array import C6Array, C6Group
from groupy.garray.D1_array import D1Array, D1Group
from groupy.garray.D2_array import D2Array, D2Group
from groupy.garray.D4_array import D4Array, D4Group
from groupy.garray.D4h_array import D4hArray, D4hGroup
from groupy.garray.D4ht_array import D4htArray
from groupy.garray.D6_array import D6Array, D6Group
from groupy.garray.finitegroup import FiniteGroup
from groupy.garray.garray import GArray
from groupy.garray.matrix_garray import MatrixGArray
from groupy.garray.O_array import OArray, OGroup
from groupy.garray.Oh_array import OhArray, OhGroup
from groupy.garray.Oht_array import OhtArray
from groupy.garray.Ot_array import OtArray
from groupy.garray.p2_array import P2Array
from groupy.garray.p2mm_array import P2MMArray
from groupy.garray.p4_array import P4Array
from groupy.garray.p4m_array import P4MArray
from groupy.garray.p6_array import P6Array
from groupy.garray.p6m_array import P6MArray
from groupy.garray.pm_array import PMArray
from groupy.garray.split_garray import GridArray, PointGArray, PointGroup, SplitGArray
from groupy.garray.stabilizer import Stabilizer
from groupy.garray.Z2_array import Z2Array
from groupy.garray.Z3_array import Z3Array

__all__ = [
    "C2Array",
    "C2Group",
    "C4Array",
    "C4Group",
    "C4hArray",
    "C4hGroup",
    "C4htArray",
    "C6Array",
    "C6Group",
    "D1Array",
    "D1Group",
    "D2Array",
    "D2Group",
    "D4Array",
    "D4Group",
    "D4hArray",
    "D4hGroup",
    "D4htArray",
    "D6Array",
    "D6Group",
    "FiniteGroup",
    "GArray",
    "GridArray",
    "MatrixGArray",
    "OArray",
    "OGroup",
    "OhArray",
    "OhGroup",
    "OhtArray",
    "OtArray",
    "P2Array",
    "P2MMArray",
    "P4Array",
    "P4MArray",
    "P6Array",
    "P6MArray",
    "PMArray",
    "PointGArray",
    "PointGroup",
    "SplitGArray",
    "Stabilizer",
    "Z2Array",
    "Z3Array",
]
