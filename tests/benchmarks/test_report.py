"""The report in the terminal: what stands in the tables, and what is marked."""

import copy

import pytest

from benchmarks.report import OVER, report_lines
from benchmarks.targets import EACH, MEDIAN

SUBJECT, PLANAR = "torch_gconv", "planar NCHW"


def point(channels):
    described = {"layer": "P4MConvP4M", "group": "p4m", "stabilizer_size": 8, "ndim": 2, "channels": channels}
    return {**described, "size": 16, "batch": 8, "dtype": "float32", "device": "cpu", "threads": 2, "layout": "NCHW"}


def measured(median, channels=8, operation="training step", subject=SUBJECT, rival="planar", of=PLANAR, **others):
    figure = {"subject": subject, "rival": rival, "of": of, "lower": median - 0.1, "upper": median + 0.1}
    return {
        "operation": operation,
        "point": point(channels),
        "axes": [],
        "unit": "s",
        "flops": 1.0,
        "bytes": 1.0,
        "limit_seconds": {"arithmetic": 0.005, "bytes": 0.001},
        "values": {subject: [0.010, 0.020, 0.030], of: [0.010, 0.010, 0.010]},
        "figures": [{**figure, "median": median}],
        **others,
    }


def target(over, at_most=1.1):
    return {
        **{"operation": "training step", "subject": SUBJECT, "rival": "planar"},
        **{"at_most": at_most, "over": over, "channels": None},
    }


def report(*measurements, targets=(), limits=(), width=200):
    machine = {"name": "made-up", "cores": 2}
    results = {"machine": machine, "measurements": measurements, "targets": list(targets), "limits": list(limits)}
    return report_lines(results, width)


def line_with(words, lines):
    (line,) = (line for line in lines if words in line)
    return line


class TestTables:
    def test_a_line_has_the_point_the_median_what_binds_and_the_figure_with_its_quartiles(self):
        line = line_with("P4MConvP4M", report(measured(1.05)))
        assert line.split() == (
            "P4MConvP4M, 8 channels, 16x16, batch 8 20 ms 25% arithmetic 1.05 (0.95-1.15) NCHW".split()
        )

    def test_the_limit_that_takes_longer_binds(self):
        by_bytes = measured(1.05, limit_seconds={"arithmetic": 0.001, "bytes": 0.01})
        assert "50% bytes" in line_with("P4MConvP4M", report(by_bytes))

    @pytest.mark.parametrize("unknown", [None, {"arithmetic": None, "bytes": None}])
    def test_without_limits_their_place_is_empty(self, unknown):
        assert "%" not in line_with("P4MConvP4M", report(measured(1.05, limit_seconds=unknown)))

    def test_a_limit_of_bytes_alone_binds(self):
        line = line_with("P4MConvP4M", report(measured(1.05, limit_seconds={"arithmetic": None, "bytes": 0.01})))
        assert "50% bytes" in line

    def test_each_operation_has_a_table_for_each_subject(self):
        both = measured(1.05)
        both["values"]["chainer_gconv"] = [0.1]
        titles = [line for line in report(both, measured(1, operation="evaluation")) if ": " in line]
        assert [title.strip() for title in titles] == [
            "training step: torch_gconv",
            "training step: chainer_gconv",
            "evaluation: torch_gconv",
        ]

    def test_an_operation_that_no_subject_has_is_shown_all_the_same(self):
        table = {"point": {"table": "make_d4_p4m_indices", "ksize": 3}, "values": {"groupy": [9e-5]}, "figures": []}
        lines = report(measured(1, operation="index table", **table))
        assert line_with("index table: groupy", lines)
        assert "90 us" in line_with("make_d4_p4m_indices, ksize 3", lines)

    def test_the_median_of_the_points_stands_below_more_than_one(self):
        lines = report(measured(1.0), measured(1.2, 16), measured(5, 32))
        assert [line.split() for line in lines if line.split()[:1] == ["median"]] == [["median", "1.20"]]
        assert not [line for line in report(measured(1.0)) if line.split()[:1] == ["median"]]

    def test_threads_are_named_where_they_are_not_all_that_the_machine_has(self):
        one = measured(1.0)
        one["point"]["threads"] = 1
        assert "batch 8, 1 thread " in line_with("P4MConvP4M", report(one))

    def test_bytes_are_shown_as_such(self):
        memory = measured(1.0, unit="bytes", limit_seconds=None, values={SUBJECT: [3 * 2**20], PLANAR: [2**20]})
        assert " 3 MiB " in line_with("P4MConvP4M", report(memory))

    def test_a_ratio_that_is_always_the_same_has_no_spread(self):
        exact = measured(1.5)
        exact["figures"][0].update(lower=1.5, upper=1.5)
        assert "1.50 NCHW" in line_with("P4MConvP4M", report(exact))

    def test_the_machines_limits_stand_below_the_tables(self):
        limit = {
            **{"device": "cpu", "dtype": "float32", "threads": 2, "flops_per_second": 2.5e11, "flops_by": "a product"},
            **{"bytes_per_second": None, "bytes_by": None},
        }
        line = line_with("limits of", report(measured(1), limits=[limit]))
        assert line == "limits of cpu, float32, threads: 2: 250 GFLOP/s (a product)"


class TestTargets:
    def test_a_point_over_a_target_for_each_is_marked_and_named_and_no_other(self):
        lines = report(measured(1.1), measured(1.3, 16), targets=[target(EACH)])
        marked = [line for line in lines if OVER in line]
        assert [("16 channels" in line, "8 channels" in line) for line in marked if "P4M" in line] == 2 * [
            (True, False)
        ]
        assert marked[-1] == (
            "! training step, P4MConvP4M, 16 channels, 16x16, batch 8: 1.30 of planar NCHW, due <= 1.10"
        )
        assert [line.split() for line in lines if line.split()[:1] == ["median"]] == [["median", "1.20"]]
        assert "missed by 18%, at 1 of 2 points" in line_with("each point", lines)

    def test_a_median_over_its_target_is_marked_and_no_point(self):
        lines = report(measured(1.0), measured(1.3, 16), measured(1.3, 32), targets=[target(MEDIAN)])
        assert [line.split() for line in lines if OVER in line and "missed" not in line] == [["median", "!", "1.30"]]
        assert "! missed by 18%" in line_with("<= 1.10", lines)

    @pytest.mark.parametrize("over", [MEDIAN, EACH])
    def test_if_all_are_met_nothing_is_marked(self, over):
        lines = report(measured(1.0), measured(0.55, 16), targets=[target(over)])
        assert not any(OVER in line for line in lines)
        assert "met, " in line_with("<= 1.10", lines)

    def test_a_target_of_what_was_not_measured_is_neither_met_nor_missed(self):
        lines = report(measured(9, operation="evaluation"), targets=[target(EACH)])
        assert "not measured" in line_with("<= 1.10", lines)
        assert not any(OVER in line for line in lines)

    def test_of_many_points_over_a_target_the_worst_are_named_and_the_others_counted(self):
        lines = report(*(measured(1 + channels / 10, channels) for channels in range(2, 12)), targets=[target(EACH)])
        named = [line for line in lines if line.startswith(OVER)]
        assert "11 channels" in named[0] and named[-1] == "! and 5 more" and len(named) == 6


def test_a_real_report_fits_a_narrow_terminal(made_up):
    lines = report_lines(copy.deepcopy(made_up()), width=100)
    assert max(map(len, lines)) <= 100


def test_color_is_used_where_it_is_asked_for_alone(made_up):
    results = made_up(factors={"torch_gconv": 3})
    assert "\x1b[" not in "".join(report_lines(results, 200))
    assert "\x1b[31m" in "".join(report_lines(results, 200, color=True))
