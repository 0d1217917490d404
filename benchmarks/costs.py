"""What a step costs, counted: the guard against layers that do more work than they did.

python -m benchmarks.costs              count, and hold the counts against benchmarks/costs.json
python -m benchmarks.costs --write      write the table anew, since the change is wanted
python -m benchmarks.costs --callgrind  instructions of the processor instead, by valgrind; for comparison by eye

Times cannot be asserted on a busy machine, counts can: of operators, functions and array methods by name, launches of
kernels, bytes, and instructions of the Python interpreter by package (benchmarks/counting.py).

A count that shrank fails too: the table says what is, and a gain that is not written down could be lost again
unseen. Counts that depend on a version which is not the table's are not compared, and it is said.

Exit status: 0 if all compared counts are the table's, 1 if not, 2 if nothing could be counted or compared.
"""

import argparse
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from benchmarks.counting import FRAMEWORKS, WARM_UP, Count, CountingError, count_layer, is_installed, versions
from benchmarks.files import write_whole
from benchmarks.sizes import KSIZE, Shape
from groupy.gconv import make_gconv_indices

TABLE = Path(__file__).with_name("costs.json")
WRITE = "python -m benchmarks.costs --write"
IF_WANTED = f"If that is wanted, write it down: {WRITE}"

# Each layer once where its filters are few, and one of so many channels that PyTorch's other memory format is chosen.
SHAPES = (
    Shape("P4ConvZ2", 8, size=6, batch=2),
    Shape("P4ConvP4", 8, size=6, batch=2),
    Shape("P4MConvP4M", 8, size=6, batch=2),
    Shape("P4MConvP4M", 32, size=4, batch=1),
    Shape("P6ConvP6", 8, size=7, batch=2),
    Shape("OConvO", 2, size=4, batch=1),
)


def count_framework(name):
    """The Counts of all SHAPES in one of FRAMEWORKS."""
    return [count for shape in SHAPES for count in count_layer(name, shape)]


def count_all():
    """The Counts of all FRAMEWORKS that are installed. Raises CountingError if none is."""
    names = [name for name in FRAMEWORKS if is_installed(name)]
    if not names:
        raise CountingError("Nothing can be counted: neither PyTorch nor Chainer is installed. Install one of them.")
    return [count for name in names for count in count_framework(name)]


def left_out(table_versions):
    """{(framework, quantity): why it cannot be compared with a table of these versions, a sentence}."""
    here, reasons = versions(), {}
    for name, framework in FRAMEWORKS.items():
        for quantity, settings in framework.quantities.items():
            others = [
                f"{what} {table_versions[what]} instead of {here[what]}"
                for what in settings.depends_on
                if here[what] != table_versions[what]
            ]
            if not is_installed(name):
                reasons[name, quantity] = f"{name}: {quantity} are not counted, since {framework.package} is missing."
            elif others:
                reasons[name, quantity] = (
                    f"{name}: {quantity} are not compared: the table is of {' and '.join(others)}."
                )
    return reasons


@dataclass(frozen=True)
class Table:
    """The counts that are due, and the versions that they were taken with."""

    versions: dict
    counts: list

    @classmethod
    def read(cls, path):
        """Raises CountingError if there is none, or it cannot be understood."""
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            known = {what: table["versions"][what] for what in versions()}
            return cls(known, [Count(**count) for count in table["counts"]])
        except FileNotFoundError:
            raise CountingError(f"There is no table {path}. Write it: {WRITE}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise CountingError(f"{path} is no table of counts ({error!r}). Write it anew: {WRITE}") from None

    def write(self, path):
        """One line a count, so that a diff shows what changed. Whole, or not at all: the old table stays until then."""
        lines = ",\n".join("  " + json.dumps(asdict(count), sort_keys=True) for count in self.counts)
        text = f'{{\n "versions": {json.dumps(self.versions)},\n "counts": [\n{lines}\n ]\n}}\n'
        try:
            write_whole(path, text.encode())
        except OSError as error:
            raise CountingError(f"{path} cannot be written: {error.strerror}.") from None


def differences(due, counted):
    """A sentence for each count that is not what it should be.

    due, counted: lists of Counts
    """
    due, counted = ({count.key: count.values for count in counts} for counts in (due, counted))
    for key in dict.fromkeys([*counted, *due]):
        framework, layer, step, quantity = key
        settings = FRAMEWORKS[framework].quantities[quantity]
        changes = list(_changes(due.get(key, {}), counted.get(key, {}), settings))
        if changes:
            yield f"{framework}, {layer}, {step}: {quantity}: {', '.join(changes)}"


def _changes(due, counted, settings):
    for what in sorted({**due, **counted}):
        before, now = due.get(what, 0), counted.get(what, 0)
        if abs(now - before) > settings.relative * before + settings.absolute:
            yield f"{what} {'grew' if now > before else 'shrank'} from {before} to {now}".lstrip()


def report_lines(counts):
    """The sums of all quantities, a row for each step."""
    for framework, of_framework in groupby(counts, key=lambda count: count.framework):
        quantities = list(FRAMEWORKS[framework].quantities)
        yield ""
        yield f"{framework:{_NAME}}" + "".join(f"{quantity:>{_CELL}}" for quantity in quantities)
        for (layer, step), of_step in groupby(of_framework, key=lambda count: (count.layer, count.step)):
            sums = {count.quantity: sum(count.values.values()) for count in of_step}
            yield f"{f'{layer}: {step}':{_NAME}}" + "".join(f"{sums[quantity]:>{_CELL}}" for quantity in quantities)


_NAME, _CELL = 74, 21  # widths


def _compare(path):
    """Count, print, hold against the table; the exit status."""
    table, counts = Table.read(path), count_all()
    reasons = left_out(table.versions)
    due, counted = (
        [count for count in of if (count.framework, count.quantity) not in reasons] for of in (table.counts, counts)
    )
    changed = list(differences(due, counted))
    for line in [*report_lines(counts), "", *reasons.values(), *changed]:
        print(line)
    if changed:
        print(f"{len(changed)} of {len(counted)} counts are not those of {path}. {IF_WANTED}")
        return 1
    print(f"{len(counted)} counts are those of {path}.")
    return 0


def _write(path):
    """Count twice, and write what is the same both times; the exit status."""
    missing = [framework.package for name, framework in FRAMEWORKS.items() if not is_installed(name)]
    if missing:
        raise CountingError(
            f"The table is of PyTorch and Chainer together, and {missing[0]} is not installed. Nothing is written."
        )
    counts = count_all()
    unsteady = list(differences(counts, count_all()))
    if unsteady:
        raise CountingError("\n".join(["Two runs do not count the same, so nothing is written.", *unsteady]))
    Table(versions(), counts).write(path)
    print(f"{len(counts)} counts are written to {path}.")
    return 0


# What callgrind counts: the index tables by their makers, and the steps of one layer in Chainer. PyTorch is not among
# them, since to load it takes valgrind three minutes.
_TABLES = ("make_c4_p4_indices", "make_d4_p4m_indices")
_LAYER = Shape("P4ConvP4", 8, size=6, batch=2)
_CALLS = 5
_MARK = "getppid"  # a function of the C library that nothing else here calls: callgrind starts a new account at each


def _callgrind():
    """Print the processor's instructions per call, by valgrind: alike to about a tenth of a percent; the exit status.

    They depend on the builds of Python and NumPy and on the C library, so no table is kept: compare two commits.
    """
    if shutil.which("valgrind") is None:
        raise CountingError(
            "valgrind is not installed. Install it (apt install valgrind), or count without --callgrind."
        )
    settings = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        accounts = Path(folder) / "account"
        program = f"from {__package__}.costs import run_marked; run_marked()"
        command = ["valgrind", "--tool=callgrind", f"--dump-before={_MARK}", f"--callgrind-out-file={accounts}"]
        child = subprocess.run(
            [*command, sys.executable, "-c", program],
            env={**os.environ, **settings},
            cwd=TABLE.parent.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        if child.returncode:
            raise CountingError(f"The calls failed under valgrind:\n{child.stderr}")
        names = child.stdout.splitlines()
        # The first account is of the preparations; from there on calls and preparations take turns.
        totals = [_total(Path(f"{accounts}.{2 * number}")) for number in range(1, len(names) + 1)]
    for name, total in zip(names, totals):
        print(f"{name:{_NAME}}{total / _CALLS:>{_CELL},.0f} instructions")
    return 0


def _total(account):
    return int(re.search(r"^totals: (\d+)$", account.read_text(encoding="utf-8"), re.MULTILINE).group(1))


def run_marked():
    """Run under callgrind: make each call ready, and run it between two calls of _MARK. Prints their names."""
    gc.disable()
    mark = getattr(os, _MARK)
    for name, call in _calls():
        for _ in range(WARM_UP):
            call()
        mark()
        for _ in range(_CALLS):
            call()
        mark()
        print(name)


def _calls():
    for maker in _TABLES:
        yield f"{maker}({KSIZE})", partial(getattr(make_gconv_indices, maker), KSIZE)
    name = "chainer_gconv"
    if is_installed(name):
        for step, call in FRAMEWORKS[name].steps(FRAMEWORKS[name].construct(_LAYER), _LAYER):
            yield f"{name}, {_LAYER}: {step}", call


def main(arguments=None):
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.costs",
        description="Count what a step of a layer costs, and hold the counts against a table.",
        epilog="Exit status: 0 if all compared counts are the table's, 1 if not, 2 if nothing could be compared.",
    )
    parser.add_argument("--table", type=Path, default=TABLE, help="default: %(default)s")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--write", action="store_true", help="write the table anew")
    instead.add_argument("--callgrind", action="store_true", help="instructions of the processor, by valgrind")
    options = parser.parse_args(arguments)
    # Else PyTorch logs each start and stop of its profiler, and that it does not know what was allocated before.
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    try:
        if options.callgrind:
            return _callgrind()
        return (_write if options.write else _compare)(options.table)
    except CountingError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
