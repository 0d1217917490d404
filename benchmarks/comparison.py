"""Measurements of all contenders at one point, and the figures of the subjects against their rivals."""

import statistics
from dataclasses import dataclass, field

from benchmarks.contenders import SUBJECTS
from benchmarks.limits import limit_seconds, work_of
from benchmarks.memory import training_step_peak
from benchmarks.pairing import Turn, computing_threads, ratios, time_in_turn
from benchmarks.sizes import CORES, Suite
from benchmarks.targets import MEMORY

_DIGITS = 6  # of a time that is recorded: far more than repeat


class NobodyTakesPart(Exception):
    """No contender that can run here has this operation at this point; the message says so."""


@dataclass
class Comparison:
    """What one run measures with, and what it has measured so far.

    contenders, left_out: as load_contenders gives them
    limits: as measure_limits of benchmarks.limits gives them
    measurements: as benchmarks.results describes them
    """

    suite: Suite
    contenders: dict
    left_out: dict
    limits: list = field(default_factory=list)
    measurements: list = field(default_factory=list)

    def time(self, benchmark, operation, point, make_call, contenders=None):
        """Time make_call(contender) of all contenders that take part, in turn, and record it.

        benchmark: pytest-benchmark's fixture. What it times is the first of the subjects that takes part, or else
        the first of all
        contenders: {name: Contender}, if others than those of the run
        Returns the measurement. Raises NobodyTakesPart.
        """
        contenders = contenders or self._taking_part(operation, point)
        with computing_threads(point.threads or CORES):
            turns = {
                name: Turn(_synchronized(make_call(contender), contender, point), contender.pool)
                for name, contender in contenders.items()
            }
            timed = next((name for name in SUBJECTS if name in turns), next(iter(turns)))
            seconds = time_in_turn(benchmark, turns, timed, self.suite)
        seconds = {name: [float(f"{value:.{_DIGITS}g}") for value in values] for name, values in seconds.items()}
        measurement = self._record(operation, point, "s", seconds)
        benchmark.group = f"{operation}, {point}"
        benchmark.extra_info.update(timed=timed, values=seconds, figures=measurement["figures"])
        return measurement

    def weigh(self, point):
        """Take the peak memory of a training step of each contender that takes part, and record it.

        Returns the measurement. Raises NobodyTakesPart.
        """
        contenders = self._taking_part(MEMORY, point)
        return self._record(MEMORY, point, "bytes", {name: [training_step_peak(name, point)] for name in contenders})

    def has(self, operation, point):
        """Whether it is measured already."""
        key = (operation, point.point())
        return any((measured["operation"], measured["point"]) == key for measured in self.measurements)

    def _taking_part(self, operation, point):
        contenders = {
            name: contender
            for name, contender in self.contenders.items()
            if point in self.suite.choosy.get(name, [point]) and contender.takes(operation, point)
        }
        if not contenders:
            raise NobodyTakesPart(f"none of {', '.join(self.contenders) or 'no contenders'} has {operation} of {point}")
        return contenders

    def _record(self, operation, point, unit, values):
        flops, n_bytes = work_of(operation, point)
        described = point.point()
        measurement = {
            "operation": operation,
            "point": described,
            "axes": self.suite.axes_of(point),
            "unit": unit,
            "flops": flops,
            "bytes": n_bytes,
            "limit_seconds": self._limit_seconds(flops, n_bytes, described),
            "values": values,
            "figures": list(self._figures(values)),
        }
        self.measurements.append(measurement)
        return measurement

    def _limit_seconds(self, flops, n_bytes, point):
        """The least seconds by arithmetic and by bytes; None where the machine's limit there was not measured."""
        for limit in self.limits:
            if flops is not None and all(limit[name] == point.get(name) for name in ("device", "dtype", "threads")):
                return limit_seconds(flops, n_bytes, limit)
        return None

    def _figures(self, values):
        """The figures of each subject against the fastest that counts as each of its rivals."""
        best_first = sorted(values, key=lambda name: statistics.median(values[name]))
        for subject in filter(values.get, SUBJECTS):
            for rival in SUBJECTS[subject]:
                best = next((name for name in best_first if self.contenders[name].rival == rival), None)
                if best is not None:
                    yield {"subject": subject, "rival": rival, "of": best, **ratios(values[subject], values[best])}


def _synchronized(call, contender, point):
    """The call, done only when the device has done it."""

    def wait_for_call():
        call()
        contender.synchronize(point)

    return wait_for_call
