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
        with zipfile.ZipFile(tmp_path / "nvidia_cudnn_frontend-1.14.1-cp312.whl", "w") as wheel:
            wheel.writestr("cudnn/__init__.py", "where = __file__")
        environment = gpu_check.environment_with_wheels(tmp_path, tmp_path / "site")
        paths = environment["PYTHONPATH"].split(":")
        assert paths[:2] == [str(gpu_check.ROOT), str(tmp_path / "site")]
        assert all((tmp_path / "site" / name / "__init__.py").exists() for name in ("chainer", "cudnn"))

    def test_without_a_wheel_it_says_how_to_make_one(self, gpu_check, tmp_path):
        with pytest.raises(gpu_check.CannotRun, match="make chainer-wheel"):
            gpu_check.environment_with_wheels(tmp_path, tmp_path / "site")


def outcomes(report):
    return {step["name"]: step["outcome"] for step in report["steps"]}


def run_with_steps(gpu_check, monkeypatch, report, *steps, options=()):
    monkeypatch.setattr(gpu_check, "check_machine", lambda: None)
    monkeypatch.setattr(gpu_check, "describe_machine", lambda: "a machine")
    monkeypatch.setattr(gpu_check, "environment_with_wheels", lambda wheels, folder: None)
    monkeypatch.setattr(gpu_check, "steps", lambda report: steps)
    status = gpu_check.main(["--report", str(report), *options])
    return status, json.loads((report / "report.json").read_text()), (report / "report.md").read_text()


def test_the_report_has_every_step_with_its_outcome_and_results(gpu_check, monkeypatch, tmp_path):
    rows = tmp_path / "rows.json"
    rows.write_text("[1, 2]")
    status, report, text = run_with_steps(
        gpu_check,
        monkeypatch,
        tmp_path / "report",
        gpu_check.Step("measured", gpu_check.python("-c", ""), alone=True, results=rows),
        gpu_check.Step("good", gpu_check.python("-c", "print('all is well')")),
        gpu_check.Step("absent", ["no-such-sanitizer"]),
    )
    assert status == 0
    assert outcomes(report) == {"good": "passed", "absent": "not run", "measured": "passed"}
    assert report["steps"][-1]["results"] == [1, 2]  # it ran last, alone
    assert "all is well" in text and "no-such-sanitizer is not installed" in text


def test_one_failed_step_fails_the_check_and_the_others_still_run(gpu_check, monkeypatch, tmp_path):
    bad = gpu_check.Step("bad", gpu_check.python("-c", "import sys; sys.exit('broken')"))
    good = gpu_check.Step("good", gpu_check.python("-c", ""))
    status, report, text = run_with_steps(gpu_check, monkeypatch, tmp_path / "report", bad, good)
    assert status == 1 and "broken" in text
    assert outcomes(report) == {"bad": "failed", "good": "passed"}


def test_a_step_past_its_limit_has_failed_and_leaves_what_it_printed(gpu_check, monkeypatch, tmp_path):
    endless = "import time; print('so far', flush=True); time.sleep(60)"
    step = gpu_check.Step("endless", gpu_check.python("-c", endless), limit=2)
    status, report, text = run_with_steps(gpu_check, monkeypatch, tmp_path / "report", step)
    assert status == 1 and "so far" in text and "stopped after 2 s" in text


def test_a_report_names_no_folder_of_the_machine(gpu_check, monkeypatch, tmp_path):
    step = gpu_check.Step("where", gpu_check.python("-c", f"print({str(ROOT / 'build' / 'file')!r})"))
    _, report, text = run_with_steps(gpu_check, monkeypatch, tmp_path / "report", step)
    assert "build/file" in text and str(ROOT) not in text and str(ROOT) not in json.dumps(report)


def test_of_a_long_output_both_ends_are_kept(gpu_check):
    text = gpu_check.shortened([str(n) for n in range(1000)], most=2)
    assert text.splitlines() == ["0", "1", "... 996 lines left out ...", "998", "999"]


def test_a_word_chooses_steps_and_one_that_none_has_is_refused(gpu_check, monkeypatch, tmp_path, capsys):
    named = [gpu_check.Step(name, gpu_check.python("-c", "")) for name in ("kernel test", "layer test")]
    report = run_with_steps(gpu_check, monkeypatch, tmp_path / "report", *named, options=("--only", "kernel"))[1]
    assert outcomes(report) == {"kernel test": "passed"}
    with pytest.raises(SystemExit):
        run_with_steps(gpu_check, monkeypatch, tmp_path / "report", *named, options=("--only", "colonel"))
    assert "kernel test, layer test" in capsys.readouterr().err


def test_the_steps_are_commands_that_exist(gpu_check, tmp_path):
    alone = [step.name for step in gpu_check.steps(tmp_path) if step.alone]
    assert alone == ["compute-sanitizer memcheck", "compute-sanitizer racecheck", "layer benchmark", "kernel benchmark"]
    for module in ("gpu_kernels", "gpu_check"):
        command = [sys.executable, "-m", f"benchmarks.{module}", "--help"]
        assert subprocess.run(command, capture_output=True, cwd=ROOT, check=False).returncode == 0
