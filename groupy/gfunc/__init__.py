"""Functions on groups, sampled on a grid and moved by group elements."""

from groupy.gfunc.c4htfunc_array import C4htFuncArray
from groupy.gfunc.d4htfunc_array import D4htFuncArray
from groupy.gfunc.gfuncarray import GFuncArray
from groupy.gfunc.grid_func_array import GridFuncArray, PlaneFuncArray, SpaceFuncArray
from groupy.gfunc.ohtfunc_array import OhtFuncArray
from groupy.gfunc.otfunc_array import OtFuncArray
from groupy.gfunc.p2func_array import P2FuncArray
from groupy.gfunc.p2mmfunc_array import P2MMFuncArray
from groupy.gfunc.p4func_array import P4FuncArray
from groupy.gfunc.p4mfunc_array import P4MFuncArray
from groupy.gfunc.p6func_array import P6FuncArray
from groupy.gfunc.p6mfunc_array import P6MFuncArray
from groupy.gfunc.pmfunc_array import PMFuncArray
from groupy.gfunc.z2func_array import Z2FuncArray
from groupy.gfunc.z3func_array import Z3FuncArray

__all__ = [
    "C4htFuncArray",
    "D4htFuncArray",
    "GFuncArray",
    "GridFuncArray",
    "OhtFuncArray",
    "OtFuncArray",
    "P2FuncArray",
    "P2MMFuncArray",
    "P4FuncArray",
    "P4MFuncArray",
    "P6FuncArray",
    "P6MFuncArray",
    "PMFuncArray",
    "PlaneFuncArray",
    "SpaceFuncArray",
    "Z2FuncArray",
    "Z3FuncArray",
]
