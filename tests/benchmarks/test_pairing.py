"""Times taken in turn: the order of the calls, the pools of threads, and the ratios."""

from contextlib import nullcontext
from itertools import count, groupby
from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from benchmarks import pairing
from benchmarks.pairing import Turn, computing_threads, ratios, time_in_turn
from benchmarks.sizes import SUITES

ROUNDS = 12
SUITE = SimpleNamespace(seconds=0, least_rounds=ROUNDS, most_rounds=ROUNDS)
POOLS = {"ours": "torch", "a": "torch", "b": "numpy", "c": "numpy"}


class ScriptedBenchmark:
    """Does what time_in_turn asks of pytest-benchmark's fixture; each call that it times takes 100 seconds."""

    def __init__(self):
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=[]))
        self.timed = []

    def pedantic(self, target, setup, rounds):
        for _ in range(rounds):
            setup()
            self.timed.append(target())
            self.stats.stats.data.append(100.0)


class Calls:
    """Notes which calls are run, and which of them are timed: those between two looks at the clock."""

    def __init__(self, pools):
        self.ran = []
        self.turns = {name: Turn(lambda name=name: self.note(name), pool) for name, pool in pools.items()}

    def note(self, name):
        self.ran.append(name)
        return name


@pytest.fixture(autouse=True)
def little_warm_up(monkeypatch):
    monkeypatch.setattr(pairing, "_WARM_UP", 0)


def measured_rounds(pools, timed, monkeypatch):
    """The names in the order in which they are run and timed, by round; and the times."""
    calls, benchmark, ran = Calls(pools), ScriptedBenchmark(), []
    pedantic = benchmark.pedantic

    def note_timed(call):
        ran.append(call())
        return 1.0

    def pedantic_noting(target, setup, rounds):
        ran.clear()  # of the warm-up
        pedantic(lambda: ran.append(target()), setup, rounds)

    monkeypatch.setattr(pairing, "_time", note_timed)
    monkeypatch.setattr(benchmark, "pedantic", pedantic_noting)
    times = time_in_turn(benchmark, calls.turns, timed, SUITE)
    return np.reshape(ran, (ROUNDS, len(pools))).tolist(), times


class TestRounds:
    @pytest.fixture
    def rounds(self, monkeypatch):
        return measured_rounds(POOLS, "ours", monkeypatch)[0]

    def test_every_round_runs_each_once(self, rounds):
        assert all(sorted(names) == sorted(POOLS) for names in rounds)

    def test_a_round_changes_the_pool_no_more_often_than_it_must(self, rounds):
        assert all(len(list(groupby(POOLS[name] for name in names))) == 2 for names in rounds)

    def test_either_pool_is_first_at_times_and_either_call_of_a_pool(self, rounds):
        assert {POOLS[names[0]] for names in rounds} == {"torch", "numpy"}
        for pool in ("torch", "numpy"):
            assert len({tuple(name for name in names if POOLS[name] == pool) for names in rounds}) == 2

    def test_the_order_is_the_same_at_each_run(self, rounds, monkeypatch):
        assert measured_rounds(POOLS, "ours", monkeypatch)[0] == rounds

    @pytest.mark.parametrize("timed", POOLS)
    def test_pytest_benchmark_times_the_one_that_is_named_and_every_call_has_a_time_for_each_round(
        self, timed, monkeypatch
    ):
        _, times = measured_rounds(POOLS, timed, monkeypatch)
        assert times == {name: ROUNDS * [100.0 if name == timed else 1.0] for name in POOLS}

    def test_one_call_alone_is_measured_too(self, monkeypatch):
        rounds, times = measured_rounds({"ours": "numpy"}, "ours", monkeypatch)
        assert rounds == ROUNDS * [["ours"]] and times == {"ours": ROUNDS * [100.0]}

    def test_slow_calls_get_fewer_rounds_but_never_fewer_than_the_least(self, monkeypatch):
        rounds, full = [], SUITES["full"]
        for second in (0.001, 1, 1000):
            clock = count(step=second)
            monkeypatch.setattr(pairing.time, "perf_counter", lambda clock=clock: next(clock))
            times = time_in_turn(ScriptedBenchmark(), Calls(POOLS).turns, "ours", full)
            rounds.append(len(times["a"]))
        assert rounds == [full.most_rounds, full.least_rounds, full.least_rounds]

    def test_a_first_call_that_is_slow_does_not_cost_rounds(self, monkeypatch):
        seconds, now = iter([1000]), [0.0]

        def compiled_at_first():
            now[0] += next(seconds, 0.001)

        monkeypatch.setattr(pairing.time, "perf_counter", lambda: now[0])
        times = time_in_turn(ScriptedBenchmark(), {"ours": Turn(compiled_at_first, "torch")}, "ours", SUITES["full"])
        assert len(times["ours"]) == SUITES["full"].most_rounds


class TestSettling:
    """What runs untimed before the first timed call of a pool, in a world where each call takes `second`."""

    @staticmethod
    def untimed_calls(pools, second, monkeypatch):
        now, ran, timed = [0.0], [], []

        def call(name):
            now[0] += second
            ran.append(name)

        def time_it(call):
            call()
            timed.append(len(ran) - 1)
            return second

        benchmark = ScriptedBenchmark()
        pedantic = benchmark.pedantic

        def pedantic_noting(target, setup, rounds):
            ran.clear(), timed.clear()
            pedantic(lambda: time_it(target), setup, rounds)

        monkeypatch.setattr(pairing.time, "perf_counter", lambda: now[0])
        monkeypatch.setattr(pairing, "_time", time_it)
        monkeypatch.setattr(benchmark, "pedantic", pedantic_noting)
        turns = {name: Turn(lambda name=name: call(name), pool) for name, pool in pools.items()}
        time_in_turn(benchmark, turns, "ours", SUITE)
        return ran, timed

    @pytest.mark.parametrize("second, calls", [(1.0, 1), (0.011, 2)])
    def test_where_the_pool_changes_the_next_call_runs_untimed_until_the_other_threads_rest(
        self, second, calls, monkeypatch
    ):
        ran, timed = self.untimed_calls(POOLS, second, monkeypatch)
        pool, place = None, 0
        for position in timed:
            name = ran[position]
            settling = ran[place:position]
            assert settling == ([] if POOLS[name] == pool else calls * [name])
            pool, place = POOLS[name], position + 1
        assert place == len(ran)

    def test_in_one_pool_every_call_but_the_first_is_timed(self, monkeypatch):
        ran, timed = self.untimed_calls(dict.fromkeys(POOLS, "torch"), 1.0, monkeypatch)
        assert timed == list(range(1, len(ran)))


class TestThreads:
    @staticmethod
    def blas_threads():
        np.dot(np.ones((2, 2)), np.ones((2, 2)))
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    def test_numpy_computes_with_so_many_inside_and_with_as_many_as_before_afterwards(self):
        before = self.blas_threads()
        with computing_threads(1):
            assert self.blas_threads() == {1}
        assert self.blas_threads() == before

    @pytest.mark.parametrize("number", [1, 2, 3])
    def test_torch_too_whether_or_not_its_threads_are_of_a_pool_that_others_see(self, number, monkeypatch):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        before = torch.get_num_threads()
        for limits in (pairing.threadpool_limits, nullcontext):
            monkeypatch.setattr(pairing, "threadpool_limits", limits)
            with computing_threads(number):
                assert torch.get_num_threads() == number
            assert torch.get_num_threads() == before

    def test_an_interrupted_measurement_leaves_as_many_as_before(self):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        before = torch.get_num_threads(), self.blas_threads()
        with pytest.raises(KeyboardInterrupt), computing_threads(before[0] + 1):
            raise KeyboardInterrupt
        assert (torch.get_num_threads(), self.blas_threads()) == before


class TestRatios:
    def test_the_figure_is_of_the_ratios_by_round_not_the_ratio_of_the_figures(self):
        assert ratios([2, 4, 9], [1, 4, 3]) == {"lower": 1.5, "median": 2, "upper": 2.5}
