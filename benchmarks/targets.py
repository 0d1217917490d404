"""What is measured, by name, and what the figures should be, as data; the report marks those that are not.

Nothing fails by it: a machine that is busy with other things makes any figure.
"""

import statistics
from dataclasses import dataclass
from typing import Optional

# Operations, as reports and results call them.
TRANSFORMATION = "filter transformation"
TRANSFORMATION_WITH_GRADIENT = "filter transformation with gradient"
EVALUATION = "evaluation"
TRAINING = "training step"
NETWORK_TRAINING = "network training step"
CONSTRUCTION = "construction"
INDEX_TABLE = "index table"
MEMORY = "peak memory of a training step"
OPERATIONS = (
    TRANSFORMATION,
    TRANSFORMATION_WITH_GRADIENT,
    EVALUATION,
    TRAINING,
    NETWORK_TRAINING,
    CONSTRUCTION,
    INDEX_TABLE,
    MEMORY,
)

MEDIAN, EACH = "median", "each"


@dataclass(frozen=True)
class Target:
    """The largest figure due for an operation of a subject against a rival.

    A figure is a ratio of seconds, or of bytes, the subject's to the rival's.
    over: MEDIAN of the points' figures, or EACH of them
    channels: where it applies; None for all points
    """

    operation: str
    subject: str
    rival: str
    at_most: float
    over: str
    channels: Optional[int] = None


TARGETS = (
    Target(TRAINING, "torch_gconv", "planar", 1.10, MEDIAN),
    Target(TRAINING, "torch_gconv", "planar", 1.25, EACH),
    Target(EVALUATION, "torch_gconv", "planar", 1.02, MEDIAN),
    Target(EVALUATION, "torch_gconv", "planar", 1.25, EACH),
    Target(TRAINING, "torch_gconv", "escnn", 1, EACH),
    Target(CONSTRUCTION, "torch_gconv", "escnn", 1 / 20, EACH),
    Target(EVALUATION, "chainer_gconv", "GrouPy in Chainer", 1 / 2, MEDIAN, channels=32),
    Target(TRAINING, "chainer_gconv", "GrouPy in Chainer", 1 / 1.3, MEDIAN, channels=32),
)


@dataclass(frozen=True)
class Verdict:
    """What was measured of a Target.

    figures: [(measurement, figure)] to which it applies, worst first, both as the results have them
    measured: the median, or the worst of EACH; None without figures
    """

    target: Target
    figures: list
    measured: Optional[float]

    @property
    def met(self):
        """Whether it is; None if nothing was measured."""
        return None if self.measured is None else self.measured <= self.target.at_most

    @property
    def excess(self):
        """What was measured over what was due, as a fraction of that; negative below."""
        return self.measured / self.target.at_most - 1

    @property
    def over(self):
        """[(measurement, figure)] that are over a target of EACH, worst first."""
        if self.target.over != EACH:
            return []
        return [(measurement, figure) for measurement, figure in self.figures if _value(figure) > self.target.at_most]


def judge(target, measurements):
    """The Verdict on a Target."""
    figures = [
        (measurement, figure)
        for measurement in measurements
        if measurement["operation"] == target.operation
        and target.channels in (None, measurement["point"].get("channels"))
        for figure in measurement["figures"]
        if (figure["subject"], figure["rival"]) == (target.subject, target.rival)
    ]
    figures.sort(key=lambda found: _value(found[1]), reverse=True)
    summary = statistics.median if target.over == MEDIAN else max
    measured = summary([_value(figure) for _, figure in figures]) if figures else None
    return Verdict(target, figures, measured)


def _value(figure):
    return figure["median"]
