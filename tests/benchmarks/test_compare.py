"""`python -m benchmarks compare`: it says what moved beyond the spread, and nothing else."""

import argparse
import copy
import io
import json

import pytest
from rich.console import Console

from benchmarks import compare as comparing
from benchmarks.compare import add_arguments, compare, run, show
from benchmarks.results import FORMAT
from benchmarks.sizes import Shape, Table
from benchmarks.targets import INDEX_TABLE, MEMORY, TRAINING

SHAPE = Shape("P4ConvP4", 8, 16)
OTHER = Shape("P4MConvP4M", 8, 16)


def figure(median, lower=None, upper=None, subject="torch_gconv", rival="planar", of="planar NCHW"):
    lower, upper = lower or median, upper or median
    return {"subject": subject, "rival": rival, "of": of, "median": median, "lower": lower, "upper": upper}


def measured(*figures, operation=TRAINING, shape=SHAPE, unit="s", values=None):
    point = shape.point()
    return {
        "operation": operation,
        "point": point,
        "axes": [],
        "unit": unit,
        "flops": None,
        "bytes": None,
        "limit_seconds": None,
        "values": values or {"torch_gconv": [1.0]},
        "figures": list(figures),
    }


def results(*measurements, **machine):
    versions = {"torch": "2.13.0", **machine.pop("versions", {})}
    return {
        "format": FORMAT,
        "suite": "full",
        "date": "2026-11-23",
        "seconds": 1.0,
        "machine": {"name": "here", "cores": SHAPE.point()["threads"], **machine, "versions": versions},
        "limits": [],
        "left_out": {},
        "targets": [],
        "measurements": list(measurements),
    }


def moved(before, after, **kind):
    return compare(results(measured(before, **kind)), results(measured(after, **kind))).moved


class TestWhatMoved:
    def test_what_grew_beyond_the_spread_is_worse(self):
        (change,) = moved(figure(1.0, 0.98, 1.02), figure(1.1, 1.08, 1.12))
        assert change.is_worse and change.factor == pytest.approx(1.1)
        assert (change.operation, change.point, change.what) == (TRAINING, str(SHAPE), "torch_gconv / planar")

    def test_what_shrank_beyond_the_spread_is_better(self):
        (change,) = moved(figure(1.1, 1.08, 1.12), figure(1.0, 0.98, 1.02))
        assert not change.is_worse and change.factor == pytest.approx(1 / 1.1)

    def test_quartiles_that_overlap_are_no_change_however_far_the_medians_are(self):
        assert not moved(figure(1.0, 0.9, 1.5), figure(2.0, 1.4, 2.1))
        assert not moved(figure(2.0, 1.4, 2.1), figure(1.0, 0.9, 1.5))

    def test_quartiles_that_touch_overlap(self):
        assert not moved(figure(1.0, 0.9, 1.2), figure(1.4, 1.2, 1.5))

    @pytest.mark.parametrize("factor, is_change", [(1.02, False), (1.029, False), (1.031, True), (1 / 1.031, True)])
    def test_what_moved_by_three_percent_or_less_did_not_move(self, factor, is_change):
        assert bool(moved(figure(1.0), figure(factor))) is is_change

    def test_the_largest_comes_first_in_either_direction(self):
        names = ("planar", "escnn", "chainer_gconv")
        before = measured(*(figure(1.0, rival=name) for name in names))
        after = measured(*(figure(median, rival=name) for name, median in zip(names, (1.2, 0.5, 1.5))))
        difference = compare(results(before), results(after))
        assert [change.factor for change in difference.moved] == [0.5, 1.5, 1.2]
        assert [change.factor for change in difference.worse] == [1.5, 1.2]

    def test_seconds_of_two_runs_are_never_compared(self):
        slow = measured(figure(1.0), values={"torch_gconv": [9.0]})
        difference = compare(results(measured(figure(1.0))), results(slow))
        assert difference.compared == 1 and not difference.moved

    def test_bytes_are_compared_as_they_are_and_their_ratios_are_not(self):
        before = measured(figure(1.0), operation=MEMORY, unit="bytes", values={"torch_gconv": [100], "escnn": [100]})
        after = measured(figure(2.0), operation=MEMORY, unit="bytes", values={"torch_gconv": [150], "escnn": [100]})
        difference = compare(results(before), results(after))
        (change,) = difference.moved
        assert (change.what, change.unit, change.factor, difference.compared) == ("torch_gconv", "bytes", 1.5, 2)

    @pytest.mark.parametrize("before, after, is_worse", [(0, 5, True), (5, 0, False)])
    def test_bytes_may_be_none(self, before, after, is_worse):
        kind = {"operation": MEMORY, "unit": "bytes"}
        a, b = (results(measured(values={"torch_gconv": [value]}, **kind)) for value in (before, after))
        (change,) = compare(a, b).moved
        assert change.is_worse is is_worse
        assert not compare(a, a).moved

    def test_operations_points_and_rivals_are_not_mixed_up(self):
        a = results(measured(figure(1.0)), measured(figure(2.0), shape=OTHER), measured(figure(3.0), operation="other"))
        assert not compare(a, copy.deepcopy(a)).moved
        assert compare(a, a).compared == 3


class TestWhatIsInOneAlone:
    def test_a_point(self):
        a, b = results(measured(figure(1.0)), measured(figure(9.0), shape=OTHER)), results(measured(figure(1.0)))
        assert compare(a, b).alone == ({TRAINING: [str(OTHER)]}, {})
        assert compare(b, a).alone == ({}, {TRAINING: [str(OTHER)]})

    def test_a_point_without_figures(self):
        table = measured(operation=INDEX_TABLE, shape=Table("make_d4_p4m_indices", 3))
        assert compare(results(table), results()).alone == ({INDEX_TABLE: [str(Table("make_d4_p4m_indices", 3))]}, {})

    def test_a_figure_of_a_point_that_both_have(self):
        a, b = results(measured(figure(1.0), figure(1.0, rival="escnn"))), results(measured(figure(1.0)))
        assert compare(a, b).alone == ({f"{TRAINING}, torch_gconv / escnn": [str(SHAPE)]}, {})

    def test_all_threads_of_another_machine_are_the_same_point(self):
        elsewhere = measured(figure(2.0))
        elsewhere["point"]["threads"] = 64
        difference = compare(results(measured(figure(1.0))), results(elsewhere, cores=64))
        assert len(difference.moved) == 1 and difference.alone == ({}, {})

    def test_one_thread_and_all_are_two_points(self):
        one = Shape("P4ConvP4", 8, 16, threads=1)
        a, b = results(measured(figure(1.0)), cores=2), results(measured(figure(1.0), shape=one), cores=2)
        assert compare(a, b).compared == (1 if SHAPE.point()["threads"] == 1 else 0)


def test_machines_and_versions_that_differ_are_named():
    a, b = results(versions={"torch": "2.12.0"}, CPU="one"), results(CPU="another")
    assert compare(a, b).circumstances == ["CPU was 'one', is 'another'", "torch was '2.12.0', is '2.13.0'"]
    assert compare(a, a).circumstances == []


def shown(a, b):
    console = Console(width=400, file=io.StringIO())
    show(compare(a, b), ("A.json", "B.json"), console)
    return console.file.getvalue()


class TestOutput:
    def test_a_row_has_both_figures_with_their_quartiles_and_the_change(self):
        a, b = results(measured(figure(1.0, 0.98, 1.02))), results(measured(figure(1.5, 1.4, 1.6, of="planar [x]")))
        (row,) = (line for line in shown(a, b).splitlines() if "torch_gconv / planar" in line)
        for part in (TRAINING, str(SHAPE), "1.00 (0.980-1.02) planar NCHW", "1.50 (1.40-1.60) planar [x]", "+50%"):
            assert part in row

    def test_bytes_are_shown_in_mebibytes(self):
        kind = {"operation": MEMORY, "unit": "bytes"}
        a, b = (results(measured(values={"torch_gconv": [value * 2**20]}, **kind)) for value in (10, 25))
        assert "10.0 MiB" in shown(a, b) and "25.0 MiB" in shown(a, b) and "+150%" in shown(a, b)

    def test_the_last_lines_count_and_say_what_was_not_compared(self):
        a, b = results(measured(figure(1.0))), results(measured(figure(1.5)))
        text = shown(a, b)
        assert "Figures compared: 1. Moved beyond the spread: 1 for the worse, 0 for the better." in text
        assert "never seconds" in text
        assert "Moved beyond the spread: none." in shown(a, a)

    def test_what_is_in_one_alone_and_what_differs_is_said(self):
        a, b = results(measured(figure(1.0)), measured(shape=OTHER)), results(measured(figure(1.0)), name="there")
        text = shown(a, b)
        assert f"only in A.json: {TRAINING}, at 1: {OTHER}" in text
        assert "differs: name was 'here', is 'there'" in text


class TestCommand:
    @pytest.fixture
    def command(self, tmp_path, monkeypatch):
        """Writes two files and compares them; a text is written as it is, None is not written."""
        monkeypatch.chdir(tmp_path)

        def command(*contents):
            for name, content in zip(("a.json", "b.json"), contents):
                if content is not None:
                    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
            parser = argparse.ArgumentParser()
            add_arguments(parser)
            return run(parser.parse_args(["a.json", "b.json"]))

        return command

    @pytest.mark.parametrize("after, status", [(1.0, 0), (0.5, 0), (1.5, 1)])
    def test_the_status_says_whether_something_got_slower(self, command, after, status):
        assert command(results(measured(figure(1.0))), results(measured(figure(after)))) == status

    def test_where_nobody_sees_a_terminal_lines_are_whole_and_without_colour(self, command, capsys):
        long = Shape("P4MConvP4M", 128, 64, dtype="bfloat16", layout="channels_last")
        command(results(measured(figure(1.0), shape=long)), results(measured(figure(1.5), shape=long)))
        output = capsys.readouterr().out
        assert "\x1b" not in output
        assert any(TRAINING in line and str(long) in line and "+50%" in line for line in output.splitlines())

    @pytest.mark.parametrize(
        "content, said",
        [
            (None, "b.json cannot be read"),
            ("{", "b.json is not JSON"),
            ("[]", "b.json is JSON, but no results"),
            ({**results(), "format": 99}, "b.json has format 99"),
            ({**results(), "measurements": 1}, "'measurements' is 1"),
            (results({**measured(figure(1.0)), "point": {"layer": "P4ConvP4"}}), "measurement 0"),
            (results({**measured(figure(1.0)), "figures": [{}]}), "measurement 0"),
            (results({**measured(figure(1.0)), "figures": [figure("much")]}), "measurement 0"),
        ],
    )
    def test_what_cannot_be_used_is_said_in_a_sentence(self, command, capsys, content, said):
        assert command(results(measured(figure(1.0))), content) == 2
        output = capsys.readouterr()
        assert said in output.err and output.err.startswith("python -m benchmarks compare: ")
        assert not output.out

    def test_two_files_without_a_common_figure_cannot_be_compared(self, command, capsys):
        assert command(results(measured(figure(1.0))), results(measured(figure(1.0), shape=OTHER))) == 2
        assert "Nothing can be compared" in capsys.readouterr().out


def test_the_least_change_is_what_the_documentation_says():
    assert f"more than {comparing.LEAST_CHANGE:.0%}".replace("%", " %") in " ".join(comparing.__doc__.split())
