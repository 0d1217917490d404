"""Measurements of torch_gconv against its rivals, and their figures."""

import statistics
from dataclasses import dataclass, field

from benchmarks.contenders import SUBJECT
from benchmarks.pairing import Figure, time_in_turn
from benchmarks.sizes import Shape, Suite
from benchmarks.targets import MEMORY, target_of


@dataclass(frozen=True)
class Measurement:
    """One operation at one shape.

    values: {contender: seconds by round}; of MEMORY, {contender: [peak bytes]}
    figures: {rival: Figure}
    """

    operation: str
    shape: Shape
    values: dict
    figures: dict

    def missed(self):
        """(Target, Figure) of each figure over its target."""
        for rival, figure in self.figures.items():
            target = target_of(self.operation, rival)
            if target and figure.median > target.at_most:
                yield target, figure


@dataclass
class Comparison:
    """What one run measures with, and what it has measured so far.

    contenders, left_out: as load_contenders gives them
    """

    suite: Suite
    contenders: dict
    left_out: dict
    measurements: list = field(default_factory=list)

    def time(self, benchmark, operation, shape, make_call):
        """Time make_call(contender) of all contenders in turn, and record it; returns the Measurement."""
        calls = {
            name: make_call(contender)
            for name, contender in self.contenders.items()
            if shape.folded_out_channels <= contender.most_folded_channels
        }
        seconds = time_in_turn(benchmark, calls, SUBJECT, self.suite)
        figures = {
            rival: Figure.of_ratios(seconds[SUBJECT], seconds[name], name)
            for rival, name in self._fastest(seconds).items()
        }
        benchmark.group = f"{operation}, {shape}"
        benchmark.extra_info.update(seconds=seconds, figures={rival: vars(figure) for rival, figure in figures.items()})
        return self._record(Measurement(operation, shape, seconds, figures))

    def weigh(self, shape, planar):
        """Hold the peak memory of a training step against that of the contender `planar`, and record it."""
        peaks = {name: self.contenders[name].training_memory(shape) for name in (SUBJECT, planar)}
        extra = (peaks[SUBJECT] - peaks[planar]) / shape.folded_filter_bytes
        figure = Figure(extra, extra, extra, planar)  # the same at each run: no spread
        values = {name: [peak] for name, peak in peaks.items()}
        return self._record(Measurement(MEMORY, shape, values, {"planar": figure}))

    def _fastest(self, seconds):
        """{rival: the contender that stands for it}: of planar convolutions, the one in the best memory format."""
        slowest_first = sorted(seconds, key=lambda name: statistics.median(seconds[name]), reverse=True)
        return {self.contenders[name].rival: name for name in slowest_first if name != SUBJECT}

    def _record(self, measurement):
        self.measurements.append(measurement)
        return measurement
