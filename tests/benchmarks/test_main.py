"""The command line: what it starts, exit statuses, one sentence for bad use, and nothing half-written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jinja2", reason="jinja2 is not installed, so no page is written")
pytest.importorskip("matplotlib", reason="matplotlib is not installed, so no charts are drawn")
pytest.importorskip("rich", reason="rich is not installed, so no results are compared")
pytest.importorskip("cpuinfo", reason="py-cpuinfo is not installed, so no machine is described")
pytest.importorskip("pytest_benchmark", reason="pytest-benchmark is not installed, so nothing is measured")

from benchmarks import __main__ as command_line
from benchmarks import charts
from benchmarks.charts import Drawn

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def results_file(made_up, tmp_path, monkeypatch):
    """A file of results; charts cost no time."""
    drawn = Drawn("networks", "A title", "A caption.", b"<svg/>", b"png")
    monkeypatch.setattr(charts, "draw_charts", lambda results, device: {"networks": drawn})
    path = tmp_path / "results" / "made-up-2-cores.json"
    path.parent.mkdir()
    path.write_text(json.dumps(made_up(quick=True)))
    return path


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestRun:
    @pytest.mark.parametrize("status", [0, 1, 2])
    def test_it_is_pytest_on_the_benchmarks_with_the_options_in_their_order(self, monkeypatch, status):
        calls = []
        monkeypatch.setattr(pytest, "main", lambda arguments: calls.append(arguments) or status)
        options = ["--quick", "-k", "training and not P4M", "-x", "--results", "somewhere"]
        assert command_line.main(["run", *options]) == status
        assert calls == [["benchmarks", "--benchmark-quiet", *options]]

    def test_it_finds_the_benchmarks(self):
        command = [sys.executable, "-m", "benchmarks", "run", "--suite", "tiny", "--collect-only", "-q"]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "benchmarks/test_layers.py::" in ran.stdout


class TestPage:
    def test_it_writes_charts_and_page(self, results_file, tmp_path, capsys):
        page = tmp_path / "docs" / "performance.md"
        assert command_line.main(["page", str(results_file), "--page", str(page)]) == 0
        assert set(files_in(results_file.parent / "made-up-2-cores")) == {"networks.svg", "networks.png"}
        assert page.read_text().startswith("# Performance\n")
        said = capsys.readouterr().out
        assert said == f"written to {results_file.parent / 'made-up-2-cores'} and {page}\n"

    def test_it_can_draw_the_charts_alone(self, results_file, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert command_line.main(["page", str(results_file), "--charts-only"]) == 0
        assert not list(tmp_path.rglob("*.md"))

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (None, "cannot be read"),
            ("{", "is not JSON"),
            ("[]", "no results of the benchmarks"),
            ('{"format": 99}', "format 99"),
            (b"\xff\xfe", "is not JSON"),
        ],
    )
    def test_a_missing_or_invalid_file_is_one_sentence(self, results_file, tmp_path, capsys, content, said):
        if content is None:
            results_file.unlink()
        else:
            results_file.write_bytes(content if isinstance(content, bytes) else content.encode())
        before = files_in(tmp_path)
        assert command_line.main(["page", str(results_file), "--page", str(tmp_path / "page.md")]) == 2
        error = capsys.readouterr().err
        assert error.startswith("python -m benchmarks page: ") and said in error and str(results_file) in error
        assert error.count("\n") == 1 and files_in(tmp_path) == before

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda results: results["machine"].pop("cores"),
            lambda results: results["measurements"][0].pop("limit_seconds"),
            lambda results: results["measurements"][0].update(point={"layer": "P4ConvP4"}),
            lambda results: results["measurements"][0].update(point={}),
            lambda results: results["measurements"][0].update(figures=[1]),
            lambda results: results.update(limits=[{}]),
            lambda results: results.update(targets=[{"operation": "evaluation"}]),
        ],
    )
    def test_so_is_a_file_that_lacks_something(self, results_file, tmp_path, capsys, spoil):
        results = json.loads(results_file.read_text())
        spoil(results)
        results_file.write_text(json.dumps(results))
        before = files_in(tmp_path)
        assert command_line.main(["page", str(results_file), "--page", str(tmp_path / "page.md")]) == 2
        error = capsys.readouterr().err
        assert error.startswith("python -m benchmarks page: ") and error.count("\n") == 1
        assert files_in(tmp_path) == before

    def test_so_is_a_page_that_cannot_be_written(self, results_file, tmp_path, capsys):
        (tmp_path / "page.md").mkdir()
        assert command_line.main(["page", str(results_file), "--page", str(tmp_path / "page.md")]) == 2
        error = capsys.readouterr().err
        assert "page.md" in error and "cannot be written" in error and error.count("\n") == 1


class TestBadUse:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "required"),
            (["measure"], "invalid choice"),
            (["page"], "RESULTS.json"),
            (["page", "a.json", "--quick"], "--quick"),
            (["page", "a.json", "--page", "b.md", "--charts-only"], "not allowed with"),
            (["compare", "a.json"], "B.json"),
        ],
    )
    def test_it_is_refused_with_status_2(self, capsys, arguments, said):
        with pytest.raises(SystemExit) as stop:
            command_line.main(arguments)
        assert stop.value.code == 2 and said in capsys.readouterr().err

    def test_compare_gets_what_it_asks_for(self, results_file, tmp_path):
        assert command_line.main(["compare", str(results_file), str(results_file)]) == 0
        assert command_line.main(["compare", str(results_file), str(tmp_path / "nowhere.json")]) == 2

    @pytest.mark.parametrize("command", [[], ["run"], ["page"], ["compare"]])
    def test_help_has_every_command_and_examples(self, capsys, command):
        with pytest.raises(SystemExit) as stop:
            command_line.main([*command, "--help"])
        text = capsys.readouterr().out
        assert stop.value.code == 0
        if not command:
            assert all(f"python -m benchmarks {name}" in text for name in ("run", "page", "compare"))

    def test_a_missing_package_is_one_sentence(self, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "benchmarks.page", None)
        assert command_line.main(["page", "a.json"]) == 2
        error = capsys.readouterr().err
        assert "benchmarks/requirements.txt" in error and error.count("\n") == 1
