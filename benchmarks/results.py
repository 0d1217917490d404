"""The results of a run: a JSON file, written whole or not at all, from which reports, charts and pages are made.

format, suite, date, seconds    FORMAT; the suite's name; when, as YYYY-MM-DD; how long the run took
machine                         as describe_machine of benchmarks.machine gives it; its "name" names the file
limits                          of the machine, as measure_limits of benchmarks.limits gives them
left_out                        {what: why}: contenders that could not run
targets                         the fields of benchmarks.targets.Target
measurements, each with
    operation, point, axes      point: the fields of the Shape, NetworkShape or Table, and what follows from them;
                                axes: the names of the suite's axes on which it lies
    unit, values                "s" or "bytes"; {contender: [value by round]}
    flops, bytes                work, and least traffic, of one call; null where undefined
    limit_seconds               {"arithmetic": .., "bytes": ..}: what these take at the machine's limits, or null
    figures                     [{"subject", "rival", "of", "median", "lower", "upper"}]: quartiles over the rounds of
                                the subject's value by that of `of`, the best contender that counts as the rival
"""

import json
from dataclasses import asdict
from datetime import date

from benchmarks.files import write_whole
from benchmarks.targets import TARGETS

FORMAT = 1
_TYPES = {
    "suite": str,
    "date": str,
    "seconds": (int, float),
    "machine": dict,
    "limits": list,
    "left_out": dict,
    "targets": list,
    "measurements": list,
}
_MEASUREMENT_TYPES = {"operation": str, "point": dict, "axes": list, "unit": str, "values": dict, "figures": list}


def build_results(suite, machine, comparison, seconds):
    """The results of a run.

    suite: its name; machine: as describe_machine gives it; comparison: the Comparison; seconds: how long it took
    """
    return {
        "format": FORMAT,
        "suite": suite,
        "date": date.today().isoformat(),
        "seconds": round(seconds, 1),
        "machine": machine,
        "limits": comparison.limits,
        "left_out": comparison.left_out,
        "targets": [asdict(target) for target in TARGETS],
        "measurements": comparison.measurements,
    }


def write_results(path, results):
    """Write the results; a file that was there stays as it is until the new one is complete.

    Raises OSError, and TypeError or ValueError for what is no JSON.
    """
    # A line for each measurement, so that a diff shows what changed.
    entries = (f" {json.dumps(name)}: {_lines_of(value)}" for name, value in results.items())
    write_whole(path, "{{\n{}\n}}\n".format(",\n".join(entries)).encode())


def _lines_of(value):
    if not (isinstance(value, list) and value):
        return json.dumps(value, allow_nan=False)
    return "[\n{}\n ]".format(",\n".join(f"  {json.dumps(item, allow_nan=False)}" for item in value))


def load_results(path):
    """The results in a file. Raises ValueError, saying what is wrong with it, if it holds none."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ValueError(f"{path} is not JSON, so no results of the benchmarks: {error}.") from error
    if not isinstance(results, dict) or "format" not in results:
        raise ValueError(f"{path} is JSON, but no results of the benchmarks: it does not say its format.")
    if results["format"] != FORMAT:
        raise ValueError(f"{path} has format {results['format']!r}; this version reads format {FORMAT}. Measure again.")
    _check_types(results, _TYPES, path)
    for number, measurement in enumerate(results["measurements"]):
        if not isinstance(measurement, dict):
            raise ValueError(f"{path}: measurement {number} is {measurement!r}, not an object.")
        _check_types(measurement, _MEASUREMENT_TYPES, f"{path}: measurement {number}")
    return results


def differences(results, suite, machine):
    """What the results were measured with and a run of this suite on this machine would not be, in words."""
    before = {"suite": results["suite"], **_flat(results["machine"])}
    now = {"suite": suite, **_flat(machine)}
    return [
        f"{name} was {before.get(name)!r}, is {now.get(name)!r}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]


def _flat(machine):
    return {**machine, **machine.get("versions", {}), "versions": None}


def _check_types(found, types, where):
    for name, kind in types.items():
        if not isinstance(found.get(name), kind):
            shown = repr(found[name]) if name in found else "missing"
            raise ValueError(f"{where}: {name!r} is {shown}, so these are no complete results of the benchmarks.")
