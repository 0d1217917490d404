"""What moved between two runs: `python -m benchmarks compare A.json B.json`.

Of times only the figures are compared, ratios that were taken within one run: the same machine takes another time
for the same work on another day. A figure with a subject or a rival that is in one file alone, and an index table,
which has no rival, cannot be compared. Of bytes, and of whatever else is no time, the values themselves are.

A figure moved if its quartiles in the two runs do not overlap, and its medians differ by more than 3 %. It moved
for the worse if it grew: the subject takes more of the rival's time, or more bytes. Which of the two changed, a
ratio does not tell.

Exit status: 0 if nothing moved for the worse, 1 if something did, 2 if the files cannot be compared.
"""

import math
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from benchmarks.results import differences, load_results
from benchmarks.sizes import point_named_by

LEAST_CHANGE = 0.03  # of a median; runs of the same program differ by as much
EXIT_AS_BEFORE, EXIT_WORSE, EXIT_UNUSABLE = 0, 1, 2

_PIPED_WIDTH = 400  # characters: no line is broken where nobody sees a terminal
_UNITS = {"bytes": (2**20, " MiB")}  # shown as multiples of; other units as they are
_REMARK = "Of times, ratios within a run are compared, never seconds of one run with those of another."


@dataclass(frozen=True)
class Spread:
    """The median and the quartiles; `of`: the contender that stood for the rival, or nothing."""

    lower: float
    median: float
    upper: float
    of: str = ""

    def overlaps(self, other):
        """Whether the ranges between the quartiles have a point in common."""
        return self.lower <= other.upper and other.lower <= self.upper


@dataclass(frozen=True)
class Change:
    """What one run measured, and the other.

    operation, point: in words; what: "SUBJECT / RIVAL", or the contender whose values these are
    unit: of the numbers; "" of a ratio
    """

    operation: str
    point: str
    what: str
    unit: str
    before: Spread
    after: Spread

    @property
    def factor(self):
        """The later median by the earlier one."""
        before, after = self.before.median, self.after.median
        return after / before if before else (math.inf if after else 1.0)

    @property
    def size(self):
        """How far it moved, in either direction: 1 if not at all."""
        return max(self.factor, 1 / self.factor if self.factor else math.inf)

    @property
    def moved(self):
        """Whether that is beyond the spread."""
        return self.size > 1 + LEAST_CHANGE and not self.before.overlaps(self.after)

    @property
    def is_worse(self):
        """Whether it moved and grew."""
        return self.moved and self.factor > 1


@dataclass(frozen=True)
class Difference:
    """What differs between two runs.

    moved: [Change] beyond the spread, the largest first; compared: how many there were to choose from
    alone: for each of the two, {operation, or operation and figure: the points where it alone has that}
    circumstances: sentences on suite, machine and versions
    """

    moved: list
    compared: int
    alone: tuple
    circumstances: list

    @property
    def worse(self):
        """The Changes for the worse."""
        return [change for change in self.moved if change.is_worse]


def compare(a, b):
    """The Difference from results `a` to results `b`, each as load_results gives them.

    Raises ValueError if their measurements lack something.
    """
    before, after = _spreads(a), _spreads(b)
    changes = [
        Change(*where, *what, spread, after[where][what])
        for where, spreads in before.items()
        for what, spread in spreads.items()
        if what in after.get(where, ())
    ]
    moved = sorted((change for change in changes if change.moved), key=lambda change: change.size, reverse=True)
    alone = _alone(before, after), _alone(after, before)
    return Difference(moved, len(changes), alone, differences(a, b["suite"], b["machine"]))


def show(difference, names, console):
    """The difference on a console; names: of the two files."""
    for line in difference.circumstances:
        _print(console, f"differs: {line}")
    for name, alone in zip(names, difference.alone):
        for what, points in alone.items():
            _print(console, f"only in {name}: {what}, at {len(points)}: {'; '.join(points)}")
    if difference.moved:
        console.print(_grid(difference, names))
    for line in verdict_lines(difference):
        _print(console, line)


def verdict_lines(difference):
    """What came of it, in words."""
    if not difference.compared:
        return ["Nothing can be compared: no figure is in both files."]
    worse, better = len(difference.worse), len(difference.moved) - len(difference.worse)
    moved = f"{worse} for the worse, {better} for the better" if difference.moved else "none"
    return [f"Figures compared: {difference.compared}. Moved beyond the spread: {moved}.", _REMARK]


def add_arguments(parser):
    """What the command takes."""
    parser.add_argument("a", metavar="A.json", type=Path, help="results of the earlier run, or of what is held against")
    parser.add_argument("b", metavar="B.json", type=Path, help="results of the later run")


def run(arguments):
    """Compare the two files and show what moved; returns the exit status.

    0: nothing moved for the worse; 1: something did; 2: the files cannot be compared, as a sentence on stderr says
    """
    paths = arguments.a, arguments.b
    try:
        difference = compare(*map(load_results, paths))
    except ValueError as problem:
        print(f"python -m benchmarks compare: {problem}", file=sys.stderr)
        return EXIT_UNUSABLE
    console = Console()
    show(difference, paths, console if console.is_terminal else Console(width=_PIPED_WIDTH, no_color=True))
    if not difference.compared:
        return EXIT_UNUSABLE
    return EXIT_WORSE if difference.worse else EXIT_AS_BEFORE


def _spreads(results):
    """{(operation, point): {(what, unit): Spread}}, in the order of the results."""
    spreads = {}
    for number, measurement in enumerate(results["measurements"]):
        try:
            point = point_named_by(measurement["point"], results["machine"]["cores"])
            spreads[measurement["operation"], str(point)] = dict(_spreads_of(measurement))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"measurement {number} of the run of {results['date']} cannot be read ({error!r}): "
                "it is incomplete, or another version of the benchmarks has made it."
            ) from error
    return spreads


def _spreads_of(measurement):
    """((what, unit), Spread) of each figure; of each contender's values if they are no times."""
    if measurement["unit"] == "s":
        for figure in measurement["figures"]:
            quartiles = (float(figure[name]) for name in ("lower", "median", "upper"))
            of = "" if figure["of"] == figure["rival"] else figure["of"]
            yield (f"{figure['subject']} / {figure['rival']}", ""), Spread(*quartiles, of)
    else:
        for contender, values in measurement["values"].items():
            yield (contender, measurement["unit"]), Spread(*np.percentile(values, [25, 50, 75]).tolist())


def _alone(spreads, others):
    """{operation: points} of what the others do not have; {operation, figure: points} where they lack but a figure."""
    alone = defaultdict(list)
    for (operation, point), figures in spreads.items():
        if (operation, point) not in others:
            alone[operation].append(point)
            continue
        for what, unit in figures:
            if (what, unit) not in others[operation, point]:
                alone[f"{operation}, {what}"].append(point)
    return dict(alone)


def _grid(difference, names):
    grid = Grid(box=SIMPLE_HEAD)
    for title in ("operation", "point", "figure"):
        grid.add_column(title)
    for title in (*map(str, names), "change"):
        grid.add_column(Text(title), justify="right")
    for change in difference.moved:
        spreads = (_cell(spread, change.unit) for spread in (change.before, change.after))
        moved = Text(f"{change.factor - 1:+.0%}", style="red" if change.is_worse else "green")
        grid.add_row(*map(Text, (change.operation, change.point, change.what, *spreads)), moved)
    return grid


def _cell(spread, unit):
    """As '1.02 (1.00-1.05) planar NCHW', or '28.7 MiB'."""
    scale, unit = _UNITS.get(unit, (1, unit and f" {unit}"))
    numbers = (spread.lower, spread.median, spread.upper)
    lower, median, upper = (f"{value / scale:#.3g}".rstrip(".") for value in numbers)
    quartiles = "" if lower == upper else f" ({lower}-{upper})"
    return f"{median}{unit}{quartiles}{spread.of and f' {spread.of}'}"


def _print(console, line):
    console.print(line, markup=False, highlight=False, soft_wrap=True)
