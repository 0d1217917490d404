"""The CuPy kernels of the filter transformation, timed against a device-to-device copy of as many bytes.

python -m benchmarks.gpu_kernels           a table of achieved bandwidths
python -m benchmarks.gpu_kernels --once    each kernel once, small, for compute-sanitizer

A fold reads O * I * C filter elements and writes S_out times as many; an unfold reads and writes
the other way round. The copy reads and writes the same number of bytes in all, in the same run,
in turn with the kernel. Both are queued behind a longer copy, so that the GPU never waits for Python.
"""

import argparse
import json
import statistics
import sys

import numpy as np

from groupy.gconv.layer_specs import LAYER_SPECS

LAYERS = ("P4ConvZ2", "P4ConvP4", "P4MConvP4M")
CHANNELS = (32, 64, 128, 256)
DTYPES = ("float16", "float32", "float64")
ROUNDS, LAUNCHES = 15, 5
QUEUE_BYTES = 2**30  # its copy takes longer than Python needs to queue LAUNCHES kernels
L2_BYTES = 2**28  # buffers are used in turn until more than this has passed, so that no cache holds them


def operations(layer, channels, dtype):
    """(direction, function of an array, its argument's shape, elements read and written) for both directions."""
    from chainer_gconv import kernels

    transformation, kernel = LAYER_SPECS[layer].transformation(3), (3,) * LAYER_SPECS[layer].ndim
    S_in, S_out = transformation.input_stabilizer_size, transformation.output_stabilizer_size
    filters = (channels, channels, S_in, *kernel)
    folded = (channels * S_out, channels * S_in, *kernel)
    elements = int(np.prod(filters)) + int(np.prod(folded))
    yield "fold", lambda w: kernels.fold_filters(w, transformation), filters, elements
    yield "unfold", lambda g: kernels.unfold_filter_gradients(g, transformation), folded, elements


def measure():
    """One row for each layer, number of channels, dtype and direction: times in microseconds, bandwidths in GB/s."""
    import cupy

    queue = cupy.empty((2, QUEUE_BYTES), "uint8")
    rows = []
    for layer in LAYERS:
        for channels in CHANNELS:
            for dtype in DTYPES:
                for direction, function, shape, elements in operations(layer, channels, dtype):
                    n_bytes = elements * np.dtype(dtype).itemsize
                    n_buffers = max(2, L2_BYTES // n_bytes)
                    arrays = [cupy.ones(shape, dtype) for _ in range(n_buffers)]
                    halves = [cupy.empty((2, n_bytes // 2), "uint8") for _ in range(n_buffers)]

                    def kernel(i, function=function, arrays=arrays):
                        return function(arrays[i % len(arrays)])

                    def copy(i, halves=halves):
                        cupy.copyto(*halves[i % len(halves)])

                    times = {"kernel": [], "copy": []}
                    for turn in range(ROUNDS + 2):
                        for name, work in (("kernel", kernel), ("copy", copy))[:: 1 if turn % 2 else -1]:
                            seconds = _seconds(cupy, queue, work, turn * LAUNCHES)
                            if turn >= 2:  # the first two warm up
                                times[name].append(seconds * 1e6)
                    rows.append(_row(layer, channels, dtype, direction, n_bytes, times))
                    del arrays, halves
                    cupy.get_default_memory_pool().free_all_blocks()
    return rows


def _seconds(cupy, queue, work, first):
    start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    cupy.copyto(queue[0], queue[1])
    start.record()
    results = [work(i) for i in range(first, first + LAUNCHES)]  # kept, so that each has memory of its own
    stop.record()
    stop.synchronize()
    del results
    return cupy.cuda.get_elapsed_time(start, stop) / 1e3 / LAUNCHES


def _row(layer, channels, dtype, direction, n_bytes, times):
    row = {"layer": layer, "channels": channels, "dtype": dtype, "direction": direction, "bytes": n_bytes}
    for name, found in times.items():
        row[f"{name}_us"] = statistics.median(found)
        row[f"{name}_us_spread"] = [min(found), max(found)]
        row[f"{name}_gb_per_s"] = n_bytes / row[f"{name}_us"] / 1e3
    ratios = [k / c for k, c in zip(times["kernel"], times["copy"])]
    return {**row, "kernel_to_copy": statistics.median(ratios), "kernel_to_copy_spread": [min(ratios), max(ratios)]}


def once():
    """Launch each kernel once for each layer and dtype, on few filters, and wait for it."""
    import cupy

    cupy.cuda.set_allocator(None)  # without a pool each array is an allocation, whose ends a sanitizer knows
    for layer in LAYER_SPECS:
        for dtype in DTYPES:
            for _, function, shape, _ in operations(layer, 5, dtype):
                function(cupy.ones(shape, dtype))
    cupy.cuda.get_current_stream().synchronize()


def table(rows):
    """The rows as text."""
    lines = ["layer        channels  dtype    direction   kernel us   GB/s   copy GB/s   kernel / copy (spread)"]
    for row in rows:
        low, high = row["kernel_to_copy_spread"]
        lines.append(
            f"{row['layer']:12} {row['channels']:8}  {row['dtype']:8} {row['direction']:9} {row['kernel_us']:11.1f} "
            f"{row['kernel_gb_per_s']:6.0f} {row['copy_gb_per_s']:11.0f}   "
            f"{row['kernel_to_copy']:.2f} ({low:.2f}-{high:.2f})"
        )
    return "\n".join(lines)


def main(arguments=None):
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_kernels",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="launch each kernel once and time nothing")
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    options = parser.parse_args(arguments)
    if options.once:
        once()
        return 0
    rows = measure()
    print(table(rows))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
