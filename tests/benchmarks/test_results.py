"""The file of results: written whole or not at all, and read with care."""

import json
import re

import pytest

from benchmarks.comparison import Comparison
from benchmarks.results import FORMAT, build_results, differences, load_results, write_results
from benchmarks.sizes import BASE, SUITES
from benchmarks.targets import TARGETS, TRAINING, Target

MACHINE = {"name": "made-up-2-cores", "CPU": "Made Up", "cores": 2, "versions": {"torch": "2.13.0", "escnn": None}}


def comparison_of(*measurements):
    return Comparison(SUITES["tiny"], {}, {"escnn": "it is missing"}, [], list(measurements))


@pytest.fixture
def results():
    measurement = {
        "operation": TRAINING,
        "point": BASE.point(),
        "axes": ["channels"],
        "unit": "s",
        "flops": 1.0,
        "bytes": 1.0,
        "limit_seconds": None,
        "values": {"torch_gconv": [0.1]},
        "figures": [],
    }
    return build_results("tiny", MACHINE, comparison_of(measurement), 12.34)


class TestBuilding:
    def test_it_has_what_was_measured_and_with_what(self, results):
        assert (results["format"], results["suite"], results["seconds"]) == (FORMAT, "tiny", 12.3)
        assert results["machine"] == MACHINE and results["left_out"] == {"escnn": "it is missing"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", results["date"])
        assert len(results["measurements"]) == 1

    def test_it_has_the_targets_that_held(self, results):
        assert tuple(Target(**target) for target in results["targets"]) == TARGETS


class TestWriting:
    def test_what_is_written_is_read(self, results, tmp_path):
        path = tmp_path / "new" / "results.json"
        write_results(path, results)
        assert load_results(path) == results

    @pytest.mark.parametrize("bad, error", [(object(), TypeError), (float("nan"), ValueError)])
    def test_what_cannot_be_written_leaves_the_old_results_and_nothing_else(self, bad, error, results, tmp_path):
        path = tmp_path / "results.json"
        write_results(path, results)
        with pytest.raises(error):
            write_results(path, {**results, "seconds": bad})
        assert load_results(path) == results and list(tmp_path.iterdir()) == [path]


class TestReading:
    @pytest.mark.parametrize(
        "text, complaint",
        [
            ("half of {", "is not JSON"),
            ("[1, 2]", "does not say its format"),
            ("{}", "does not say its format"),
            (json.dumps({"format": FORMAT + 1}), f"has format {FORMAT + 1}; this version reads format {FORMAT}"),
            (json.dumps({"format": FORMAT}), "'suite' is missing"),
        ],
    )
    def test_a_file_that_holds_none_is_said_to(self, text, complaint, tmp_path):
        path = tmp_path / "results.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=re.escape(complaint)) as caught:
            load_results(path)
        assert str(path) in str(caught.value)

    def test_so_is_one_that_is_not_there_and_one_that_is_no_text(self, tmp_path):
        with pytest.raises(ValueError, match="nowhere.json cannot be read: No such file"):
            load_results(tmp_path / "nowhere.json")
        (tmp_path / "results.png").write_bytes(b"\x89PNG\xff")
        with pytest.raises(ValueError, match="is not JSON"):
            load_results(tmp_path / "results.png")

    @pytest.mark.parametrize("key", ["suite", "machine", "limits", "targets", "measurements", "seconds", "left_out"])
    def test_so_is_one_that_lacks_a_part_or_has_another_thing_there(self, key, results, tmp_path):
        path = tmp_path / "results.json"
        for bad in ({k: v for k, v in results.items() if k != key}, {**results, key: None}):
            path.write_text(json.dumps(bad), encoding="utf-8")
            with pytest.raises(ValueError, match=f"{key!r} is (missing|None)"):
                load_results(path)

    @pytest.mark.parametrize("key", ["operation", "point", "values", "figures", "unit", "axes"])
    def test_so_is_one_whose_measurements_lack_a_part(self, key, results, tmp_path):
        del results["measurements"][0][key]
        path = tmp_path / "results.json"
        write_results(path, results)
        with pytest.raises(ValueError, match=f"measurement 0: {key!r} is missing"):
            load_results(path)

    def test_so_is_one_whose_measurements_are_none(self, results, tmp_path):
        path = tmp_path / "results.json"
        write_results(path, {**results, "measurements": ["a lot"]})
        with pytest.raises(ValueError, match="measurement 0 is 'a lot'"):
            load_results(path)


class TestDifferences:
    def test_the_same_suite_on_the_same_machine_has_none(self, results):
        assert differences(results, "tiny", MACHINE) == []

    @pytest.mark.parametrize(
        "suite, machine, said",
        [
            ("full", MACHINE, "suite was 'tiny', is 'full'"),
            ("tiny", {**MACHINE, "cores": 4}, "cores was 2, is 4"),
            ("tiny", {**MACHINE, "versions": {"torch": "2.14.0", "escnn": None}}, "torch was '2.13.0', is '2.14.0'"),
            ("tiny", {**MACHINE, "versions": {**MACHINE["versions"], "numpy": "2"}}, "numpy was None, is '2'"),
        ],
    )
    def test_what_differs_is_named(self, suite, machine, said, results):
        assert differences(results, suite, machine) == [said]
