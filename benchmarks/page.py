"""The page on performance, and the charts in it, written from results alone: no run, no number of its own.

What the results say is computed in benchmarks/findings.py; the sentences are in templates/performance.md; here is how
values are worded, and what goes into which table.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmarks import charts, findings
from benchmarks.charts import number
from benchmarks.contenders import SUBJECTS
from benchmarks.files import write_whole
from benchmarks.findings import DEPENDS, LESS, LEVEL, MORE, PLANAR
from benchmarks.machine import lines
from benchmarks.sizes import point_named_by
from benchmarks.targets import CONSTRUCTION, EACH, EVALUATION, MEMORY, NETWORK_TRAINING, OPERATIONS, TRAINING

_TEMPLATES = Path(__file__).parent / "templates"

# What a user can choose among; the others are there to be compared with. The plain layer is the first.
_CHOICES = ("torch_gconv", "torch_gconv compiled", "torch_gconv planar", "escnn", "chainer_gconv")
_PLAIN = _CHOICES[0]
_TIMED = (TRAINING, EVALUATION, NETWORK_TRAINING)

_UNITS = {
    "s": (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)),
    "bytes": (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10), ("bytes", 1.0)),
}


def publish(results, folder, page):
    """Draw the charts into <folder>/<name of the machine>/, and write the page.

    results: as benchmarks.results describes them; page: a Path, or None for the charts alone
    Each file is written whole or not at all, after all are made; charts that an earlier run left and that these results
    have no data for are removed. Raises OSError.
    """
    home = folder / results["machine"]["name"]
    drawn = {device: charts.draw_charts(results, device) for device in findings.devices(results)}
    text = page and page_text(results, drawn, home, page)
    files = {}
    for of_device in drawn.values():
        for chart in of_device.values():
            files.update({f"{chart.name}.svg": chart.svg, f"{chart.name}.png": chart.png})
    home.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_whole(home / name, content)
    for left in charts.file_names() - files.keys():
        (home / left).unlink(missing_ok=True)
    if page:
        page.parent.mkdir(parents=True, exist_ok=True)
        write_whole(page, text.encode())


def page_text(results, drawn, home, page):
    """The page.

    drawn: {device: {name: Drawn}}; home: the folder of the charts; page: the Path from which they are linked to.
    If the results lie beside that folder, as <name of the machine>.json, they are linked to as well.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown
    )
    environment.filters.update(number=number, percent=percent, spread=spread_in_words)
    environment.filters.update(at_channels=at_channels, sentence=sentence)
    environment.globals.update(LESS=LESS, LEVEL=LEVEL, MORE=MORE, DEPENDS=DEPENDS)
    relative = Path(os.path.relpath(home, page.parent)).as_posix()
    text = environment.get_template("performance.md").render(
        results=results,
        machine=lines(results["machine"]),
        folder=relative,
        has_file=home.with_name(f"{home.name}.json").exists(),
        noticeable=findings.NOTICEABLE,
        plain=_PLAIN,
        named=lambda point: name_of(point, results),
        limits=_limit_table(results["limits"]),
        devices=[_of_device(results, device, drawn[device]) for device in findings.devices(results)],
        missing=[operation for operation in OPERATIONS if not _any(results, operation)],
        with_gpu=any(device != "cpu" for device in findings.devices(results)),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _any(results, operation):
    return any(measurement["operation"] == operation for measurement in results["measurements"])


def _of_device(results, device, drawn):
    """What the template says of one device."""

    def compare(subject, rivals, operations=_TIMED):
        found = (findings.summary(results, o, subject, rival, device) for rival in rivals for o in operations)
        return [summary for summary in found if summary]

    def along(find, *arguments):
        found = ((operation, find(results, operation, *arguments, device)) for operation in (TRAINING, EVALUATION))
        return [(operation, rows) for operation, rows in found if rows]

    base = findings.base(results, device)
    compared = {
        "frameworks": compare("chainer_gconv", [_PLAIN]),
        "planar": compare(_PLAIN, [PLANAR]),
        "rivals": compare(_PLAIN, ["escnn", "old PyTorch port"]) + compare(_PLAIN, ["escnn"], [CONSTRUCTION]),
        "chainer_gain": compare("chainer_gconv", ["GrouPy in Chainer"]),
        "compiled_networks": compare("torch_gconv compiled", [_PLAIN], [NETWORK_TRAINING]),
        "memory": compare(_PLAIN, [PLANAR, "escnn", "chainer_gconv"], [MEMORY]),
    }
    rows = {
        "compiled": along(findings.rows, "torch_gconv compiled", _PLAIN),
        "to_planar": along(findings.rows, "torch_gconv planar", _PLAIN),
        "layouts": along(findings.layout_rows, _PLAIN),
    }
    threads = [
        (operation, [change for change in changes if change.value == 1 and change.label in SUBJECTS])
        for operation, changes in along(findings.changes, "threads", "threads")
    ]
    group_costs, order_costs = along(findings.group_costs, _PLAIN), along(findings.order_costs, _PLAIN)
    verdicts = {name: [found.over.verdict for found in summaries] for name, summaries in compared.items()}
    for name, by_operation in rows.items():
        verdicts[name] = [row.verdict for _, found in by_operation for row in found]
    verdicts["compiled"] += verdicts["compiled_networks"]
    verdicts["threads"] = [change.spread.verdict for _, changes in threads for change in changes]
    return {
        "name": device,
        "base": base,
        **compared,
        **rows,
        "threads": [(operation, changes) for operation, changes in threads if changes],
        "advice": {name: findings.advice(found) for name, found in verdicts.items()},
        "comparisons": _comparison_table([summary for summaries in compared.values() for summary in summaries]),
        "usual_group_costs": [
            (operation, usual)
            for operation, costs in group_costs
            if (usual := [cost for cost in costs if cost.point["channels"] == base["channels"]])
        ],
        "fastest": [_fastest_table(*found) for found in along(findings.fastest, _CHOICES)],
        "targets": _target_table(results, findings.verdicts(results, device)),
        "charts": list(drawn.values()),
        "details": [
            *(_group_cost_table(*found) for found in group_costs),
            *(_order_table(*found) for found in order_costs),
            *(_change_table(results, *found, "dtype") for found in along(findings.changes, "dtype", "dtype")),
        ],
        "tables": [table for operation in OPERATIONS for table in tables(results, operation, device)],
        "shares": shares(results, device),
    }


# Values in words


def spread_in_words(spread):
    """As '1.02 (0.98-1.03)', and '' for None."""
    return f"{number(spread.median)} ({number(spread.lower)}-{number(spread.upper)})" if spread else ""


def percent(fraction):
    """As '12 %'; with a digit after the point where it is less than ten."""
    value = 100 * fraction
    return f"{value:.1f} %" if abs(value) < 10 else f"{value:.0f} %"


def at_channels(row, verdict):
    """Where a findings.Row has a verdict, as 'at 8 to 64 channels' if nothing else was measured in between."""
    every, here = [at.point["channels"] for at in row.at], row.channels(verdict)
    first = every.index(here[0])
    together = len(here) > 2 and here == every[first : first + len(here)]
    return f"at {here[0]} to {here[-1]} channels" if together else f"at {listed(here)} channels"


def listed(words):
    """As '8, 16 and 32'."""
    *firsts, last = map(str, words)
    return f"{', '.join(firsts)} and {last}" if firsts else last


def sentence(words):
    """With a capital at its start."""
    return words[:1].upper() + words[1:]


def quantity(value, unit):
    """As '31.2 ms', in the largest unit of which it has one, or the smallest."""
    name, size = next((each for each in _UNITS[unit] if value >= each[1]), _UNITS[unit][-1])
    return f"{number(value / size)} {name}"


def name_of(point, results):
    """A point as the report in the terminal calls it."""
    return str(point_named_by(point, results["machine"]["cores"]))


# Tables


@dataclass(frozen=True)
class Table:
    """One table of the page, in words."""

    title: str
    head: list
    rows: list


def tables(results, operation, device):
    """The Tables of an operation: how each subject compares with its rivals, and what every contender takes."""
    measurements = findings.measured(results, operation, device)
    if not measurements:
        return []
    compared = [_ratio_table(results, operation, subject, rivals, measurements) for subject, rivals in SUBJECTS.items()]
    return [table for table in compared if table] + [_value_table(results, operation, measurements)]


def _ratio_table(results, operation, subject, rivals, measurements):
    rivals = [r for r in rivals if any(_figure(m, subject, r) for m in measurements)]
    if not rivals:
        return None
    rows = []
    for measurement in measurements:
        cells = [_figure_cell(_figure(measurement, subject, rival)) for rival in rivals]
        if any(cells):
            share = findings.share_of_limit(measurement, subject)
            rows.append([name_of(measurement["point"], results), *cells, "" if share is None else percent(share)])
    head = ["point", *(f"/ {rival}" for rival in rivals), "of the limit"]
    return _without_empty_columns(Table(f"{operation}, {subject} over its rivals: medians and quartiles", head, rows))


def _figure(measurement, subject, rival):
    return next((f for f in measurement["figures"] if (f["subject"], f["rival"]) == (subject, rival)), None)


def _figure_cell(figure):
    if figure is None:
        return ""
    if figure["lower"] == figure["upper"]:  # measured once
        return number(figure["median"])
    return spread_in_words(findings.Spread(figure["lower"], figure["median"], figure["upper"]))


def _value_table(results, operation, measurements):
    names = list(dict.fromkeys(name for measurement in measurements for name in measurement["values"]))
    rows = []
    for measurement in measurements:
        limit = findings.limit_of(measurement)
        cells = [_value_cell(measurement, name) for name in names]
        bound = "" if limit is None else f"{quantity(limit[1], measurement['unit'])}, {limit[0]}"
        rows.append([name_of(measurement["point"], results), *cells, bound])
    what = "peak growth" if measurements[0]["unit"] == "bytes" else "times"
    head = ["point", *names, "limit"]
    return _without_empty_columns(Table(f"{operation}, {what}: medians and quartiles", head, rows))


def _value_cell(measurement, name):
    values = measurement["values"].get(name)
    if not values:
        return ""
    spread, unit = findings.Spread.of(values), measurement["unit"]
    cell = quantity(spread.median, unit)
    return cell if len(values) == 1 else f"{cell} ({quantity(spread.lower, unit)}-{quantity(spread.upper, unit)})"


def _without_empty_columns(table):
    kept = [column for column in range(len(table.head)) if any(row[column] for row in table.rows)]
    return Table(table.title, [table.head[c] for c in kept], [[row[c] for c in kept] for row in table.rows])


def shares(results, device):
    """[(contender, the number of measurements of layers that it took part in, the number of all)]."""
    found = [m for operation in (TRAINING, EVALUATION) for m in findings.measured(results, operation, device)]
    names = dict.fromkeys(name for measurement in found for name in measurement["values"])
    return [(name, sum(name in m["values"] for m in found), len(found)) for name in names]


def _comparison_table(summaries):
    operations = list(dict.fromkeys(summary.operation for summary in summaries))
    cells: dict = {}
    for found in summaries:
        cells.setdefault((found.subject, found.rival), {})[found.operation] = _extent(found)
    rows = [
        [f"{subject} / {rival}", *(of.get(operation, "") for operation in operations)]
        for (subject, rival), of in cells.items()
    ]
    return Table("comparisons", ["ratio", *operations], rows)


def _extent(found):
    if len(found.at) == 1:
        return f"{spread_in_words(found.over)}, the quartiles at 1 point"
    least, most = number(found.least.spread.median), number(found.most.spread.median)
    return f"{number(found.over.median)} ({least} to {most}) at {len(found.at)} points"


def _fastest_table(operation, layers):
    channels = sorted({cell.point["channels"] for cells in layers.values() for cell in cells})
    rows = []
    for layer, cells in layers.items():
        by_channels = {cell.point["channels"]: _fastest_cell(cell) for cell in cells}
        rows.append([layer, *(by_channels.get(number, "") for number in channels)])
    return Table(operation, [f"{operation}, by channels", *map(str, channels)], rows)


def _fastest_cell(cell):
    name = cell.names[0]
    return name if name == _PLAIN or cell.gain is None else f"{name} ({number(cell.gain.median)})"


def _target_table(results, verdicts):
    head = ["operation", "ratio", "of", "due at most", "measured", "worst point", "verdict"]
    return Table("targets", head, [_target_row(results, verdict) for verdict in verdicts])


def _target_row(results, verdict):
    target = verdict.target
    of = "each point" if target.over == EACH else "the median"
    where = "" if target.channels is None else f", {target.channels} channels"
    row = [target.operation, f"{target.subject} / {target.rival}", of + where, number(target.at_most)]
    if verdict.met is None:
        return [*row, "", "", "not measured"]
    measurement, figure = verdict.figures[0]
    worst = f"{_figure_cell(figure)} at {name_of(measurement['point'], results)}"
    return [*row, number(verdict.measured), worst, _verdict_in_words(verdict)]


def _verdict_in_words(verdict):
    if verdict.met:
        return f"met, {percent(-verdict.excess)} below"
    points = f", at {len(verdict.over)} of {len(verdict.figures)} points" if verdict.over else ""
    return f"**missed** by {percent(verdict.excess)}{points}"


def _group_cost_table(operation, costs):
    head = [
        "layer",
        "channels",
        "time",
        "/ planar of as many channels",
        "/ planar of as many weights",
        "/ planar as wide",
    ]
    rows = [
        [
            *(cost.point["layer"], str(cost.point["channels"]), quantity(cost.time.median, "s")),
            *map(spread_in_words, (cost.as_channels, cost.as_weights, cost.as_wide)),
        ]
        for cost in costs
    ]
    title = f"`{_PLAIN}` against planar layers, {operation}"
    return _without_empty_columns(Table(title, head, rows))


def _order_table(operation, costs):
    head = ["layer", "order", "dimensions", "channels", "time", "/ that of the smallest group", "work / that"]
    rows = [
        [
            *(str(cost.point[name]) for name in ("layer", "stabilizer_size", "ndim", "channels")),
            *(quantity(cost.time.median, "s"), spread_in_words(cost.growth)),
            "" if cost.work is None else number(cost.work),
        ]
        for cost in costs
    ]
    return _without_empty_columns(Table(f"`{_PLAIN}` by the order of the group, {operation}", head, rows))


def _change_table(results, operation, changes, field):
    values = list(dict.fromkeys(change.value for change in changes))
    cells = {(change.label, change.value): spread_in_words(change.spread) for change in changes}
    labels = list(dict.fromkeys(change.label for change in changes))
    rows = [[label, *(cells.get((label, value), "") for value in values)] for label in labels]
    usual = findings.base(results)
    title = f"Time over that with {usual[field]}, {operation}, {name_of(usual, results)}"
    return Table(title, ["contender", *map(str, values)], rows)


def _limit_table(limits):
    head = ["device", "number type", "threads", "arithmetic", "by", "bytes", "by"]
    rows = [
        [
            *(limit["device"], limit["dtype"], str(limit["threads"])),
            *(f"{number(limit['flops_per_second'] / 1e9)} GFLOP/s", limit["flops_by"]),
            *(f"{number(limit['bytes_per_second'] / 1e9)} GB/s", limit["bytes_by"]),
        ]
        for limit in limits
    ]
    return Table("limits", head, rows)
