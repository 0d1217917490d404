"""What results say, as data: charts.py draws it, and page.py puts it into words.

results: the dict of a results file; measurement: one of its "measurements". A label is what a contender counts as
in charts and tables: itself, but "planar" for the planar convolution in the faster of its memory formats.
"""

import statistics
from dataclasses import dataclass
from typing import Optional

import numpy as np

from benchmarks.targets import Target, judge

PLANAR = "planar"
_PLANAR_FORMATS = ("planar NCHW", "planar channels_last")

# Of times: what differs by less is no reason to choose, however sure it is.
NOTICEABLE = 0.01

LESS, LEVEL, MORE = "less", "level", "more"
DEPENDS = "depends"


@dataclass(frozen=True)
class Spread:
    """The median and the quartiles, of values or of ratios."""

    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, values):
        """Of a list of numbers."""
        return cls(*np.percentile(values, [25, 50, 75]).tolist())

    def over(self, other):
        """The ratio to another spread, of numbers that were not measured in pairs: the quartiles are the farthest."""
        return Spread(self.lower / other.upper, self.median / other.median, self.upper / other.lower)

    def scaled(self, factor):
        """All three, multiplied by a positive number."""
        return Spread(self.lower * factor, self.median * factor, self.upper * factor)

    @property
    def inverse(self):
        """Of the reciprocals."""
        return Spread(1 / self.upper, 1 / self.median, 1 / self.lower)

    @property
    def verdict(self):
        """Of a ratio: LESS or MORE than one, or LEVEL where 1 lies between the quartiles or nobody would notice."""
        if self.lower <= 1 <= self.upper or abs(self.median - 1) < NOTICEABLE:
            return LEVEL
        return LESS if self.median < 1 else MORE


@dataclass(frozen=True)
class At:
    """A ratio, and the point where it was measured."""

    spread: Spread
    point: dict


@dataclass(frozen=True)
class Summary:
    """How one contender compares with another, over all points of an operation where both were measured.

    at: [At]; over: the Spread of the points' medians; typical: At at the base, or None if it is not among the points
    """

    operation: str
    subject: str
    rival: str
    at: list
    typical: Optional[At]

    @property
    def over(self):
        """The Spread of the medians of the points; of one point, its own."""
        return self.at[0].spread if len(self.at) == 1 else Spread.of([at.spread.median for at in self.at])

    @property
    def least(self):
        """The At with the lowest median."""
        return min(self.at, key=_median)

    @property
    def most(self):
        """The At with the highest median."""
        return max(self.at, key=_median)

    def count(self, verdict):
        """The number of points with this verdict."""
        return sum(at.spread.verdict == verdict for at in self.at)


@dataclass(frozen=True)
class Row:
    """How one choice compares with another along the channels of a layer: [At], in the order of their channels."""

    layer: str
    at: list

    @property
    def verdict(self):
        """What its verdicts come to, as advice has it."""
        return advice(at.spread.verdict for at in self.at)

    def channels(self, verdict):
        """The numbers of channels where the ratio has this verdict."""
        return [at.point["channels"] for at in self.at if at.spread.verdict == verdict]

    def most(self, verdict):
        """By which part of the time the median differs most from one, among those with this verdict."""
        return max(abs(at.spread.median - 1) for at in self.at if at.spread.verdict == verdict)


def advice(verdicts):
    """What several verdicts on one choice come to: the only one that is not LEVEL, LEVEL if all are, or DEPENDS."""
    found = set(verdicts) - {LEVEL}
    return DEPENDS if len(found) > 1 else found.pop() if found else LEVEL


def _median(at):
    return at.spread.median


# Selections


def measured(results, operation, device="cpu", axis=None):
    """The measurements of an operation on a device, on an axis if one is given, in the order of the file."""
    return [
        measurement
        for measurement in results["measurements"]
        if measurement["operation"] == operation
        and measurement["point"].get("device", "cpu") == device
        and (axis is None or axis in measurement["axes"])
    ]


def devices(results):
    """The devices on which anything was measured, the CPU first."""
    found = {measurement["point"].get("device", "cpu") for measurement in results["measurements"]}
    return sorted(found, key=lambda device: (device != "cpu", device))


def base(results, device="cpu"):
    """The point of a layer that lies on most axes, from which they set out; None if no layer was measured."""
    layers = [measurement for measurement in results["measurements"] if "layer" in measurement["point"]]
    layers = [measurement for measurement in layers if measurement["point"]["device"] == device]
    return max(layers, key=lambda measurement: len(measurement["axes"]))["point"] if layers else None


def by_layer(measurements):
    """{layer: its measurements in the order of their channels}."""
    layers: dict = {}
    for measurement in sorted(measurements, key=lambda measurement: measurement["point"]["channels"]):
        layers.setdefault(measurement["point"]["layer"], []).append(measurement)
    return {layer: layers[layer] for layer in dict.fromkeys(m["point"]["layer"] for m in measurements)}


def is_lifting(point):
    """Whether the layer takes planar feature maps in: ...ConvZ2, ...ConvZ3."""
    return point["layer"].endswith(f"ConvZ{point['ndim']}")


# Values and ratios


def contender_of(measurement, label):
    """The contender that stands for a label, or None if none was measured."""
    names = [name for name in measurement["values"] if name == label or (label == PLANAR and name in _PLANAR_FORMATS)]
    return min(names, key=lambda name: statistics.median(measurement["values"][name]), default=None)


def labels(measurement):
    """The labels of its contenders, each once."""
    return list(dict.fromkeys(PLANAR if name in _PLANAR_FORMATS else name for name in measurement["values"]))


def spread(measurement, label):
    """The Spread of the values of a label, in seconds or bytes; None if it was not measured."""
    name = contender_of(measurement, label)
    return None if name is None else Spread.of(measurement["values"][name])


def ratio(measurement, subject, rival):
    """The Spread of the ratios of two labels' values within a round; None unless both were measured."""
    names = [contender_of(measurement, label) for label in (subject, rival)]
    if None in names:
        return None
    figure = next((f for f in measurement["figures"] if (f["subject"], f["of"]) == tuple(names)), None)
    if figure:
        return Spread(figure["lower"], figure["median"], figure["upper"])
    return Spread.of(np.divide(*(measurement["values"][name] for name in names)))


def limit_of(measurement):
    """(what limits, seconds): the slower of the machine's limits, "arithmetic" or "bytes"; None where undefined."""
    limits = measurement["limit_seconds"]
    return max(limits.items(), key=lambda limit: limit[1]) if limits else None


def share_of_limit(measurement, label):
    """The limit's time over the time taken; None where the limit is undefined or the label was not measured."""
    limit, taken = limit_of(measurement), spread(measurement, label)
    return limit[1] / taken.median if limit and taken else None


# Findings


def summary(results, operation, subject, rival, device="cpu"):
    """The Summary of a subject against a rival; None if they were never measured together."""
    compared = (
        (ratio(measurement, subject, rival), measurement["point"])
        for measurement in measured(results, operation, device)
    )
    at = [At(found, point) for found, point in compared if found]
    usual = base(results, device)
    typical = next((one for one in at if one.point == usual), None)
    return Summary(operation, subject, rival, at, typical) if at else None


def rows(results, operation, subject, rival, device="cpu"):
    """A subject's time over a rival's on the axis of channels, a Row for each layer where both were measured."""
    found = []
    for layer, measurements in by_layer(measured(results, operation, device, "channels")).items():
        ratios = [(ratio(measurement, subject, rival), measurement["point"]) for measurement in measurements]
        found.append(Row(layer, [At(found, point) for found, point in ratios if found]))
    return [row for row in found if row.at]


def layout_rows(results, operation, subject, device="cpu"):
    """The time from channels_last input over that from NCHW input, a Row for each layer; not measured in pairs."""
    found = []
    for layer, measurements in by_layer(measured(results, operation, device, "channels_last")).items():
        at = []
        for measurement in measurements:
            pair = [spread(other, subject) for other in (measurement, _twin(results, measurement, layout="NCHW"))]
            if None not in pair:
                at.append(At(pair[0].over(pair[1]), measurement["point"]))
        found.append(Row(layer, at))
    return [row for row in found if row.at]


def _twin(results, measurement, **values):
    """The measurement of the same operation at the point with some fields changed, or one without values."""
    point = {**measurement["point"], **values}
    twins = (m for m in measured(results, measurement["operation"], point["device"]) if m["point"] == point)
    return next(twins, {"values": {}})


@dataclass(frozen=True)
class FieldChange:
    """What changing one field of the base does to a contender: the ratio of times, not measured in pairs."""

    label: str
    value: object
    spread: Spread


def changes(results, operation, axis, field, device="cpu"):
    """[FieldChange] of every label and every value of the field on the axis, over the same label's time at the base.

    On the axis of threads this is the time with n threads over that with all, the base's.
    """
    usual = base(results, device)
    found = []
    for measurement in measured(results, operation, device, axis):
        value = measurement["point"][field]
        for label in labels(measurement):
            at_base = spread(_twin(results, measurement, **{field: usual[field]}), label)
            if value != usual[field] and at_base:
                found.append(FieldChange(label, value, spread(measurement, label).over(at_base)))
    return found


@dataclass(frozen=True)
class GroupCost:
    """What a layer costs over planar convolutions; Spreads of ratios, or None.

    as_channels: over a planar layer with as many channels; as_weights: with as many weights, so with sqrt(S) times
    as many channels; both not measured in pairs. as_wide: with as many channels as the folded layer
    """

    point: dict
    time: Spread
    as_channels: Optional[Spread]
    as_weights: Optional[Spread]
    as_wide: Optional[Spread]


def group_costs(results, operation, label, device="cpu"):
    """[GroupCost] of the group convolutions on the axis of channels, where a planar layer to compare with was measured.

    The planar layer of the folded shape of any point is a planar layer of that many channels; that is where those with
    fewer channels come from.
    """
    points = [m for m in measured(results, operation, device, "channels") if not is_lifting(m["point"])]
    planar = {(_surroundings(m["point"]), _width(m["point"])): spread(m, PLANAR) for m in points}
    found = []
    for m in points:
        point, time = m["point"], spread(m, label)
        widths = (point["channels"], point["channels"] * point["stabilizer_size"] ** 0.5)
        rivals = [planar.get((_surroundings(point), width)) for width in widths]
        if time and any(rivals):
            ratios = [rival and time.over(rival) for rival in rivals]
            found.append(GroupCost(point, time, *ratios, ratio(m, label, PLANAR)))
    return found


def _width(point):
    return point["channels"] * point["stabilizer_size"]


def _surroundings(point):
    return tuple(point[name] for name in ("ndim", "size", "batch", "dtype", "threads", "layout"))


@dataclass(frozen=True)
class OrderCost:
    """A layer on the axis of group orders. time and work are over those of the smallest group of the same dimension."""

    point: dict
    time: Spread
    growth: Spread
    work: Optional[float]


def order_costs(results, operation, label, device="cpu"):
    """[OrderCost], by dimension and order."""
    on_axis = [m for m in measured(results, operation, device, "group order") if spread(m, label)]
    on_axis.sort(key=lambda m: (m["point"]["ndim"], m["point"]["stabilizer_size"]))
    first: dict = {}
    found = []
    for m in on_axis:
        smallest = first.setdefault(m["point"]["ndim"], m)
        work = m["flops"] / smallest["flops"] if m["flops"] and smallest["flops"] else None
        growth = spread(m, label).over(spread(smallest, label))
        found.append(OrderCost(m["point"], spread(m, label), growth, work))
    return found


@dataclass(frozen=True)
class Fastest:
    """The fastest contenders at a point: the one with the lowest median, and those level with it.

    gain: the time of the plain layer over the fastest's, None if the plain one was not measured
    """

    point: dict
    names: list
    gain: Optional[Spread]


def fastest(results, operation, choices, device="cpu"):
    """{layer: [Fastest]} on the axis of channels, among the choices; of those that are level the first comes first."""
    table = {}
    for layer, measurements in by_layer(measured(results, operation, device, "channels")).items():
        cells = []
        for measurement in measurements:
            there = [name for name in choices if name in measurement["values"]]
            if there:
                best = min(there, key=lambda name: spread(measurement, name).median)
                level = [n for n in there if n == best or ratio(measurement, n, best).verdict == LEVEL]
                cells.append(Fastest(measurement["point"], level, ratio(measurement, choices[0], best)))
        table[layer] = cells
    return {layer: cells for layer, cells in table.items() if cells}


def verdicts(results, device="cpu"):
    """[benchmarks.targets.Verdict], of each target, on a device."""
    there = [m for m in results["measurements"] if m["point"].get("device", "cpu") == device]
    return [judge(Target(**target), there) for target in results["targets"]]
