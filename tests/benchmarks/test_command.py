"""`make bench`: that it measures what it says, and what it leaves. No time is asserted."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.contenders import load_contenders
from benchmarks.results import load_results
from benchmarks.sizes import SUITES
from benchmarks.targets import OPERATIONS

ROOT = Path(__file__).parent.parent.parent
TINY = SUITES["tiny"]
PLAN = {(operation, str(point)) for operation in OPERATIONS for point in TINY.points(operation)}

needs_a_framework = pytest.mark.skipif(
    not (find_spec("torch") or find_spec("chainer")), reason="neither PyTorch nor Chainer is installed"
)


def stay_on_one_core():
    """Where other work runs, threads that wait for each other take very long over very little."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def run(folder, *options, plugin=None):
    """The command on the tiny suite; plugin: the source of one for pytest. Results and page go below the folder."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", "benchmarks", "--suite", "tiny"]
    command += ["--benchmark-quiet", "--results", folder / "results", "--page", folder / "performance.md", *options]
    environment = dict(os.environ)
    if plugin:
        (folder / "planted.py").write_text(plugin, encoding="utf-8")
        command += ["-p", "planted"]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, preexec_fn=stay_on_one_core, check=False
    )


def left_in(folder):
    """{kind: path} of the files of results: "complete", "partial", "part"; all with the machine's name."""
    paths = (folder / "results").glob("*.json")
    return {
        "partial"
        if path.name.endswith(".partial.json")
        else "part"
        if path.stem.endswith("-selection")
        else "complete": path
        for path in paths
    }


def results_in(folder, kind="complete"):
    return load_results(left_in(folder)[kind])


def operations_in(results):
    return [measurement["operation"] for measurement in results["measurements"]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of all of the tiny suite: its folder, and what it said."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


@needs_a_framework
class TestAWholeRun:
    def test_it_measures_every_operation_at_every_point(self, whole):
        folder, result = whole
        assert result.returncode == 0, result.stdout + result.stderr
        results = results_in(folder)
        points = {(measured["operation"], json.dumps(measured["point"])) for measured in results["measurements"]}
        assert len(points) == len(results["measurements"]) == len(PLAN)
        assert set(operations_in(results)) == {operation for operation, _ in PLAN}

    def test_it_reports_and_leaves_the_results_and_the_page(self, whole):
        folder, result = whole
        assert f"written to {left_in(folder)['complete']}" in result.stdout
        assert left_in(folder)["complete"].stem == results_in(folder)["machine"]["name"]
        assert all(f"{operation}: " in result.stdout for operation, _ in PLAN)
        if "There are no charts and no page" not in result.stdout:
            assert f"written to {folder / 'performance.md'}" in result.stdout
            assert (folder / "performance.md").exists()

    def test_every_contender_that_can_run_is_measured(self, whole):
        contenders, _ = load_contenders()
        measurements = results_in(whole[0])["measurements"]
        found = {name for measurement in measurements for name in measurement["values"]}
        assert found == {*contenders, "groupy"} - set(TINY.choosy)

    def test_every_contender_has_a_time_for_each_round(self, whole):
        for measurement in results_in(whole[0])["measurements"]:
            for times in measurement["values"].values():
                assert len(times) == TINY.least_rounds and min(times) > 0

    def test_it_tells_how_long_it_will_take(self, whole):
        assert "(about 1 min left)" in whole[1].stdout

    def test_it_knows_the_limits_of_the_machine(self, whole):
        results = results_in(whole[0])
        assert results["limits"]
        training = [m for m in results["measurements"] if m["operation"] == "training step"]
        assert training and all(measurement["limit_seconds"] for measurement in training)


STOP_AT_TABLES = """
def pytest_runtest_setup(item):
    if item.name.startswith("test_index_table"):
        raise {error}
"""
PART = ("-k", "construction or index_table")


@pytest.fixture(scope="module")
def interrupted(whole):
    """A run of a part, in the folder of a complete one: the folder, what that had, and what was said."""
    folder, _ = whole
    return folder, results_in(folder), run(folder, *PART, plugin=STOP_AT_TABLES.format(error="KeyboardInterrupt"))


@needs_a_framework
class TestARunThatDoesNotComeToItsEnd:
    def test_it_leaves_what_it_has_and_complete_results_as_they_are(self, interrupted):
        folder, complete, result = interrupted
        assert result.returncode == 2, result.stdout + result.stderr
        assert f"The run is not complete; --resume goes on from {left_in(folder)['partial']}" in result.stdout
        assert operations_in(results_in(folder, "partial")) == ["construction"]
        assert results_in(folder) == complete

    def test_so_does_one_that_fails(self, tmp_path):
        result = run(tmp_path, *PART, plugin=STOP_AT_TABLES.format(error="OSError"))
        assert result.returncode == 1, result.stdout + result.stderr
        assert list(left_in(tmp_path)) == ["partial"]

    def test_nothing_else_goes_on_with_it(self, interrupted):
        folder, _, _ = interrupted
        path = left_in(folder)["partial"]
        left = path.read_text(encoding="utf-8")
        of_another = json.loads(left)
        of_another["machine"]["versions"]["numpy"] = "0.1"
        path.write_text(json.dumps(of_another), encoding="utf-8")
        result = run(folder, *PART, "--resume", "--collect-only")
        assert result.returncode == pytest.ExitCode.USAGE_ERROR and "Traceback" not in result.stdout + result.stderr
        assert "cannot be gone on with: numpy was '0.1', is" in result.stderr
        assert json.loads(path.read_text(encoding="utf-8")) == of_another
        path.write_text(left, encoding="utf-8")

    def test_it_is_gone_on_with_and_then_the_part_has_results_of_its_own(self, interrupted):
        folder, complete, _ = interrupted
        partial = results_in(folder, "partial")
        result = run(folder, *PART, "--resume")
        assert result.returncode == 0, result.stdout + result.stderr
        assert "which has 1 measurements" in result.stdout
        assert "1 passed, 1 skipped" in result.stdout and "measured by the run that is resumed" in result.stdout
        assert "That is a part of the suite, so there are no charts and no page." in result.stdout
        assert set(left_in(folder)) == {"complete", "part"}
        part = results_in(folder, "part")
        assert part["measurements"][:1] == partial["measurements"] and len(part["measurements"]) == 2
        assert part["limits"] == partial["limits"] and part["seconds"] >= partial["seconds"]
        assert results_in(folder) == complete


class TestWhatItIsTold:
    def test_before_it_begins_it_says_what_is_left_out_and_that_there_is_nothing_to_resume(self, tmp_path):
        result = run(tmp_path, "-k", "index_table", "--resume", "--collect-only")
        assert "nothing to resume: there is no" in result.stdout
        _, left_out = load_contenders()
        assert result.stdout.count("left out: ") == len(left_out)
        assert all(f"left out: {what}, since: {why}" in result.stdout for what, why in left_out.items())
        assert not (tmp_path / "results").exists()

    def test_a_device_that_is_not_there_is_an_error_in_words(self, tmp_path):
        result = run(tmp_path, "--device", "cuda", "--collect-only")
        if result.returncode != pytest.ExitCode.OK:
            assert "--device cuda: neither PyTorch nor CuPy has one here" in result.stderr
            assert "Traceback" not in result.stdout + result.stderr

    def test_where_times_are_not_taken_nothing_is_left(self, tmp_path):
        result = run(tmp_path, "--benchmark-disable", "-k", "index_table")
        assert result.returncode == 0, result.stdout + result.stderr
        assert "1 skipped" in result.stdout and not (tmp_path / "results").exists()
