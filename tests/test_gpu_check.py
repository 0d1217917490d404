"""`make gpu-check` on a machine without a GPU: what it says, and what its report would say with one."""

import json
import subprocess
import sys
import zipfile
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def gpu_check():
    spec = spec_from_file_location("gpu_check", ROOT / "benchmarks" / "gpu_check.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_machine_without_cuda_is_told_so(tmp_path):
    if find_spec("cupy") is not None:
        pytest.skip("CuPy is installed: this machine may have CUDA")
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--report", tmp_path / "report"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 2 and "not installed in" in result.stderr and "cupy-cuda13x" in result.stderr
    assert not (tmp_path / "report").exists()


class TestChainerCarriedAlong:
    @pytest.fixture(autouse=True)
    def chainer_is_not_installed(self, gpu_check, monkeypatch):
        monkeypatch.setattr(gpu_check, "find_spec", lambda name: None)

    def test_a_wheel_is_unpacked_and_importable_in_the_steps(self, gpu_check, tmp_path):
        with zipfile.ZipFile(tmp_path / "chainer-7.8.1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("chainer/__init__.py", "where = __file__")
        environment = gpu_check.environment_with_chainer(tmp_path, tmp_path / "site")
        paths = environment["PYTHONPATH"].split(":")
        assert paths[:2] == [str(gpu_check.ROOT), str(tmp_path / "site")]
        assert (tmp_path / "site" / "chainer" / "__init__.py").exists()

    def test_without_a_wheel_it_says_how_to_make_one(self, gpu_check, tmp_path):
        with pytest.raises(gpu_check.CannotRun, match="make chainer-wheel"):
            gpu_check.environment_with_chainer(tmp_path, tmp_path / "site")


def run_with_steps(gpu_check, monkeypatch, report, *steps):
    monkeypatch.setattr(gpu_check, "check_machine", lambda: None)
    monkeypatch.setattr(gpu_check, "environment_with_chainer", lambda wheels, folder: None)
    monkeypatch.setattr(gpu_check, "steps", lambda report: steps)
    status = gpu_check.main(["--report", str(report)])
    return status, json.loads((report / "report.json").read_text()), (report / "report.md").read_text()


def test_the_report_has_every_step_with_its_outcome_and_results(gpu_check, monkeypatch, tmp_path):
    rows = tmp_path / "rows.json"
    rows.write_text("[1, 2]")
    status, report, text = run_with_steps(
        gpu_check,
        monkeypatch,
        tmp_path / "report",
        ("good", gpu_check.python("-c", "print('all is well')"), None),
        ("measured", gpu_check.python("-c", ""), rows),
        ("absent", ["no-such-sanitizer"], None),
    )
    assert status == 0
    assert [step["outcome"] for step in report["steps"]] == ["passed", "passed", "not run"]
    assert report["steps"][1]["results"] == [1, 2]
    assert "all is well" in text and "no-such-sanitizer is not installed" in text


def test_one_failed_step_fails_the_check_and_the_others_still_run(gpu_check, monkeypatch, tmp_path):
    bad = gpu_check.python("-c", "import sys; sys.exit('broken')")
    good = gpu_check.python("-c", "")
    status, report, text = run_with_steps(
        gpu_check, monkeypatch, tmp_path / "report", ("bad", bad, None), ("good", good, None)
    )
    assert status == 1 and "broken" in text
    assert [step["outcome"] for step in report["steps"]] == ["failed", "passed"]


def test_the_steps_are_commands_that_exist(gpu_check, tmp_path):
    names = [name for name, command, results in gpu_check.steps(tmp_path)]
    assert names[0] == "doctor" and names[-1] == "kernel benchmark"
    for module in ("gpu_kernels", "gpu_check"):
        command = [sys.executable, "-m", f"benchmarks.{module}", "--help"]
        assert subprocess.run(command, capture_output=True, cwd=ROOT, check=False).returncode == 0
