"""`make bench`: that it measures what it says, and reports it. No time is asserted."""

import json
import subprocess
import sys
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import comparison as comparing
from benchmarks import pairing
from benchmarks.comparison import Comparison, Measurement
from benchmarks.contenders import Contender, load_contenders
from benchmarks.pairing import Figure, time_in_turn
from benchmarks.report import table_lines, verdict_lines, write_results
from benchmarks.sizes import SUITES, Shape, Suite
from benchmarks.targets import CONSTRUCTION, EVALUATION, MEMORY, TARGETS, TRAINING

ROOT = Path(__file__).parent.parent
SHAPE = Shape("P4ConvP4", 2, 6, batch=2)

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")


class ScriptedBenchmark:
    """Does what time_in_turn asks of pytest-benchmark's fixture; each call of the target takes one second."""

    def __init__(self):
        self.stats = SimpleNamespace(stats=SimpleNamespace(data=[]))
        self.extra_info = {}

    def pedantic(self, target, setup, rounds):
        for _ in range(rounds):
            setup()
            target()
            self.stats.stats.data.append(1.0)


def run(results, *options):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "benchmarks", "--suite", "tiny"]
    options = ["--benchmark-quiet", "--results", results, *options]
    return subprocess.run([*command, *options], capture_output=True, text=True, cwd=ROOT, check=False)


class TestTheCommand:
    @needs_torch
    def test_it_measures_every_operation_and_leaves_its_results(self, tmp_path):
        path = tmp_path / "new" / "results.json"
        result = run(path)
        assert result.returncode == 0, result.stdout + result.stderr
        assert f"written to {path}" in result.stdout
        results = json.loads(path.read_text())
        operations = [measurement["operation"] for measurement in results["measurements"]]
        assert sorted(operations) == sorted([CONSTRUCTION, *2 * [TRAINING, EVALUATION, MEMORY]])
        for measurement in results["measurements"]:
            assert measurement["figures"]["planar"]["lower"] <= measurement["figures"]["planar"]["upper"]
            assert measurement["operation"] in result.stdout
        assert {"CPU", "threads", "capability", "versions"} <= set(results["machine"])

    @needs_torch
    @pytest.mark.skipif(find_spec("escnn") is not None, reason="escnn is installed")
    def test_it_says_which_contender_is_left_out_and_why(self, tmp_path):
        result = run(tmp_path / "results.json", "--collect-only")
        assert "left out: escnn, since: No module named 'escnn'" in result.stdout
        assert not (tmp_path / "results.json").exists()

    @pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed")
    def test_without_torch_it_says_so_and_measures_the_index_tables(self, tmp_path):
        result = run(tmp_path / "results.json")
        assert result.returncode == 0, result.stdout + result.stderr
        assert "left out: torch_gconv and the planar convolution, since: No module named 'torch'" in result.stdout
        assert "2 passed" in result.stdout and not (tmp_path / "results.json").exists()


class TestTurns:
    @pytest.fixture
    def turns(self):
        """The names, in the order in which time_in_turn runs them after the warm-up; and the times it returns."""
        suite, names, ran = Suite((), SHAPE, seconds=0, least_rounds=8, most_rounds=8), ("ours", "a", "b"), []
        calls = {name: lambda name=name: ran.append(name) for name in names}
        times = time_in_turn(ScriptedBenchmark(), calls, "ours", suite)
        measured = ran[-suite.least_rounds * len(names) :]
        return np.reshape(measured, (suite.least_rounds, len(names))).tolist(), times

    @pytest.fixture(autouse=True)
    def little_warm_up(self, monkeypatch):
        monkeypatch.setattr(pairing, "_WARM_UP", 0)

    def test_every_round_runs_each_once(self, turns):
        rounds, _ = turns
        assert all(sorted(names) == ["a", "b", "ours"] for names in rounds)

    def test_each_is_first_at_times_and_each_follows_each_other(self, turns):
        rounds, _ = turns
        assert {names[0] for names in rounds} == {"a", "b", "ours"}
        pairs = {pair for names in rounds for pair in zip(names, names[1:])}
        assert len(pairs) == 3 * 2

    def test_every_call_has_a_time_for_each_round(self, turns):
        rounds, times = turns
        assert {name: len(seconds) for name, seconds in times.items()} == dict.fromkeys(("ours", "a", "b"), len(rounds))

    def test_slow_calls_get_fewer_rounds_but_never_fewer_than_the_least(self, monkeypatch):
        rounds = []
        for second in (0.001, 1, 1000):
            clock = count(step=second)
            monkeypatch.setattr(pairing.time, "perf_counter", lambda clock=clock: next(clock))
            times = time_in_turn(ScriptedBenchmark(), {"ours": int, "a": int}, "ours", SUITES["full"])
            rounds.append(len(times["a"]))
        assert rounds == [SUITES["full"].most_rounds, SUITES["full"].least_rounds, SUITES["full"].least_rounds]


class TestFigures:
    def test_a_figure_is_the_median_of_the_ratios_by_round(self):
        assert Figure.of_ratios([2, 4, 9], [1, 4, 3], "a") == Figure(2, 1.5, 2.5, "a")

    def test_planar_stands_for_its_faster_memory_format(self, monkeypatch):
        seconds = {"torch_gconv": [6, 6, 6], "NCHW": [3, 3, 1], "channels_last": [2, 2, 9]}
        monkeypatch.setattr(comparing, "time_in_turn", lambda *_: seconds)
        names = {"torch_gconv": None, "NCHW": "planar", "channels_last": "planar"}
        contenders = {name: Contender() for name in names}
        for name, rival in names.items():
            contenders[name].rival = rival
        comparison = Comparison(SUITES["tiny"], contenders, {})
        measurement = comparison.time(ScriptedBenchmark(), TRAINING, SHAPE, lambda contender: None)
        assert measurement.figures == {"planar": Figure(3, (6 / 9 + 3) / 2, 3, "channels_last")}
        assert comparison.measurements == [measurement]


def measured(operation, rival, median):
    figure = Figure(median, median - 0.1, median + 0.1, rival)
    return Measurement(operation, SHAPE, {"torch_gconv": [0.5]}, {rival: figure})


class TestReport:
    @pytest.mark.parametrize("target", TARGETS, ids=str)
    def test_a_figure_over_its_target_is_marked_and_no_other(self, target):
        met = measured(target.operation, target.rival, target.at_most)
        over = measured(target.operation, target.rival, target.at_most + 0.03)
        (line,) = verdict_lines([met, over])
        assert f"target <= {target.at_most:.3f}, measured {target.at_most + 0.03:.3f}" in line
        marks = ["!" in line for line in table_lines([met, over]) if line.startswith(str(SHAPE))]
        assert marks == [False, True]

    def test_if_all_are_met_it_says_so(self):
        assert verdict_lines([measured(TRAINING, "planar", 1.0)]) == [
            "No figure is over its target, of 1 measurements."
        ]

    def test_a_rival_without_a_target_is_never_marked(self):
        assert "No figure" in verdict_lines([measured(TRAINING, "chainer_gconv", 100)])[0]

    def test_results_that_cannot_be_written_leave_the_old_ones(self, tmp_path):
        path = tmp_path / "results.json"
        write_results(path, {"CPU": "one"}, Comparison(None, {}, {}))
        before = path.read_text()
        with pytest.raises(TypeError):
            write_results(path, {"CPU": object()}, Comparison(None, {}, {}))
        assert path.read_text() == before and list(tmp_path.iterdir()) == [path]


@needs_torch
class TestMemory:
    def test_the_peak_is_of_what_lives_at_once(self):
        import torch

        from benchmarks.memory import peak_bytes

        def one_after_the_other():
            torch.empty(1000)
            torch.empty(500)

        def at_once():
            return torch.empty(1000), torch.empty(500)

        assert peak_bytes(one_after_the_other) == 4 * 1000
        assert peak_bytes(at_once) == 4 * 1500

    def test_a_layer_that_holds_another_filter_bank_is_seen_to(self):
        from benchmarks.torch_layers import GConv

        class Wasteful(GConv):
            def apply(self, layer, x):
                self.held = layer.folded_filters().detach().clone()
                return super().apply(layer, x)

        extra = Wasteful().training_memory(SHAPE) - GConv().training_memory(SHAPE)
        assert extra == SHAPE.folded_filter_bytes


@needs_torch
class TestContenders:
    @pytest.mark.parametrize("layer", ["P4ConvZ2", "P4ConvP4", "P4MConvZ2", "P4MConvP4M"])
    def test_all_put_out_the_same_folded_shape(self, layer):
        from benchmarks.torch_layers import TorchContender

        shape = Shape(layer, 2, 6, batch=2)
        contenders, _ = load_contenders()
        for contender in contenders.values():
            if isinstance(contender, TorchContender):
                y = contender.apply(contender.construct(shape), contender.input(shape))
                assert y.reshape(2, -1, 6, 6).shape == (2, shape.folded_out_channels, 6, 6)

    def test_every_contender_has_every_operation(self):
        contenders, _ = load_contenders()
        for contender in contenders.values():
            for make_call in (contender.construction, contender.training_step, contender.evaluation):
                assert make_call(SHAPE)() is None
