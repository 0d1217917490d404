"""The results in the terminal: a table for each operation and subject, the limits, and what became of the targets."""

import statistics
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from benchmarks.contenders import SUBJECTS
from benchmarks.sizes import point_named_by
from benchmarks.targets import MEDIAN, Target, judge

OVER = "!"  # marks a figure over its target
_UNITS = {
    "s": {"s": 1.0, "ms": 1e-3, "us": 1e-6},
    "bytes": {"GiB": 2.0**30, "MiB": 2.0**20, "KiB": 2.0**10},
}
_NAMED_POINTS = 5  # of those over a target, the worst


def report_lines(results, width, color=False):
    """The report on results.

    width: of the terminal, in characters; color: whether it shows any
    """
    console = Console(file=StringIO(), width=width, force_terminal=color, no_color=not color, highlight=False)
    verdicts = [judge(Target(**target), results["measurements"]) for target in results["targets"]]
    for table in _tables(results, verdicts):
        console.print(table)
    for limit in results["limits"]:
        console.print(Text(_limit_line(limit)))
    console.print(_target_table(verdicts))
    for line in _over_lines(verdicts, results["machine"]):
        console.print(Text(line))
    return console.file.getvalue().splitlines()


def _tables(results, verdicts):
    """A table for each operation and subject; of an operation that no subject has, for each contender."""
    for operation in dict.fromkeys(measurement["operation"] for measurement in results["measurements"]):
        rows = [measurement for measurement in results["measurements"] if measurement["operation"] == operation]
        names = dict.fromkeys(name for row in rows for name in row["values"])
        for name in [subject for subject in SUBJECTS if subject in names] or names:
            yield _table(operation, name, [row for row in rows if name in row["values"]], results["machine"], verdicts)


def _table(operation, name, rows, machine, verdicts):
    """One line a point: the median of the contender's values, how near the limit they are, and its figures."""
    figures = [{found["rival"]: found for found in row["figures"] if found["subject"] == name} for row in rows]
    rivals = [rival for rival in SUBJECTS.get(name, ()) if any(rival in found for found in figures)]
    table = Grid(
        box=SIMPLE_HEAD, title=f"{operation}: {name}", title_justify="left", title_style="bold", padding=(0, 1)
    )
    for title in ("point", "median", "of the limit", *(f"/ {rival}" for rival in rivals)):
        table.add_column(title, justify="left" if title == "point" else "right")
    for row, found in zip(rows, figures):
        value = statistics.median(row["values"][name])
        cells = [_figure_cell(found[rival], verdicts) if rival in found else "" for rival in rivals]
        table.add_row(_point_name(row, machine), _quantity(value, row["unit"]), _limit_share(row, value), *cells)
    if len(rows) > 1 and rivals:
        medians = [_median_cell(operation, name, rival, figures, verdicts) for rival in rivals]
        table.add_section()
        table.add_row("median", "", "", *medians)
    return table


def _grid(title, titles, words):
    """A table without rows. Numbers stand on the right; the columns whose titles are in `words`, on the left."""
    grid = Grid(box=SIMPLE_HEAD, title=title, title_justify="left", title_style="bold", padding=(0, 1))
    for column in titles:
        grid.add_column(column, justify="left" if column in words else "right", no_wrap=column == titles[0])
    return grid


def _figure_cell(figure, verdicts):
    over = any(figure is excessive for verdict in verdicts for _, excessive in verdict.over)
    exact = figure["lower"] == figure["upper"]
    spread = "" if exact else f" ({_ratio(figure['lower'])}-{_ratio(figure['upper'])})"
    variant = figure["of"].removeprefix(figure["rival"])  # which of the contenders that count as the rival
    return _marked(f"{_ratio(figure['median'])}{spread}{variant}", over)


def _median_cell(operation, subject, rival, figures, verdicts):
    median = statistics.median(found[rival]["median"] for found in figures if rival in found)
    over = any(
        (verdict.target.operation, verdict.target.subject, verdict.target.rival) == (operation, subject, rival)
        and verdict.target.over == MEDIAN
        and verdict.met is False
        for verdict in verdicts
    )
    return _marked(_ratio(median), over)


def _limit_share(measurement, value):
    """How much of the time the binding limit takes, as '63 % arithmetic'."""
    limits = {name: least for name, least in (measurement["limit_seconds"] or {}).items() if least is not None}
    if not limits:
        return ""
    binding = max(limits, key=limits.get)
    return f"{limits[binding] / value:.0%} {binding}"


def _limit_line(limit):
    rates = [
        f"{limit[rate] / 1e9:.3g} {unit} ({limit[way]})"
        for rate, unit, way in (("flops_per_second", "GFLOP/s", "flops_by"), ("bytes_per_second", "GB/s", "bytes_by"))
        if limit[rate] is not None
    ]
    return (
        f"limits of {limit['device']}, {limit['dtype']}, threads: {limit['threads']}: {', '.join(rates) or 'unknown'}"
    )


def _target_table(verdicts):
    titles = ("operation", "figure", "of", "due", "measured", "verdict")
    table = _grid("targets", titles, words=("operation", "figure", "of", "verdict"))
    for verdict in verdicts:
        target = verdict.target
        where = "" if target.channels is None else f", {target.channels} channels"
        table.add_row(
            target.operation,
            f"{target.subject} / {target.rival}",
            ("median" if target.over == MEDIAN else "each point") + where,
            f"<= {_ratio(target.at_most)}",
            "" if verdict.measured is None else _ratio(verdict.measured),
            _verdict_cell(verdict),
        )
    return table


def _verdict_cell(verdict):
    if verdict.met is None:
        return "not measured"
    points = f", at {len(verdict.over)} of {len(verdict.figures)} points" if verdict.over else ""
    if verdict.met:
        return f"met, {-verdict.excess:.0%} below"
    return _marked(f"missed by {verdict.excess:.0%}{points}", over=True)


def _over_lines(verdicts, machine):
    """The worst points of each target that one of them misses."""
    for verdict in verdicts:
        for measurement, figure in verdict.over[:_NAMED_POINTS]:
            yield (
                f"{OVER} {measurement['operation']}, {_point_name(measurement, machine)}: "
                f"{_ratio(figure['median'])} of {figure['of']}, due <= {_ratio(verdict.target.at_most)}"
            )
        if len(verdict.over) > _NAMED_POINTS:
            yield f"{OVER} and {len(verdict.over) - _NAMED_POINTS} more"


def _point_name(measurement, machine):
    return str(point_named_by(measurement["point"], machine["cores"]))


def _quantity(value, unit):
    """As '31.2 ms': in the largest unit of which it has one, or the smallest."""
    units = _UNITS[unit]
    name = next((name for name, size in units.items() if value >= size), list(units)[-1])
    return f"{value / units[name]:.3g} {name}"


def _ratio(value):
    return f"{value:.2f}" if value >= 0.095 else f"{value:.3f}"


def _marked(words, over):
    return Text(f"{OVER} {words}", style="red") if over else Text(words)
