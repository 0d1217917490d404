"""The results: tables for the terminal, and a JSON file, written whole or not at all."""

import json
import os
import statistics
from dataclasses import asdict

from benchmarks.contenders import SUBJECT
from benchmarks.targets import CONSTRUCTION, EVALUATION, MEMORY, TRAINING, target_of

_RIVALS = ("planar", "escnn", "chainer_gconv")  # as the columns stand
_UNITS = {TRAINING: ("ms", 1e3), EVALUATION: ("ms", 1e3), CONSTRUCTION: ("ms", 1e3), MEMORY: ("MiB", 2**-20)}
_NAME, _OWN, _CELL = 36, 20, 38  # widths
_OVER = "!"


def header_lines(machine):
    """The machine, in words."""
    *settings, versions = machine
    return [
        ", ".join(f"{name}: {machine[name]}" for name in settings),
        "versions: " + ", ".join(f"{name} {number}" for name, number in machine[versions].items() if number),
    ]


def table_lines(measurements):
    """A table for each operation: torch_gconv's own value, and its figures against each rival, with quartiles."""
    for operation, (unit, scale) in _UNITS.items():
        rows = [measurement for measurement in measurements if measurement.operation == operation]
        rivals = [rival for rival in _RIVALS if any(rival in row.figures for row in rows)]
        if rows:
            titles = [f"against {rival}{_due(operation, rival)}" for rival in rivals]
            yield ""
            yield _line(operation, f"{SUBJECT}, {unit}", titles)
        for row in rows:
            own = statistics.median(row.values[SUBJECT]) * scale
            yield _line(str(row.shape), f"{own:.2f}", [_cell(row, rival) for rival in rivals])
        if len(rows) > 1:
            yield _line("median", "", [_median(rows, rival) for rival in rivals])


def verdict_lines(measurements):
    """Each figure over its target, or that there is none."""
    missed = [
        f"{_OVER} {measurement.operation}, {measurement.shape}, against {figure.of}: "
        f"target <= {_number(target.at_most)}, measured {_number(figure.median)}"
        for measurement in measurements
        for target, figure in measurement.missed()
    ]
    return missed or [f"No figure is over its target, of {len(measurements)} measurements."]


def write_results(path, machine, comparison):
    """Write all as JSON; a file that was there stays as it is until the new one is complete."""
    results = {
        "machine": machine,
        "left_out": comparison.left_out,
        "measurements": [asdict(measurement) for measurement in comparison.measurements],
        "missed": verdict_lines(comparison.measurements),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(results, indent=1), encoding="utf-8")
    os.replace(partial, path)


def _line(name, own, cells):
    return f"{name:{_NAME}}{own:>{_OWN}}  " + "".join(f"{cell:{_CELL}}" for cell in cells)


def _due(operation, rival):
    target = target_of(operation, rival)
    return f" (<= {_number(target.at_most)})" if target else ""


def _cell(measurement, rival):
    figure = measurement.figures.get(rival)
    if figure is None:
        return ""
    over = _OVER if any(missed is figure for _, missed in measurement.missed()) else " "
    spread = "" if figure.lower == figure.upper else f" ({_number(figure.lower)}-{_number(figure.upper)})"
    format_of_planar = figure.of.removeprefix(rival)
    return f"{over}{_number(figure.median)}{spread}{format_of_planar}"


def _median(rows, rival):
    return " " + _number(statistics.median(row.figures[rival].median for row in rows if rival in row.figures))


def _number(value):
    return f"{value:.3f}"
