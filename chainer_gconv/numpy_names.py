"""Names that NumPy has removed and code of Chainer's time uses, with what they stood for."""

import ast
import functools

import numpy

_SCTYPES = {
    "int": [numpy.int8, numpy.int16, numpy.int32, numpy.int64],
    "uint": [numpy.uint8, numpy.uint16, numpy.uint32, numpy.uint64],
    "float": [numpy.float16, numpy.float32, numpy.float64, numpy.longdouble],
    "complex": [numpy.complex64, numpy.complex128, numpy.clongdouble],
    "others": [bool, object, bytes, str, numpy.void],
}


def _asfarray(a, dtype=numpy.float64):
    """`a` as an array of floating point numbers."""
    return numpy.asarray(a, dtype if numpy.issubdtype(dtype, numpy.inexact) else numpy.float64)


def _find_common_type(array_types, scalar_types):
    """The dtype that holds the array types, or the scalar types where these are of another kind altogether."""
    arrays, scalars = (numpy.result_type(*types) if types else None for types in (array_types, scalar_types))
    if arrays is None or scalars is None:
        return scalars if arrays is None else arrays
    kinds = "buifcSUVOMm"
    return numpy.result_type(arrays, scalars) if kinds.index(scalars.kind) > kinds.index(arrays.kind) else arrays


def _obj2sctype(rep, default=None):
    """The scalar type of an array, a dtype or what names one, else the default."""
    if isinstance(rep, type) and issubclass(rep, numpy.generic):
        return rep
    try:
        return rep.dtype.type if isinstance(rep, numpy.ndarray) else numpy.dtype(rep).type
    except TypeError:
        return default


def _in1d(ar1, ar2, assume_unique=False, invert=False):
    """For each element of ar1, flattened, whether it is in ar2."""
    return numpy.isin(numpy.asarray(ar1).ravel(), ar2, assume_unique=assume_unique, invert=invert)


# Names that code of Chainer's time uses, by the version that removed them; each has the same value under another name.
OLD_NAMES = {
    "NumPy 1.23": {"asscalar": lambda a: a.item()},
    "NumPy 1.24": {
        "complex": complex,
        "float": float,
        "int": int,
        "object": object,
        "str": str,
        "unicode": str,
        "bool8": numpy.bool_,
        "bytes0": numpy.bytes_,
        "int0": numpy.intp,
        "object0": numpy.object_,
        "str0": numpy.str_,
        "uint0": numpy.uintp,
        "void0": numpy.void,
    },
    "NumPy 1.24, back in 2.0": {"bool": bool, "long": int},
    "NumPy 2.0": {
        "Inf": numpy.inf,
        "Infinity": numpy.inf,
        "infty": numpy.inf,
        "PINF": numpy.inf,
        "NINF": -numpy.inf,
        "NaN": numpy.nan,
        "NAN": numpy.nan,
        "PZERO": 0.0,
        "NZERO": -0.0,
        "cfloat": numpy.complex128,
        "clongfloat": numpy.clongdouble,
        "complex_": numpy.complex128,
        "float_": numpy.float64,
        "longcomplex": numpy.clongdouble,
        "longfloat": numpy.longdouble,
        "singlecomplex": numpy.complex64,
        "string_": numpy.bytes_,
        "unicode_": numpy.str_,
        "alltrue": numpy.all,
        "sometrue": numpy.any,
        "product": numpy.prod,
        "cumproduct": numpy.cumprod,
        "round_": numpy.round,
        "mat": numpy.asmatrix,
        "msort": functools.partial(numpy.sort, axis=0),
        "asfarray": _asfarray,
        "find_common_type": _find_common_type,
        "issubsctype": lambda arg1, arg2: issubclass(_obj2sctype(arg1), _obj2sctype(arg2)),
        "obj2sctype": _obj2sctype,
        "sctype2char": lambda sctype: numpy.dtype(_obj2sctype(sctype)).char,
        "safe_eval": ast.literal_eval,
        "sctypes": _SCTYPES,
        **{
            name: getattr(getattr(numpy, "exceptions", None), name, None)
            for name in ("AxisError", "ComplexWarning", "TooHardError", "VisibleDeprecationWarning")
        },
    },
    "NumPy 2.4": {"in1d": _in1d, "trapz": getattr(numpy, "trapezoid", None)},
    "NumPy 2.5": {"row_stack": numpy.vstack},
}
