"""What the index tables of the layers cost: the time to make them, once per process, and their memory.

    python -m groupy.gconv.table_costs [--ksize K] [--layers NAME ...] [--json FILE]

prints a line for each layer: group elements S_out, cells C of one canonical filter, milliseconds to make the
table and both gathers, the best of three, and their bytes, which are 4 (1 + d) S_out C for the table (int32) and
8 S_out C for each gather (int64). Exit code 0; 2 if an argument is wrong.
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter

from groupy.gconv.filter_transformation import FilterTransformation
from groupy.gconv.layer_specs import LAYER_SPECS
from groupy.gconv.make_gconv_indices import make_index_table

_REPEATS = 3


def cost(spec, ksize):
    """What a layer's tables cost, as a dict.

    spec: LayerSpec; ksize: the side of the kernel, or its sides
    Raises TypeError or ValueError if the layer has no such kernel.
    """
    kernel = spec.kernel(spec.name, "ksize", ksize)
    seconds = []
    for _ in range(_REPEATS):
        start = perf_counter()
        transformation = FilterTransformation(make_index_table(spec.stabilizer, kernel, spec.lifting))
        tables = (transformation.table, transformation.gather, transformation.inverse)
        seconds.append(perf_counter() - start)
    table, gather, inverse = (array.nbytes for array in tables)
    return {
        "layer": spec.name,
        "kernel": list(kernel),
        "elements": transformation.output_stabilizer_size,
        "cells": transformation.n_cells,
        "milliseconds": 1000 * min(seconds),
        "table_bytes": table,
        "gather_bytes": gather,
        "inverse_bytes": inverse,
        "bytes": table + gather + inverse,
    }


def main(arguments=None):
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m groupy.gconv.table_costs", description=__doc__.split("\n\n")[0])
    parser.add_argument("--ksize", type=int, default=3, metavar="K", help="side of the kernel (%(default)s)")
    parser.add_argument("--layers", nargs="+", metavar="NAME", default=list(LAYER_SPECS), help="layers (all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to a file too")
    options = parser.parse_args(arguments)
    if options.ksize < 1:
        parser.error(f"argument --ksize: must be at least 1, got {options.ksize}")
    for name in options.layers:
        if name not in LAYER_SPECS:
            parser.error(f"argument --layers: there is no layer {name}; there are {', '.join(LAYER_SPECS)}")
    fitting, others = [], []
    for name in options.layers:
        try:
            fitting.append(cost(LAYER_SPECS[name], options.ksize))
        except ValueError as reason:
            others.append(str(reason))
    if not fitting:
        parser.error(" ".join(others))
    columns = ("elements", "cells", "milliseconds", "table_bytes", "gather_bytes", "inverse_bytes", "bytes")
    print(f"{'layer':14}" + "".join(f"{column:>15}" for column in columns))
    for row in fitting:
        shown = (f"{row[column]:,.2f}" if column == "milliseconds" else f"{row[column]:,}" for column in columns)
        print(f"{row['layer']:14}" + "".join(f"{text:>15}" for text in shown))
    for why in others:
        print(f"left out: {why}")
    if options.json:
        partial = options.json.with_name(options.json.name + ".partial")
        try:
            partial.write_text(json.dumps(fitting, indent=1) + "\n", encoding="utf-8")
            partial.replace(options.json)
        except OSError as reason:
            parser.error(f"argument --json: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
