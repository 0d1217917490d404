"""Functions on groups, sampled on a grid and moved by group elements."""

from groupy.gfunc.gfuncarray import GFuncArray
from groupy.gfunc.p4func_array import P4FuncArray
from groupy.gfunc.p4mfunc_array import P4MFuncArray
from groupy.gfunc.z2func_array import Z2FuncArray

__all__ = ["GFuncArray", "P4FuncArray", "P4MFuncArray", "Z2FuncArray"]
