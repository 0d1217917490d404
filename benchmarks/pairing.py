"""Times of several calls, taken in turn, so that whatever else the machine does meets all of them alike.

Absolute times on a shared machine mean little, and two runs cannot be compared. The ratio of two
times from one round can: the figure is the median of the rounds' ratios, its spread their quartiles.
"""

import random
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Callable

import numpy as np
from threadpoolctl import threadpool_limits

_WARM_UP = 0.3  # seconds, and two rounds at least: first calls allocate, choose their kernels, compile

# Seconds. For so long, threads that have nothing to do spin, and take the cores from those of another pool. On two
# cores a matrix product of NumPy's takes three times its time for 12 ms after a convolution of PyTorch's.
_SETTLING = 0.02


@dataclass(frozen=True)
class Turn:
    """What one contender does in a round: a call without arguments, and the pool of threads that computes it."""

    call: Callable
    pool: str


@contextmanager
def computing_threads(number):
    """Let PyTorch, and NumPy's BLAS, compute with so many threads inside; afterwards with as many as before."""
    torch = sys.modules.get("torch")  # where no contender has imported it, it has no threads
    with threadpool_limits(number):
        before = torch.get_num_threads() if torch else None
        try:
            if torch:
                torch.set_num_threads(number)
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def time_in_turn(benchmark, turns, timed, suite):
    """Seconds of each call in each round, {name: [...]}.

    A round is every call once, pool by pool. The order of the pools and of the calls in each is drawn
    anew for each round, so that none always runs on the cache and the memory that the same other one
    left. Where the pool changes, the next call runs untimed until the other pool's threads have settled.

    benchmark: pytest-benchmark's fixture. It times one of the calls; its untimed setup runs the others
    turns: {name: Turn}; timed: the name of that one
    """
    rounds = _warm_up(turns, suite)
    queue = iter(_order(turns, rounds))
    seconds = {name: [] for name in turns}
    pool = None

    def settle(turn):
        nonlocal pool
        begin = time.perf_counter()
        while turn.pool != pool:
            turn.call()
            if time.perf_counter() - begin >= _SETTLING:
                pool = turn.pool

    def run_others():
        for name in queue:
            settle(turns[name])
            if name == timed:
                return
            seconds[name].append(_time(turns[name].call))

    benchmark.pedantic(turns[timed].call, setup=run_others, rounds=rounds)
    run_others()  # what the last round has after the one that is timed
    seconds[timed] = list(benchmark.stats.stats.data)
    return seconds


def ratios(seconds, rival_seconds):
    """The quartiles of the rounds' ratios, {"lower", "median", "upper"}, of two lists of times by round."""
    quartiles = np.percentile(np.divide(seconds, rival_seconds), [25, 50, 75])
    return dict(zip(("lower", "median", "upper"), quartiles.tolist()))


def _order(turns, rounds):
    """The names of all rounds, one after the other."""
    pools = {}
    for name, turn in turns.items():
        pools.setdefault(turn.pool, []).append(name)
    rng = random.Random(0)
    return [name for _ in range(rounds) for pool in _shuffled(rng, pools) for name in _shuffled(rng, pools[pool])]


def _shuffled(rng, items):
    return rng.sample(list(items), len(items))


def _warm_up(turns, suite):
    """Run all in turn; return how many rounds the suite's seconds are good for."""
    _run_round(turns)
    begin = time.perf_counter()
    while True:
        round_seconds = _run_round(turns)
        if time.perf_counter() - begin >= _WARM_UP:
            return int(np.clip(suite.seconds / round_seconds, suite.least_rounds, suite.most_rounds))


def _run_round(turns):
    return sum(_time(turn.call) for turn in turns.values())


def _time(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin
