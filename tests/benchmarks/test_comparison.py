"""Measurements of several contenders at one point: who takes part, the figures, the limits."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks import comparison as comparing
from benchmarks.comparison import Comparison, NobodyTakesPart
from benchmarks.contenders import Contender
from benchmarks.sizes import BASE, CORES, SUITES, Table
from benchmarks.targets import EVALUATION, INDEX_TABLE, MEMORY, TRAINING

SHAPE = replace(BASE, channels=8)
LIMIT = {
    "device": "cpu",
    "dtype": "float32",
    "threads": CORES,
    "flops_per_second": 1e9,
    "flops_by": "hand",
    "bytes_per_second": 1e6,
    "bytes_by": "hand",
}


class Scripted(Contender):
    """Notes its calls; takes what it is told to."""

    def __init__(self, rival, pool="torch", operations=(TRAINING, EVALUATION, MEMORY)):
        self.rival, self.pool, self.operations = rival, pool, operations
        self.done = []

    def takes(self, operation, shape):
        return operation in self.operations

    def training_step(self, shape):
        return lambda: self.done.append("call")

    def synchronize(self, shape):
        self.done.append("waited")


def compare(*names, choosy=None, limits=(), **others):
    contenders = {name: Scripted("planar" if name.startswith("planar") else name) for name in names}
    suite = replace(SUITES["tiny"], choosy=choosy or {})
    return Comparison(suite, {**contenders, **others}, {}, list(limits))


@pytest.fixture
def stopwatch():
    """What a measurement tells pytest-benchmark's fixture; that itself must not be replaced under its own name."""
    return SimpleNamespace(group=None, extra_info={})


@pytest.fixture
def given_seconds(monkeypatch):
    """A function: let time_in_turn give these seconds, {contender: [by round]}; what it was called with."""

    def give(seconds):
        asked = {}

        def time_in_turn(stopwatch, turns, timed, suite):
            asked.update(turns=turns, timed=timed)
            return {name: seconds[name] for name in turns}

        monkeypatch.setattr(comparing, "time_in_turn", time_in_turn)
        return asked

    return give


def train(comparison, stopwatch, shape=SHAPE):
    return comparison.time(stopwatch, TRAINING, shape, lambda contender: contender.training_step(shape))


class TestFigures:
    def test_a_figure_is_the_median_of_the_ratios_by_round(self, stopwatch, given_seconds):
        given_seconds({"torch_gconv": [2, 4, 9], "escnn": [1, 4, 3]})
        (figure,) = train(compare("torch_gconv", "escnn"), stopwatch)["figures"]
        quartiles = {"lower": 1.5, "median": 2, "upper": 2.5}
        assert figure == {"subject": "torch_gconv", "rival": "escnn", "of": "escnn", **quartiles}

    def test_the_faster_of_two_stands_for_the_rival_that_both_count_as(self, stopwatch, given_seconds):
        given_seconds({"torch_gconv": [6, 6, 6], "planar NCHW": [3, 3, 1], "planar channels_last": [2, 2, 9]})
        comparison = compare("torch_gconv", "planar NCHW", "planar channels_last")
        (figure,) = train(comparison, stopwatch)["figures"]
        assert (figure["rival"], figure["of"], figure["median"]) == ("planar", "planar channels_last", 3)

    def test_each_subject_has_figures_against_its_own_rivals(self, stopwatch, given_seconds):
        given_seconds({"torch_gconv": [1], "chainer_gconv": [2], "GrouPy in Chainer": [8], "escnn": [4]})
        comparison = compare("torch_gconv", "escnn", "chainer_gconv", "GrouPy in Chainer")
        figures = train(comparison, stopwatch)["figures"]
        assert {(figure["subject"], figure["rival"]): figure["median"] for figure in figures} == {
            ("torch_gconv", "escnn"): 1 / 4,
            ("torch_gconv", "chainer_gconv"): 1 / 2,
            ("chainer_gconv", "GrouPy in Chainer"): 1 / 4,
            ("chainer_gconv", "torch_gconv"): 2,
        }

    def test_without_a_subject_there_are_values_but_no_figures(self, stopwatch, given_seconds):
        given_seconds({"escnn": [4, 5]})
        measurement = train(compare("escnn"), stopwatch)
        assert (measurement["values"], measurement["figures"]) == ({"escnn": [4, 5]}, [])


class TestWhoTakesPart:
    def test_one_that_does_not_take_the_operation_is_left_out(self, stopwatch, given_seconds):
        given_seconds({"torch_gconv": [1], "deployed": [1]})
        comparison = compare("torch_gconv", deployed=Scripted("deployed", operations=(EVALUATION,)))
        assert list(train(comparison, stopwatch)["values"]) == ["torch_gconv"]

    def test_a_choosy_one_takes_part_at_its_points_alone(self, stopwatch, given_seconds):
        given_seconds({"torch_gconv": [1], "escnn": [1]})
        comparison = compare("torch_gconv", "escnn", choosy={"escnn": (SHAPE,)})
        assert list(train(comparison, stopwatch)["values"]) == ["torch_gconv", "escnn"]
        assert list(train(comparison, stopwatch, BASE)["values"]) == ["torch_gconv"]

    def test_if_nobody_does_it_says_so(self, stopwatch):
        with pytest.raises(NobodyTakesPart, match=f"none of escnn has index table of {SHAPE}"):
            compare("escnn").time(stopwatch, INDEX_TABLE, SHAPE, None)
        with pytest.raises(NobodyTakesPart, match="no contenders"):
            compare().weigh(SHAPE)

    @pytest.mark.parametrize(
        "names, timed",
        [
            (("escnn", "chainer_gconv", "torch_gconv"), "torch_gconv"),
            (("GrouPy in Chainer", "chainer_gconv"), "chainer_gconv"),
            (("escnn", "GrouPy in Chainer"), "escnn"),
        ],
    )
    def test_what_is_timed_is_the_first_subject_or_else_the_first(self, names, timed, stopwatch, given_seconds):
        asked = given_seconds(dict.fromkeys(names, [1]))
        train(compare(*names), stopwatch)
        assert asked["timed"] == timed

    def test_those_that_a_test_brings_are_measured_instead(self, stopwatch, given_seconds):
        given_seconds({"groupy": [1]})
        table = Table("make_d4_p4m_indices", 3)
        measurement = compare("torch_gconv").time(
            stopwatch,
            INDEX_TABLE,
            table,
            lambda contender: contender.training_step(table),
            {"groupy": Scripted("groupy")},
        )
        assert measurement["values"] == {"groupy": [1]}
        assert measurement["point"] == {"table": "make_d4_p4m_indices", "ksize": 3}


class TestCalls:
    def test_a_call_is_done_when_the_device_is(self, stopwatch, given_seconds):
        asked = given_seconds({"torch_gconv": [1]})
        comparison = compare("torch_gconv")
        train(comparison, stopwatch)
        asked["turns"]["torch_gconv"].call()
        assert comparison.contenders["torch_gconv"].done == ["call", "waited"]

    @pytest.mark.parametrize("threads", [None, 1])
    def test_contenders_are_made_and_timed_with_the_threads_of_the_point(self, threads, stopwatch, monkeypatch):
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        seen = []

        class Watching(Scripted):
            def training_step(self, shape):
                seen.append(torch.get_num_threads())
                return super().training_step(shape)

        def time_in_turn(stopwatch, turns, timed, suite):
            seen.append(torch.get_num_threads())
            return {"torch_gconv": [1.0]}

        monkeypatch.setattr(comparing, "time_in_turn", time_in_turn)
        before = torch.get_num_threads()
        train(compare(torch_gconv=Watching("torch_gconv")), stopwatch, replace(SHAPE, threads=threads))
        assert seen == 2 * [threads or CORES]
        assert torch.get_num_threads() == before


class TestLimits:
    def test_the_work_is_held_against_the_limits_of_that_device_dtype_and_number_of_threads(
        self, stopwatch, given_seconds
    ):
        given_seconds({"torch_gconv": [1]})
        others = [{**LIMIT, **other} for other in ({"dtype": "float64"}, {"threads": CORES + 1}, {"device": "cuda"})]
        others = [{**other, "flops_per_second": 1.0} for other in others]
        measurement = train(compare("torch_gconv", limits=[*others, LIMIT]), stopwatch)
        assert measurement["limit_seconds"] == {
            "arithmetic": measurement["flops"] / 1e9,
            "bytes": measurement["bytes"] / 1e6,
        }
        assert train(compare("torch_gconv", limits=others), stopwatch)["limit_seconds"] is None

    def test_where_the_work_is_not_defined_there_are_none(self, stopwatch, given_seconds):
        given_seconds({"groupy": [1]})
        table = Table("make_d4_p4m_indices", 3)
        measurement = compare(limits=[LIMIT]).time(
            stopwatch,
            INDEX_TABLE,
            table,
            lambda contender: contender.training_step(table),
            {"groupy": Scripted("groupy")},
        )
        assert (measurement["flops"], measurement["bytes"], measurement["limit_seconds"]) == (None, None, None)


class TestRecord:
    def test_what_was_measured_is_known_and_nothing_else(self, stopwatch, given_seconds):
        given_seconds({"torch_gconv": [1]})
        comparison = compare("torch_gconv")
        measurement = train(comparison, stopwatch)
        assert comparison.measurements == [measurement]
        assert comparison.has(TRAINING, SHAPE)
        assert not comparison.has(EVALUATION, SHAPE)
        assert not comparison.has(TRAINING, replace(SHAPE, layout="channels_last"))

    def test_peak_memory_is_a_number_of_bytes_and_its_figure_a_ratio(self, monkeypatch):
        peaks = {"torch_gconv": 300, "planar NCHW": 200, "planar channels_last": 100}
        monkeypatch.setattr(comparing, "training_step_peak", lambda name, shape: peaks[name])
        measurement = compare(*peaks).weigh(SHAPE)
        assert (measurement["operation"], measurement["unit"]) == (MEMORY, "bytes")
        assert measurement["values"] == {name: [peak] for name, peak in peaks.items()}
        (figure,) = measurement["figures"]
        assert (figure["of"], figure["lower"], figure["median"], figure["upper"]) == ("planar channels_last", 3, 3, 3)

    def test_pytest_benchmark_has_it_too(self, stopwatch, given_seconds):
        given_seconds({"torch_gconv": [1], "escnn": [2]})
        measurement = train(compare("torch_gconv", "escnn"), stopwatch)
        assert stopwatch.group == f"{TRAINING}, {SHAPE}"
        assert stopwatch.extra_info["values"] == measurement["values"]
