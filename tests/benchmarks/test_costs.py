"""`python -m benchmarks.costs`: the counts are those of the table, and a layer that does more work is found out.

No time is asserted but for the two ratios at the end, each taken within one run and with a wide margin.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks import costs, counting
from benchmarks.contenders import load_contenders
from benchmarks.costs import IF_WANTED, TABLE, Table, count_framework, differences, left_out, main, run_marked
from benchmarks.counting import (
    FORWARD,
    FRAMEWORKS,
    Count,
    CountingError,
    count_instructions,
    count_layer,
    is_installed,
    versions,
)
from benchmarks.sizes import Shape
from benchmarks.targets import EVALUATION, TRAINING

ROOT = Path(__file__).parent.parent.parent
SHAPE = Shape("P4ConvP4", 8, size=6, batch=2)
TORCH, CHAINER, CUDA = FRAMEWORKS
GATHER = re.compile(r"operators: .*aten::(index|gather|take)\w* grew from")  # what a fold is, whichever it uses


def needs(*names):
    missing = {FRAMEWORKS[name].package for name in names if not is_installed(name)}
    return pytest.mark.skipif(bool(missing), reason=f"{' and '.join(missing)} is not installed")


every_framework = pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in FRAMEWORKS])

_counts = cache(count_framework)


@pytest.mark.parametrize(
    ("name", "quantity"), [(name, quantity) for name in FRAMEWORKS for quantity in FRAMEWORKS[name].quantities]
)
def test_the_counts_are_those_of_the_table(name, quantity):
    table = Table.read(TABLE)
    reason = left_out(table.versions).get((name, quantity))
    if reason:
        pytest.skip(reason)
    due, now = (
        [count for count in of if (count.framework, count.quantity) == (name, quantity)]
        for of in (table.counts, _counts(name))
    )
    changed = list(differences(due, now))
    assert not changed, "\n".join([*changed, IF_WANTED])


def changes(name, waste):
    """{step: sentences} of what a layer counts more or less whose forward is waste(layer, forward, x)."""
    framework = FRAMEWORKS[name]
    layer = framework.construct(SHAPE)
    base = type(layer)
    layer.__class__ = type(
        base.__name__, (base,), {"forward": lambda self, x: waste(self, super(base, self).forward, x)}
    )
    found = {EVALUATION: "", FORWARD: "", TRAINING: ""}
    for line in differences(count_layer(name, SHAPE), count_layer(name, SHAPE, layer)):
        step = line.removeprefix(f"{name}, {SHAPE}, ").partition(":")[0]
        found[step] += line + "\n"
    return found


def fold_again(layer, forward, x):
    layer.folded_filters()
    return forward(x)


def fold_again_in_chainer(layer, forward, x):
    from chainer_gconv.transform_filter import transform_filter

    transform_filter(layer.masked_W(), layer.transformation)
    return forward(x)


def drop_filters(layer, forward, x):
    layer._kept.drop()
    return forward(x)


def ask_again_and_again(layer, forward, x):
    for _ in range(20):
        layer.window  # noqa: B018
    return forward(x)


@needs(TORCH)
class TestWasteInTorch:
    def test_a_layer_that_wastes_nothing_counts_as_before(self):
        found = changes(TORCH, lambda layer, forward, x: forward(x))
        assert all("operators" not in lines and "bytes" not in lines for lines in found.values())

    def test_a_copy_is_named_in_every_step(self):
        for lines in changes(TORCH, lambda layer, forward, x: forward(x).clone()).values():
            assert "operators: aten::clone grew from" in lines
            assert "bytes allocated: grew from" in lines

    def test_a_second_fold_is_named_in_every_step(self):
        for lines in changes(TORCH, fold_again).values():
            assert GATHER.search(lines)

    def test_filters_that_are_not_kept_are_named_in_evaluation_alone(self):
        found = changes(TORCH, drop_filters)
        assert GATHER.search(found[EVALUATION])
        assert "operators" not in found[FORWARD] + found[TRAINING]

    def test_a_second_convolution_is_named_in_every_step(self):
        for lines in changes(TORCH, lambda layer, forward, x: forward(x) + forward(x)).values():
            assert "convolutions: aten::convolution grew from 1 to 2" in lines

    def test_filters_that_live_longer_show_in_the_peak(self):
        def hold(layer, forward, x):
            layer.held = [layer.weight.detach().clone()]
            return forward(x)

        found = changes(TORCH, hold)
        weight = SHAPE.channels * SHAPE.in_channels * 4 * 9 * SHAPE.itemsize
        (peak,) = (line for line in found[EVALUATION].splitlines() if "peak" in line)
        before, after = map(int, peak.rpartition("grew from ")[2].split(" to "))
        assert after - before == weight

    def test_work_in_python_is_named_by_package(self):
        for lines in changes(TORCH, ask_again_and_again).values():
            assert "Python instructions: " in lines and "torch_gconv grew from" in lines


@needs(CHAINER)
class TestWasteInChainer:
    def test_a_layer_that_wastes_nothing_counts_as_before(self):
        found = changes(CHAINER, lambda layer, forward, x: forward(x))
        assert all(set(_quantities(lines)) <= {"Python instructions"} for lines in found.values())

    def test_a_function_more_is_named_in_every_step(self):
        import chainer.functions as F

        for lines in changes(CHAINER, lambda layer, forward, x: F.flip(forward(x), 0)).values():
            assert "functions: Flip grew from 0 to" in lines

    def test_a_second_fold_is_named_in_every_step(self):
        for lines in changes(CHAINER, fold_again_in_chainer).values():
            assert "FoldFilters grew from 1 to 2" in lines

    def test_filters_that_are_not_kept_are_named_in_evaluation_alone(self):
        found = changes(CHAINER, drop_filters)
        assert {"array methods", "peak bytes"} <= set(_quantities(found[EVALUATION]))
        assert set(_quantities(found[FORWARD] + found[TRAINING])) <= {"Python instructions"}

    def test_a_copy_that_lives_through_the_call_shows_in_the_peak(self):
        def hold(layer, forward, x):
            layer.held = x.array.copy()
            return forward(x)

        for lines in changes(CHAINER, hold).values():
            assert "peak bytes: grew from" in lines and "array methods: copy grew from" in lines


@needs(CUDA)
def test_a_second_launch_on_a_gpu_is_named(monkeypatch):
    from chainer_gconv import kernels

    before, fold = count_layer(CUDA, SHAPE), kernels.fold_filters
    monkeypatch.setattr(kernels, "fold_filters", lambda *arguments: (fold(*arguments), fold(*arguments)))
    (line,) = differences(before, count_layer(CUDA, SHAPE))
    assert "filter transformation: calls to CuPy: " in line and "launch of fold_filters grew from 1 to 2" in line


@needs(CUDA)
def test_a_gpu_is_asked_for_one_launch_and_one_array():
    for count in count_layer(CUDA, SHAPE):
        (launch,) = (what for what in count.values if what.startswith("launch"))
        assert count.values[launch] == count.values["empty"] == 1
        assert "compilation" not in count.values and "synchronize" not in count.values


def _quantities(lines):
    return [line.split(": ")[1] for line in lines.splitlines()]


class TestCounting:
    @every_framework
    def test_it_repeats(self, name):
        assert not list(differences(count_layer(name, SHAPE), count_layer(name, SHAPE)))

    @every_framework
    def test_but_for_bytes_it_does_not_depend_on_the_size(self, name):
        larger = count_layer(name, Shape(SHAPE.layer, SHAPE.channels, size=9, batch=3))
        found = differences(count_layer(name, SHAPE), [replace(count, layer=str(SHAPE)) for count in larger])
        assert {quantity for line in found for quantity in _quantities(line)} <= {"bytes allocated", "peak bytes"}

    def test_instructions_are_of_the_callee_and_those_it_calls(self):
        def call():
            return sum(range(3))

        def call_twice():
            call()
            call()

        once, twice = (sum(count_instructions(function).values()) for function in (call, call_twice))
        assert 0 < 2 * once < twice

    def test_instructions_of_the_caller_are_not_counted_and_its_tracer_stays(self):
        def tracer(*_):
            return None

        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            counted = count_instructions(int)
            assert sys.gettrace() is tracer
        finally:
            sys.settrace(before)
        assert counted == {}

    @needs(TORCH)
    def test_the_peak_is_of_what_lives_at_once(self):
        import torch

        count, held = FRAMEWORKS[TORCH].count, []
        count(lambda: held.append(torch.empty(5000)))

        def one_after_the_other():
            held.clear()  # allocated before, so that it is not counted when it is freed
            torch.empty(1000)
            torch.empty(500)

        def at_once():
            return torch.empty(1000), torch.empty(500)

        counts = [count(call) for call in (one_after_the_other, at_once)]
        assert [counted["peak bytes"] for counted in counts] == [{"": 4 * 1000}, {"": 4 * 1500}]
        assert [counted["bytes allocated"] for counted in counts] == 2 * [{"": 4 * 1500}]

    @needs(TORCH)
    def test_onednn_is_off_while_it_counts_and_then_as_it_was(self):
        from torch.backends import mkldnn

        seen, before = [], mkldnn.enabled
        try:
            for enabled in (True, False):
                mkldnn.enabled = enabled
                FRAMEWORKS[TORCH].count(lambda: seen.append(mkldnn.enabled))
                assert mkldnn.enabled == enabled
        finally:
            mkldnn.enabled = before
        assert seen and not any(seen)

    @needs(CHAINER)
    def test_arrays_of_numpy_are_in_the_peak(self):
        peak = FRAMEWORKS[CHAINER].count(lambda: np.ones(100_000, np.uint8))["peak bytes"][""]
        assert 100_000 <= peak < 101_000

    @needs(CHAINER)
    def test_tracemalloc_at_work_is_said(self, monkeypatch):
        monkeypatch.setattr(counting.tracemalloc, "is_tracing", lambda: True)
        with pytest.raises(CountingError, match="tracemalloc is at work already"):
            FRAMEWORKS[CHAINER].count(int)


def count_of(quantity, **values):
    return Count(TORCH, "a layer", EVALUATION, quantity, {what.replace("_", ""): n for what, n in values.items()})


class TestDifferences:
    def test_what_grew_and_what_shrank_is_said(self):
        (line,) = differences([count_of("operators", a=1, b=2, c=3)], [count_of("operators", b=4, c=3, d=5)])
        assert line == (
            "torch_gconv, a layer, evaluation: operators: a shrank from 1 to 0, b grew from 2 to 4, d grew from 0 to 5"
        )

    def test_a_single_number_has_no_name(self):
        (line,) = differences([count_of("peak bytes", _=10)], [count_of("peak bytes", _=11)])
        assert line.endswith("evaluation: peak bytes: grew from 10 to 11")

    @pytest.mark.parametrize("now", [95, 100, 105])
    def test_a_line_of_python_more_or_less_is_no_difference(self, now):
        assert not list(differences([count_of("Python instructions", a=100)], [count_of("Python instructions", a=now)]))

    @pytest.mark.parametrize("now", [94, 106])
    def test_more_than_that_is(self, now):
        assert list(differences([count_of("Python instructions", a=100)], [count_of("Python instructions", a=now)]))

    def test_what_is_in_one_of_both_alone_is_a_difference(self):
        count = count_of("operators", a=1)
        assert "a grew from 0 to 1" in next(differences([], [count]))
        assert "a shrank from 1 to 0" in next(differences([count], []))


class TestVersions:
    @needs(TORCH, CHAINER)
    def test_with_those_of_the_table_all_is_compared(self):
        assert left_out(versions()) == {}

    @needs(TORCH, CHAINER)
    def test_with_another_pytorch_convolutions_are_compared_and_all_of_chainer(self):
        reasons = left_out({**versions(), "torch": "1.0"})
        assert set(reasons) == {(TORCH, quantity) for quantity in FRAMEWORKS[TORCH].quantities} - {
            (TORCH, "convolutions")
        }
        assert "the table is of torch 1.0 instead of" in reasons[TORCH, "operators"]

    @needs(CHAINER)
    def test_with_another_python_functions_and_bytes_are_compared(self):
        reasons = left_out({**versions(), "Python": "2.7"})
        assert {quantity for name, quantity in reasons if name == CHAINER} == {"array methods", "Python instructions"}

    @needs(CHAINER)
    def test_what_is_not_installed_is_said_to_be_left_out(self, monkeypatch):
        monkeypatch.setattr(costs, "is_installed", lambda name: name != TORCH)
        reasons = left_out(versions())
        assert set(reasons) == {(TORCH, quantity) for quantity in FRAMEWORKS[TORCH].quantities}
        assert reasons[TORCH, "operators"] == "torch_gconv: operators are not counted, since torch is missing."


class TestTheCommand:
    @pytest.fixture(autouse=True)
    def one_layer(self, monkeypatch):
        monkeypatch.setattr(costs, "SHAPES", (SHAPE,))
        for variable in ("KINETO_LOG_LEVEL", "TORCH_CPP_LOG_LEVEL"):
            monkeypatch.setenv(variable, "6")  # main() sets them for the whole process otherwise

    @pytest.fixture
    def table(self, tmp_path):
        """A table of what is installed."""
        path = tmp_path / "costs.json"
        Table(versions(), costs.count_all()).write(path)
        return path

    @needs(CHAINER)
    def test_it_says_that_all_counts_are_those_of_the_table(self, table, capsys):
        assert main(["--table", str(table)]) == 0
        out = capsys.readouterr().out
        assert f"counts are those of {table}." in out
        assert all(name in out for name in FRAMEWORKS if is_installed(name))
        assert f"{SHAPE}: {TRAINING}" in out

    @needs(CHAINER)
    def test_it_says_what_grew_and_how_to_write_it_down(self, table, capsys, monkeypatch):
        import chainer_gconv

        class Wasteful(chainer_gconv.P4ConvP4):
            def forward(self, x):
                super().forward(x)
                return super().forward(x)

        monkeypatch.setattr(chainer_gconv, "P4ConvP4", Wasteful)
        assert main(["--table", str(table)]) == 1
        out = capsys.readouterr().out
        assert f"chainer_gconv, {SHAPE}, evaluation: functions:" in out and "FoldFilters grew from 1 to 2" in out
        assert out.endswith(f"are not those of {table}. {IF_WANTED}\n")

    @needs(CHAINER)
    def test_a_gain_that_is_not_written_down_fails_too(self, table, capsys):
        written = json.loads(table.read_text())
        for count in written["counts"]:
            if count["quantity"] == "functions":
                count["values"]["FoldFilters"] += 1
        table.write_text(json.dumps(written))
        assert main(["--table", str(table)]) == 1
        assert "functions: FoldFilters shrank from 2 to 1" in capsys.readouterr().out

    @needs(TORCH, CHAINER)
    def test_it_writes_what_it_then_finds(self, tmp_path, capsys):
        path = tmp_path / "costs.json"
        assert main(["--write", "--table", str(path)]) == 0
        assert main(["--table", str(path)]) == 0
        assert list(tmp_path.iterdir()) == [path]

    @needs(TORCH, CHAINER)
    def test_counts_that_do_not_repeat_are_not_written(self, tmp_path, capsys, monkeypatch):
        runs = iter([[count_of("operators", a=1)], [count_of("operators", a=2)]])
        monkeypatch.setattr(costs, "count_all", lambda: next(runs))
        assert main(["--write", "--table", str(tmp_path / "costs.json")]) == 2
        err = capsys.readouterr().err
        assert "Two runs do not count the same, so nothing is written." in err and "a grew from 1 to 2" in err
        assert not list(tmp_path.iterdir())

    def test_without_one_of_the_frameworks_nothing_is_written(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(costs, "is_installed", lambda name: name != TORCH)
        assert main(["--write", "--table", str(tmp_path / "costs.json")]) == 2
        assert "torch is not installed. Nothing is written." in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_without_any_framework_it_says_so(self, tmp_path, capsys, monkeypatch):
        path = tmp_path / "costs.json"
        Table(versions(), []).write(path)
        monkeypatch.setattr(costs, "is_installed", lambda name: False)
        assert main(["--table", str(path)]) == 2
        assert "neither PyTorch nor Chainer is installed" in capsys.readouterr().err

    @pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left")])
    def test_a_table_that_cannot_be_written_leaves_the_old_one(self, tmp_path, monkeypatch, error):
        path = tmp_path / "costs.json"
        Table({"torch": "1"}, []).write(path)
        before = path.read_text()

        def refuse(*_, **__):
            raise error

        monkeypatch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(CountingError, match=f"costs.json cannot be written: {error.strerror}"):
            Table({"torch": "2"}, []).write(path)
        assert path.read_text() == before and list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "no JSON",
            "[]",
            '{"versions": {}}',
            '{"versions": {}, "counts": [{"layer": 1}]}',
            '{"versions": {}, "counts": []}',
        ],
    )
    def test_what_is_no_table_is_said(self, tmp_path, capsys, text):
        path = tmp_path / "costs.json"
        path.write_text(text)
        assert main(["--table", str(path)]) == 2
        assert f"{path} is no table of counts" in capsys.readouterr().err

    def test_from_the_shell_a_missing_table_is_a_sentence(self, tmp_path):
        path = tmp_path / "none.json"
        command = [sys.executable, "-m", "benchmarks.costs", "--table", str(path)]
        result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert result.returncode == 2
        assert result.stderr == f"There is no table {path}. Write it: python -m benchmarks.costs --write\n"

    def test_an_unknown_option_is_a_usage_error(self, capsys):
        with pytest.raises(SystemExit) as error:
            main(["--wirte"])
        assert error.value.code == 2 and "unrecognized arguments: --wirte" in capsys.readouterr().err


class TestCallgrind:
    FAKE = """#!{python}
import sys
from pathlib import Path

(option,) = (option for option in sys.argv if option.startswith("--callgrind-out-file="))
for number, total in enumerate([900, 50, 900, 100], start=1):
    Path(option.partition("=")[2] + f".{{number}}").write_text(f"events: Ir\\nsummary: 7\\ntotals: {{total}}\\n")
{ending}
"""

    def install(self, folder, monkeypatch, ending):
        valgrind = folder / "valgrind"
        valgrind.write_text(self.FAKE.format(python=sys.executable, ending=ending))
        valgrind.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def test_it_prints_instructions_per_call(self, tmp_path, monkeypatch, capsys):
        self.install(tmp_path, monkeypatch, 'print("one\\nanother")')
        assert main(["--callgrind"]) == 0
        rows = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert rows == [["one", "10", "instructions"], ["another", "20", "instructions"]]

    def test_calls_that_fail_are_said_to(self, tmp_path, monkeypatch, capsys):
        self.install(tmp_path, monkeypatch, 'sys.exit("no such layer")')
        assert main(["--callgrind"]) == 2
        assert "The calls failed under valgrind:\nno such layer" in capsys.readouterr().err

    def test_without_valgrind_it_says_so(self, monkeypatch, capsys):
        monkeypatch.setattr(costs.shutil, "which", lambda _: None)
        assert main(["--callgrind"]) == 2
        assert "valgrind is not installed" in capsys.readouterr().err

    def test_each_call_runs_between_two_marks(self, monkeypatch, capsys):
        ran = []
        monkeypatch.setattr(costs, "_calls", lambda: [(name, lambda name=name: ran.append(name)) for name in "ab"])
        monkeypatch.setattr(costs.os, "getppid", lambda: ran.append("mark"))
        monkeypatch.setattr(costs.gc, "disable", lambda: None)
        run_marked()
        marked = "".join(name[0] for name in ran).split("m")
        assert marked == ["aa", "aaaaa", "bb", "bbbbb", ""]
        assert capsys.readouterr().out.split() == ["a", "b"]


ROUNDS, ATTEMPTS = 11, 3


def ratio(call, rival):
    """The median over the rounds of call's time through rival's, in alternation."""
    call(), rival()
    ratios = []
    for number in range(ROUNDS):
        seconds = {}
        for function in (call, rival) if number % 2 else (rival, call):
            begin = time.perf_counter()
            function()
            seconds[function] = time.perf_counter() - begin
        ratios.append(seconds[call] / seconds[rival])
    return statistics.median(ratios)


class TestRatios:
    """Both sides run in turn, so that a busy machine slows both; a failure takes three bad medians in a row."""

    @needs(TORCH)
    def test_a_training_step_takes_less_than_twice_the_planar_one(self):
        """Usually 1.0 to 1.1 where the convolution dominates. A second convolution, or a fold of Python, makes it 2."""
        shape = Shape("P4MConvP4M", 16, size=16, batch=8)
        contenders, _ = load_contenders()
        ours, *planar = (
            contenders[name].training_step(shape) for name in ("torch_gconv", "planar NCHW", "planar channels_last")
        )
        assert any(max(ratio(ours, call) for call in planar) < 2 for _ in range(ATTEMPTS))

    @needs(CHAINER)
    def test_in_chainer_an_evaluation_with_kept_filters_is_faster_than_one_that_folds(self):
        """Usually below 0.7 where the filters are large, and the map is small."""
        shape = Shape("P4MConvP4M", 32, size=4, batch=1)
        layers = FRAMEWORKS[CHAINER]
        evaluate, forward = (
            next(call for step, call in layers.steps(layers.construct(shape), shape) if step == wanted)
            for wanted in (EVALUATION, FORWARD)
        )
        evaluate()
        assert any(ratio(evaluate, forward) < 1 for _ in range(ATTEMPTS))
