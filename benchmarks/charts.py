"""Charts of results: what is drawn of which measurements, as data, and the few ways of drawing.

A chart without data is not drawn. Each is made as SVG and PNG, the same bytes for the same results.
"""

import io
from dataclasses import dataclass
from typing import Callable, Optional

from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from benchmarks import findings
from benchmarks.findings import PLANAR
from benchmarks.targets import EVALUATION, MEMORY, NETWORK_TRAINING, TRAINING

# label: colour, marker; in the order of legends and bars. The colours are Okabe and Ito's, which the colour-blind can
# tell apart, but for their yellow, which is too light for a line on white.
_STYLES = {
    "torch_gconv": ("#0072B2", "o"),
    "torch_gconv compiled": ("#56B4E9", "^"),
    "torch_gconv planar": ("#009E73", "s"),
    PLANAR: ("#404040", "D"),
    "escnn": ("#E69F00", "v"),
    "old PyTorch port": ("#CC79A7", "P"),
    "chainer_gconv": ("#D55E00", "X"),
    "GrouPy in Chainer": ("#7A4B1E", "h"),
}
_OTHER_STYLE = ("#999999", "*")
_LIMIT_COLOUR = "#A0A0A0"

_SETTINGS = {
    "svg.hashsalt": "groupy",  # else ids are random
    "svg.fonttype": "none",  # text stays text: the files stay small, and can be searched
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#808080",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.7,
    "xtick.color": "#404040",
    "ytick.color": "#404040",
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}
DEVICES = ("cpu", "cuda")  # that results may be of
_WIDTH = 9.2  # inches, of every chart; at 100 dots an inch about the width of a page
_DOTS = 150  # an inch, of the PNG


@dataclass(frozen=True)
class Lines:
    """A chart of lines: a row of panels for each operation, in it one for each layer or dimension.

    axis: of the suite; x, y: of a measurement, y(measurement, label) -> Spread or None
    labels: what is drawn; None for every contender
    tick: what to write at x, of a point, or None for powers of ten
    most: where the y axis, linear then, ends at the latest; None for a logarithmic one
    due: the rival; the targets of torch_gconv against it are marked
    own_limits: whether the machine's limits are drawn
    """

    name: str
    title: str
    caption: str
    axis: str
    x: Callable
    y: Callable
    xlabel: str
    ylabel: str
    labels: Optional[tuple] = None
    panel: Callable = lambda point: point["layer"]
    tick: Optional[Callable] = None
    most: Optional[float] = None
    is_ratio: bool = False
    due: Optional[str] = None
    own_limits: bool = False


@dataclass(frozen=True)
class Bars:
    """A chart of bars: a panel for each measurement that `select` gives, in it one bar for each contender.

    select: (results, device) -> [(title of the panel or None for what tells its point apart, point, {label: Spread})]
    show: a value in words
    """

    name: str
    title: str
    caption: str
    select: Callable
    show: Callable
    xlabel: str


def number(value):
    """With two digits after the point, with fewer from ten on, and with three that count where it is small."""
    if value >= 0.095:
        return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
    return f"{value:.3g}"


def _ratio_to(rival):
    return lambda measurement, label: findings.ratio(measurement, label, rival)


def _time_per(count):
    def per(measurement, label):
        found = findings.spread(measurement, label)
        return found and found.scaled(1 / count(measurement["point"]))

    return per


def _channels(measurement):
    return measurement["point"]["channels"]


def _pixels(point):
    return point["batch"] * point["size"] ** point["ndim"]


def _sides(point):
    return "×".join(point["ndim"] * [str(point["size"])])


def _bars_of(operation, factor):
    def select(results, device):
        return [
            (None, m["point"], {label: findings.spread(m, label).scaled(factor) for label in findings.labels(m)})
            for m in findings.measured(results, operation, device)
        ]

    return select


def _speed_ups(results, device):
    """The time with one thread over that with all."""
    panels = []
    for operation in (TRAINING, EVALUATION):
        found = findings.changes(results, operation, "threads", "threads", device)
        ones = {change.label: change.spread for change in found if change.value == 1}
        if ones:
            point = dict(findings.base(results, device))
            panels.append((f"{operation}, {point.pop('threads')} threads against 1", point, ones))
    return panels


_MOST_RATIO = 2  # to planar: what is slower would hide the differences that matter
_TO_PLANAR = ("torch_gconv", "torch_gconv compiled", "torch_gconv planar", "escnn")

CHARTS = (
    Lines(
        "ratio-to-planar",
        "Time over that of the planar convolution of the same folded shape",
        "Lower is faster. Bands span the quartiles over the rounds, dashes mark the targets of torch_gconv. What takes "
        f"more than {_MOST_RATIO} times as long as the planar convolution is off the chart.",
        axis="channels",
        x=_channels,
        y=_ratio_to(PLANAR),
        xlabel="channels",
        ylabel="time / planar",
        labels=_TO_PLANAR,
        tick=lambda point: str(point["channels"]),
        most=_MOST_RATIO,
        is_ratio=True,
        due=PLANAR,
    ),
    Lines(
        "ratio-to-planar-channels-last",
        "Time over that of the planar convolution, where both are given channels_last input",
        "Lower is faster. Bands span the quartiles over the rounds. What takes more than "
        f"{_MOST_RATIO} times as long as the planar convolution is off the chart.",
        axis="channels_last",
        x=_channels,
        y=_ratio_to(PLANAR),
        xlabel="channels",
        ylabel="time / planar",
        labels=_TO_PLANAR,
        tick=lambda point: str(point["channels"]),
        most=_MOST_RATIO,
        is_ratio=True,
    ),
    Lines(
        "chainer-over-torch",
        "Time in Chainer over that of torch_gconv",
        "Above 1, PyTorch is faster. Bands span the quartiles over the rounds.",
        axis="channels",
        x=_channels,
        y=_ratio_to("torch_gconv"),
        xlabel="channels",
        ylabel="time / torch_gconv",
        labels=("chainer_gconv", "GrouPy in Chainer"),
        tick=lambda point: str(point["channels"]),
        is_ratio=True,
    ),
    Lines(
        "batch",
        "Time for each image by the size of the batch",
        "Lower is faster. The time of a level line grows in proportion to the batch; where a line falls, the images "
        "share a cost.",
        axis="batch",
        x=lambda measurement: measurement["point"]["batch"],
        y=_time_per(lambda point: point["batch"]),
        xlabel="batch",
        ylabel="time per image",
        tick=lambda point: str(point["batch"]),
    ),
    Lines(
        "size",
        "Time for each pixel by the size of the feature map",
        "Lower is faster. The time of a level line grows in proportion to the number of pixels.",
        axis="size",
        x=lambda measurement: measurement["point"]["size"],
        y=_time_per(_pixels),
        xlabel="pixels on a side",
        ylabel="time per pixel",
        tick=lambda point: str(point["size"]),
    ),
    Lines(
        "group-order",
        "Time by the order of the group's stabilizer",
        "Lower is faster. The arithmetic of equally many channels grows with the square of the order.",
        axis="group order",
        x=lambda measurement: measurement["point"]["stabilizer_size"],
        y=_time_per(lambda point: 1),
        xlabel="order and group",
        ylabel="time",
        panel=lambda point: f"{point['ndim']} dimensions: {_sides(point)}, batch {point['batch']}",
        tick=lambda point: f"{point['stabilizer_size']}\n{point['group']}",
    ),
    Bars(
        "threads",
        "How many times as fast with all threads as with one",
        "Longer is better; the times of one and of all threads were not taken in pairs.",
        _speed_ups,
        lambda value: f"{number(value)}×",
        "speed-up",
    ),
    Lines(
        "cost-against-work",
        "Time against work, and the limits of the machine",
        "No implementation that does this work enters the shaded area: its edge is the higher of two limits that were "
        "measured in the same run, of arithmetic and of bytes moved. The distance to it is what is left to gain.",
        axis="channels",
        x=lambda measurement: measurement["flops"],
        y=_time_per(lambda point: 1),
        xlabel="FLOPs",
        ylabel="time",
        own_limits=True,
    ),
    Bars(
        "networks",
        "One training step of a network",
        "Shorter is faster: loss, gradients, update.",
        _bars_of(NETWORK_TRAINING, factor=1e3),
        number,
        "ms",
    ),
    Bars(
        "memory",
        "Peak memory of a training step",
        "Shorter is better: growth of a fresh process over its size before the layer was made.",
        _bars_of(MEMORY, factor=2.0**-20),
        number,
        "MiB",
    ),
)


@dataclass(frozen=True)
class Drawn:
    """A chart as drawn: its files are <name>.svg and <name>.png."""

    name: str
    title: str
    caption: str
    svg: bytes
    png: bytes


def draw_charts(results, device="cpu"):
    """{name of the chart: Drawn} of all charts that there is data for."""
    drawn = {}
    for chart in CHARTS:
        with style.context(["default", _SETTINGS]):  # whatever the user has set
            figure = (_lines if isinstance(chart, Lines) else _bars)(chart, results, device)
            if figure is not None:
                figure.draw_without_rendering()  # which lays it out: once, and not again for each file
                figure.set_layout_engine(None)
                name = _file_name(chart, device)
                drawn[chart.name] = Drawn(name, chart.title, chart.caption, _save(figure, "svg"), _save(figure, "png"))
    return drawn


def file_names():
    """The names of all files that charts may have."""
    return {f"{_file_name(chart, device)}.{kind}" for chart in CHARTS for device in DEVICES for kind in ("svg", "png")}


def _file_name(chart, device):
    return chart.name if device == "cpu" else f"{chart.name}-{device}"


def _save(figure, kind):
    buffer = io.BytesIO()
    no_date = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[kind]
    figure.savefig(buffer, format=kind, dpi=_DOTS, metadata=no_date)
    return buffer.getvalue()


def _new_figure(chart, height, device, common):
    """A Figure with its title, and below that, in smaller letters, what all its points have in common."""
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    head = 0.44 / height  # of the figure's height
    figure.get_layout_engine().set(h_pad=0.05, w_pad=0.06, hspace=0.04, wspace=0.03, rect=(0, 0, 1, 1 - head))
    where = common if device == "cpu" else f"{common}, on {device}"
    figure.text(0.008, 1 - 0.07 / height, chart.title, ha="left", va="top", fontsize=10.5, weight="bold")
    figure.text(0.008, 1 - 0.27 / height, where, ha="left", va="top", color="#606060")
    return figure


# Lines


def _lines(chart, results, device):
    panels = _panels_of(chart, results, device)
    if not panels:
        return None
    measurements = [measurement for found in panels.values() for measurement in found]
    figure, axes = _grid(chart, panels, device, _in_common([measurement["point"] for measurement in measurements]))
    shown: set = set()
    for (operation, title), panel in axes.items():
        if (operation, title) not in panels:
            panel.set_axis_off()
            continue
        in_column = [m for (_, other), found in panels.items() if other == title for m in found]
        _scale(panel, chart, in_column)
        shown.update(_draw_panel(panel, chart, panels[operation, title]))
        _mark_targets(panel, chart, results, operation)
    for key, found in panels.items():  # after all is drawn, since the panels of a row share their scale
        _finish(axes[key], chart, found)
    _legend(figure, chart, shown)
    return figure


# (decades, the ticks in each decade of an axis that spans more than as many)
_TICKS = ((2.4, (1,)), (1, (1, 2, 5)), (0, (1, 1.5, 2, 3, 4, 5, 7)))


def _panels_of(chart, results, device):
    """{(operation, title): measurements in the order of x}, those with two values of x at least."""
    panels: dict = {}
    for operation in (TRAINING, EVALUATION):
        for measurement in findings.measured(results, operation, device, chart.axis):
            if chart.x(measurement) is not None and _found(chart, measurement):
                panels.setdefault((operation, chart.panel(measurement["point"])), []).append(measurement)
    ordered = {key: sorted(measurements, key=chart.x) for key, measurements in panels.items()}
    return {key: found for key, found in ordered.items() if chart.x(found[0]) != chart.x(found[-1])}


def _grid(chart, panels, device, common):
    """(figure, {(operation, title): its axes}): operations below each other, but side by side where a row has one."""
    operations, titles = (list(dict.fromkeys(names)) for names in zip(*panels))
    alone = len(titles) == 1
    rows, columns = (1, len(operations)) if alone else (len(operations), len(titles))
    figure = _new_figure(chart, 1.3 + 2.15 * rows, device, common)
    grid = figure.subplots(rows, columns, squeeze=False, sharex="col", sharey=False if alone else "row")
    axes = dict(zip(((operation, title) for operation in operations for title in titles), grid.flat))
    for (operation, title), panel in axes.items():
        panel.set_title(operation if alone else title, loc="left")
        panel.set_xlabel(chart.xlabel)
        panel.set_ylabel(chart.ylabel if alone else f"{operation}\n{chart.ylabel}")
        if not alone:
            panel.label_outer()
    for panel in grid[1:].flat:
        panel.set_title("", loc="left")
    return figure, axes


def _found(chart, measurement):
    """{label: Spread} of what is measured of a chart's labels; of all that were measured where it names none."""
    there = findings.labels(measurement)
    wanted = _ordered(there) if chart.labels is None else [label for label in chart.labels if label in there]
    values = {label: chart.y(measurement, label) for label in wanted}
    return {label: value for label, value in values.items() if value}


def _ordered(labels):
    return [label for label in _STYLES if label in labels] + [label for label in labels if label not in _STYLES]


def _draw_panel(panel, chart, measurements):
    """Draw the lines; returns their labels."""
    series: dict = {}
    for measurement in measurements:
        for label, value in _found(chart, measurement).items():
            series.setdefault(label, []).append((chart.x(measurement), value))
    for label, found in series.items():
        colour, marker = _STYLES.get(label, _OTHER_STYLE)
        x, spreads = [x for x, _ in found], [value for _, value in found]
        front = 3 if label == "torch_gconv" else 2
        panel.plot(x, [s.median for s in spreads], color=colour, marker=marker, markeredgewidth=0, zorder=front)
        bounds = ([s.lower for s in spreads], [s.upper for s in spreads])
        panel.fill_between(x, *bounds, color=colour, alpha=0.18, linewidth=0, zorder=front - 1)
    if chart.own_limits:
        x, *limits = _limits(chart, measurements)
        for seconds, style in zip(limits, ("-", ":")):
            panel.plot(x, seconds, color=_LIMIT_COLOUR, linewidth=1.1, linestyle=style, zorder=1)
    return series


def _limits(chart, measurements):
    """x, the seconds that arithmetic asks for, those that moving the bytes asks for."""
    limited = [m for m in measurements if m["limit_seconds"]]
    seconds = ([m["limit_seconds"][by] for m in limited] for by in ("arithmetic", "bytes"))
    return [chart.x(m) for m in limited], *seconds


def _scale(panel, chart, measurements):
    """Set the scales of a panel; measurements: all of its column."""
    panel.set_xscale("log", base=2 if chart.tick else 10)
    if chart.tick:
        ticks = {chart.x(measurement): chart.tick(measurement["point"]) for measurement in measurements}
        panel.set_xticks(list(ticks), list(ticks.values()))
        panel.set_xlim(min(ticks) * 2**-0.3, max(ticks) * 2**0.3)
    else:
        panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_minor_locator(NullLocator())
    if chart.is_ratio:
        panel.axhline(1, color="#404040", linewidth=0.9, zorder=1)
    if chart.most is None:
        panel.set_yscale("log")


def _finish(panel, chart, measurements):
    """What depends on the extent of the y axis."""
    bottom, top = panel.get_ylim()
    if chart.own_limits:
        x, *limits = _limits(chart, measurements)
        panel.fill_between(x, bottom, [max(both) for both in zip(*limits)], color="#F0F0F0", linewidth=0, zorder=0)
    if chart.most is None:
        subs = next(subs for decades, subs in _TICKS if top / bottom > 10**decades)
        panel.yaxis.set_major_locator(LogLocator(subs=subs, numticks=20))
        panel.yaxis.set_major_formatter(FuncFormatter("{:g}".format) if chart.is_ratio else EngFormatter(unit="s"))
        panel.yaxis.set_minor_locator(NullLocator())
    panel.set_ylim(bottom, top if chart.most is None else min(top, chart.most))


def _mark_targets(panel, chart, results, operation):
    for target in results["targets"]:
        if (target["subject"], target["rival"], target["operation"]) == ("torch_gconv", chart.due, operation):
            panel.axhline(target["at_most"], color=_STYLES["torch_gconv"][0], linewidth=0.9, dashes=(4, 3), zorder=1)


def _legend(figure, chart, labels):
    handles = []
    for label in _ordered(labels):
        colour, marker = _STYLES.get(label, _OTHER_STYLE)
        handles.append(Line2D([], [], color=colour, marker=marker, markeredgewidth=0, label=label))
    if chart.own_limits:
        for style, by in (("-", "arithmetic"), (":", "bytes")):
            handles.append(Line2D([], [], color=_LIMIT_COLOUR, linestyle=style, label=f"limit by {by}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))


# What points have in common need not be said in each panel; what they differ in is said there.

_WORDS = {
    "layer": "{layer}",
    "network": "{network}",
    "channels": "{channels} channels",
    "size": "{sides}",
    "batch": "batch {batch}",
    "dtype": "{dtype}",
    "layout": "{layout} input",
    "threads": "{threads} threads",
}


def _in_words(point, name):
    if name not in point:
        return ""
    words = _WORDS[name].format(**point, sides="×".join(point.get("ndim", 0) * [str(point.get("size"))]))
    return words.replace("1 threads", "1 thread") if point.get("threads") == 1 else words


def _in_common(points):
    """The words that are the same for all points."""
    said = [{_in_words(point, name) for point in points} for name in _WORDS]
    return ", ".join(word for words in said if len(words) == 1 for word in words if word)


def _told_apart(point, points):
    """The words of a point that are not the same for all."""
    said = [name for name in _WORDS if len({_in_words(other, name) for other in points}) > 1]
    return ", ".join(filter(None, (_in_words(point, name) for name in said)))  # a network has no layout


# Bars


def _bars(chart, results, device):
    panels = [panel for panel in chart.select(results, device) if panel[-1]]
    if not panels:
        return None
    points = [point for _, point, _ in panels]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    most = max(len(values) for *_, values in panels)
    figure = _new_figure(chart, 0.9 + rows * (0.6 + 0.24 * most), device, _in_common(points))
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for panel, (title, point, values) in zip(axes, panels):
        _draw_bars(panel, chart, values)
        panel.set_title(title or _told_apart(point, points), loc="left")
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    return figure


def _draw_bars(panel, chart, values):
    order = _ordered(values)
    medians = [values[label].median for label in order]
    errors = [[values[n].median - values[n].lower for n in order], [values[n].upper - values[n].median for n in order]]
    colours = [_STYLES.get(label, _OTHER_STYLE)[0] for label in order]
    panel.barh(order, medians, xerr=errors, color=colours, height=0.66, error_kw={"ecolor": "#202020", "lw": 0.9})
    for place, label in enumerate(order):
        at = (values[label].upper, place)
        panel.annotate(chart.show(values[label].median), at, (4, 0), textcoords="offset points", va="center")
    panel.invert_yaxis()
    panel.set_xlim(0, 1.14 * max(value.upper for value in values.values()))
    panel.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 2.5, 5, 10)))
    panel.grid(axis="y", visible=False)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel(chart.xlabel)
