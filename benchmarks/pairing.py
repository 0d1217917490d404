"""Times of several calls, taken in turn, so that whatever else the machine does meets all of them alike.

Absolute times on a shared machine mean little, and two runs cannot be compared. The ratio of two
times from one round can: the figure is the median of the rounds' ratios, its spread their quartiles.
"""

import time
from dataclasses import dataclass

import numpy as np

_WARM_UP = 0.3  # seconds, and one round at least: first calls allocate, and choose their kernels


@dataclass(frozen=True)
class Figure:
    """The median over the rounds, and the quartiles; `of` is the contender that it is held against."""

    median: float
    lower: float
    upper: float
    of: str

    @classmethod
    def of_ratios(cls, seconds, rival_seconds, of):
        """Of two lists of times by round."""
        lower, median, upper = np.percentile(np.divide(seconds, rival_seconds), [25, 50, 75])
        return cls(float(median), float(lower), float(upper), of)


def time_in_turn(benchmark, calls, subject, suite):
    """Seconds of each call in each round, {name: [...]}; those of the subject are pytest-benchmark's.

    A round is every call once. Their order is drawn anew for each, so that none always runs on the
    cache and the memory that the same other one left.

    benchmark: the fixture, whose untimed setup runs the others
    calls: {name: function}, subject: the name of one
    """
    rounds = _warm_up(calls, suite)
    order = np.random.default_rng(0).permuted(np.tile(list(calls), (rounds, 1)), axis=1)
    queue = iter(order.reshape(-1).tolist())
    seconds = {name: [] for name in calls}

    def run_others():
        for name in queue:
            if name == subject:
                return
            seconds[name].append(_time(calls[name]))

    benchmark.pedantic(calls[subject], setup=run_others, rounds=rounds)
    run_others()  # what the last round has after the subject
    seconds[subject] = list(benchmark.stats.stats.data)
    return seconds


def _warm_up(calls, suite):
    """Run all in turn; return how many rounds the suite's seconds are good for."""
    begin = time.perf_counter()
    while True:
        round_seconds = sum(_time(call) for call in calls.values())
        if time.perf_counter() - begin >= _WARM_UP:
            return int(np.clip(suite.seconds / round_seconds, suite.least_rounds, suite.most_rounds))


def _time(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
