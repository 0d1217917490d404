"""CuPy raw kernels for the filter transformation: kernels.cu, compiled on first use.

Each is one launch on the current stream. Both directions gather, so that nothing is accumulated
atomically and a gradient is the same bits every time. Halves are summed in float32. In three
dimensions (k, k, k) stands for (k, k).
"""

from functools import cache, lru_cache
from importlib import resources

import numpy as np

BLOCK = 256  # threads along the columns: enough to hide the latency of a gather, few registers each
MOST_ROWS_OF_BLOCKS = 65535  # CUDA's limit on a grid's second axis
# Below this many elements every offset fits 32 bits, with room for the last block's and row's overhang.
LIMIT_OF_32_BITS = 2**31 - 2**17

# Type of an element, of a sum, and the conversions between them, as kernels.cu wants them.
_TYPES = {
    "float16": ("unsigned short", "float", "half_to_float", "float_to_half"),
    "float32": ("float", "float", "", ""),
    "float64": ("double", "double", "", ""),
}


def source():
    """The text of kernels.cu."""
    return (resources.files("chainer_gconv") / "kernels.cu").read_text(encoding="utf-8")


def definitions(dtype, size):
    """The macros that kernels.cu is compiled with, as a dict, for filters of a dtype and a number of elements.

    Raises TypeError for a dtype other than float16, float32 and float64.
    """
    dtype = np.dtype(dtype)
    if dtype.name not in _TYPES:
        raise TypeError(f"the filter transformation takes float16, float32 and float64 on a GPU, got {dtype}.")
    names = ("VALUE", "SUM", "TO_SUM", "FROM_SUM")
    index = "int" if size < LIMIT_OF_32_BITS else "long long"
    return {**dict(zip(names, _TYPES[dtype.name])), "INDEX": index}


def grid_of(rows, columns):
    """The grid of blocks, (x, y), that covers canonical filters as a matrix of rows and columns."""
    return -(-columns // BLOCK), min(rows, MOST_ROWS_OF_BLOCKS)


def fold_filters(w, transformation):
    """CuPy filters (O, I, S_in, k, k) to folded ones (O * S_out, I * S_in, k, k)."""
    O, I, S_in, *kernel = w.shape
    S_out = transformation.output_stabilizer_size
    return _launch("fold_filters", w, transformation, "gather", (O * S_out, I * S_in, *kernel), O)


def unfold_filter_gradients(gradient, transformation):
    """The CuPy gradient of folded filters (O * S_out, I * S_in, k, k) to that of canonical ones (O, I, S_in, k, k)."""
    S_out, S_in = transformation.output_stabilizer_size, transformation.input_stabilizer_size
    O, I = gradient.shape[0] // S_out, gradient.shape[1] // S_in
    shape = (O, I, S_in, *gradient.shape[2:])
    return _launch("unfold_filter_gradients", gradient, transformation, "inverse", shape, O)


def _launch(name, values, transformation, table, shape, rows):
    import cupy

    sides = transformation.kernel
    if values.shape[-len(sides) :] != sides:  # it would be read past its end
        raise ValueError(f"{name}: an index table for kernels {sides} does not fit filters of shape {values.shape}.")
    with values.device:
        values = cupy.ascontiguousarray(values)
        result = cupy.empty(shape, values.dtype)
        if result.size == 0:
            return result
        columns = min(values.size, result.size) // rows  # of canonical filters
        macros = definitions(values.dtype, max(values.size, result.size))
        index = np.int32 if macros["INDEX"] == "int" else np.int64
        kernel = _module(values.device.id, tuple(macros.items())).get_function(name)
        arguments = (
            values,
            _table_on(values.device.id, transformation, table),
            result,
            index(rows),
            index(columns),
            np.int32(transformation.output_stabilizer_size),
            np.int32(transformation.n_cells),
        )
        kernel(grid_of(rows, columns), (BLOCK,), arguments)
        return result


@cache
def _module(device_id, macros):
    """kernels.cu, compiled once for each device and set of macros."""
    import cupy

    options = tuple(f"-D{macro}={value}" for macro, value in macros)
    return cupy.RawModule(code=source(), options=options)


@lru_cache(maxsize=256)
def _table_on(device_id, transformation, table):
    import cupy

    with cupy.cuda.Device(device_id):
        on_device = cupy.asarray(getattr(transformation, table).astype(np.int32))
        cupy.cuda.get_current_stream().synchronize()  # other streams will read it, and do not wait for this one
        return on_device
