"""The command line: exit statuses, one sentence for bad use, reports whole or not at all."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from conformance import __main__ as command_line
from conformance import commands
from conformance.backends import KNOWN, Declined
from conformance.backends.numpy_backend import NumpyBackend
from conformance.network import Conv
from conformance.report import report_directory

pytest.importorskip("rich", reason="the conformance extra is not installed")
pytest.importorskip("jinja2", reason="the conformance extra is not installed")

QUICK = "outputs.*/P4ConvZ2/k3-s1-p1-i3-o4-n2-8x8-float32"


class AbsentBackend(NumpyBackend):
    """A framework that is not there."""

    name = "absent"

    def unavailable_because(self):
        return "Absent is not installed: pip install absent."


class WrongBackend(NumpyBackend):
    """Outputs that are off by one."""

    name = "wrong"

    def forward(self, model, x, training=False):
        return super().forward(model, x, training) + 1


class PlanarBackend(NumpyBackend):
    """A port that has no layers in three dimensions."""

    name = "planar"

    def build(self, network, parameters, dtype):
        if any(operation.spec.ndim == 3 for operation in network if isinstance(operation, Conv)):
            raise Declined("volumes are not implemented")
        return super().build(network, parameters, dtype)


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the command line in an empty folder: exit status, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*arguments):
        try:
            status = command_line.main(list(arguments))
        except SystemExit as exit:  # argparse
            status = exit.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_a_run_that_passes_writes_three_reports(run, tmp_path):
    status, out, _ = run("run", "--backends", "numpy", "--cases", QUICK)
    assert status == 0 and "all checks passed" in out
    folder = tmp_path / "conformance-report"
    assert sorted(os.listdir(folder)) == ["junit.xml", "report.html", "report.json"]
    report = json.loads((folder / "report.json").read_text())
    assert report["passed"] and report["backends"][0]["counts"]["passed"] == len(report["results"]) == 2
    suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "0", "0")
    html = (folder / "report.html").read_text()
    assert "All checks passed" in html and "<script" not in html and "http" not in html.replace("<!doctype html>", "")


def test_a_failed_check_is_exit_1_and_stands_in_every_report(run, tmp_path):
    status, out, _ = run("run", "--backends", f"{__name__}:WrongBackend", "--cases", QUICK, "--report", "r")
    assert status == 1 and "failed" in out and "elements differ" in out
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert not report["passed"] and report["backends"][0]["counts"]["failed"] == 2
    suite = ElementTree.parse(tmp_path / "r" / "junit.xml").getroot().find("testsuite")
    assert suite.get("failures") == "2" and len(suite.findall("testcase/failure")) == 2
    assert "elements differ" in (tmp_path / "r" / "report.html").read_text()


def test_a_backend_that_is_not_installed_is_said_so_in_words_everywhere(run, tmp_path, monkeypatch):
    monkeypatch.setitem(KNOWN, "absent", f"{__name__}:AbsentBackend")
    monkeypatch.setattr(commands, "KNOWN", ["numpy", "absent"])
    status, out, _ = run("run", "--cases", QUICK, "--report", "r")
    assert status == 0
    reason = "Absent is not installed: pip install absent."
    for text in (out, *((tmp_path / "r" / name).read_text() for name in ("report.json", "report.html", "junit.xml"))):
        assert reason in text.replace("\n", " ")


def test_outputs_of_several_backends_are_compared_with_each_other(run, tmp_path):
    status, out, _ = run("run", "--backends", f"numpy,{__name__}:WrongBackend", "--cases", QUICK, "--report", "r")
    assert status == 1 and "0 of 1 outputs and gradients on integers are identical" in out.replace("\n", " ")
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert report["identical_across_backends"] == {"compared": 1, "identical": 0}


def test_a_picture_of_the_users_is_run_and_drawn(run, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    pixels = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    image.fromarray(pixels).save(tmp_path / "noise.png")
    status, _, _ = run("run", "--backends", "numpy", "--cases", "*picture/*", "--image", "noise.png", "--report", "r")
    assert status == 0
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert report["pictures"][0]["checks"] == {"numpy": "16 of 16 checks passed"}
    assert "data:image/png;base64,iVBOR" in (tmp_path / "r" / "report.html").read_text()


def test_a_symmetric_picture_is_no_failure(run, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    image.new("RGB", (1, 1), "red").save(tmp_path / "dot.png")
    status, _, _ = run("run", "--backends", "numpy", "--cases", "*picture/*", "--image", "dot.png", "--report", "r")
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    assert status == 0 and report["backends"][0]["counts"]["declined"] == 2


GROUP_OF_THIRD_TURNS = """
from groupy.garray.split_garray import PointGArray, PointGroup
from groupy.garray.stabilizer import Stabilizer
from groupy.gconv.layer_specs import add_group


class C3Array(PointGArray):
    stabilizer = Stabilizer.generated("C3", r=(((0, 1), (-1, -1)), 3))


class C3Group(PointGroup, C3Array):
    pass


add_group("p3", C3Group())
"""


def test_a_group_of_the_users_gets_its_cases_on_every_backend(tmp_path):
    """In a process of its own: the group stays known from then on."""
    (tmp_path / "mygroups.py").write_text(GROUP_OF_THIRD_TURNS)
    command = [sys.executable, "-m", "conformance", "run", "--import", "mygroups", "--cases", "*P3ConvP3*float32"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((tmp_path / "conformance-report" / "report.json").read_text())
    ids = {result["id"] for result in report["results"]}
    assert {
        "filters/P3ConvP3/k3-s1-p1-i3-o4-n2-7x7-float32",  # on the hexagonal grid, since its matrices are
        "equivariance.r2/P3ConvP3/k3-s1-p1-i3-o4-n2-7x7-float32",
        "gradient.x.integer/P3ConvZ2-P3ConvP3-network/float32",
        "outputs.integer/P6ConvP6-restricted-to-P3ConvP3/float32",
    } <= ids
    assert all(b["counts"]["passed"] == len(ids) for b in report["backends"] if b["unavailable_because"] is None)


def test_modules_are_imported_for_the_list_too_and_more_than_one(run, tmp_path):
    for name in ("first_of_mine", "second_of_mine"):
        (tmp_path / f"{name}.py").write_text(f"print('{name} is here')")
    status, out, _ = run("list", "--import", "first_of_mine", "--import", "second_of_mine", "--cases", QUICK)
    assert status == 0 and out.splitlines()[:2] == ["first_of_mine is here", "second_of_mine is here"]


def test_a_module_that_raises_is_exit_2_and_one_sentence(run, tmp_path):
    (tmp_path / "broken_groups.py").write_text("raise ValueError('there is a group\\n of that name')")
    status, _, err = run("run", "--import", "broken_groups", "--cases", QUICK)
    assert status == 2 and len(err.splitlines()) == 1
    assert "--import broken_groups: the module cannot be imported (ValueError: there is a group of that name)" in err


def test_what_a_port_declines_stands_in_the_report_once_for_each_reason(run, tmp_path):
    port = f"{__name__}:PlanarBackend"
    status, out, _ = run("run", "--backends", port, "--cases", "filters/*Conv*/k3-s1-p1*float32", "--report", "r")
    report = json.loads((tmp_path / "r" / "report.json").read_text())
    counts = report["backends"][0]["counts"]
    assert status == 0 and counts["failed"] == 0 and counts["passed"] > 0 and counts["declined"] > 8
    html = (tmp_path / "r" / "report.html").read_text()
    assert html.count("volumes are not implemented") == 1 and f"{counts['declined']} × declined" in html


def test_list_prints_matching_ids(run):
    status, out, _ = run("list", "--cases", QUICK)
    assert status == 0 and len(out.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--backends", "jax"], "unknown backend 'jax'"),
        (["--backends", f"{__name__}:AbsentBackend"], "--backends absent: Absent is not installed"),
        (["--backends", "numpy,conformance.backends.numpy_backend:NumpyBackend"], "two of them are named 'numpy'"),
        (["--cases", "nothing"], "--cases nothing: no case matches"),
        (["--import", "no_such_module"], "--import no_such_module: the module cannot be imported (ModuleNotFoundError"),
        (["--image", "missing.png"], "--image missing.png: there is no such file"),
        (["--image", __file__], "not a picture that Pillow can read"),
        (["--report", __file__], "this is a file; name a directory"),
        (["--report", f"{__file__}/inside"], "the directory cannot be written"),
        (["--report", "/proc/nowhere/report"], "the directory cannot be written"),
    ],
)
def test_bad_use_is_exit_2_and_one_sentence(run, tmp_path, arguments, message):
    status, out, err = run("run", *arguments)
    assert status == 2 and out == ""
    assert message in err and len(err.splitlines()) == 1 and "Traceback" not in err
    assert os.listdir(tmp_path) == []  # nothing is left behind


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "--no-such-option"], ["run", "--image"]])
def test_a_mistyped_command_is_exit_2(run, arguments):
    status, _, err = run(*arguments)
    assert status == 2 and "usage:" in err


def test_help_has_examples_and_the_exit_statuses(run):
    status, out, _ = run("run", "--help")
    assert status == 0 and "examples:" in out and "exit status: 0 all passed, 1 a check failed, 2 bad use" in out


def test_a_missing_extra_is_named(run, monkeypatch):
    monkeypatch.setitem(commands._NEEDED, "no_such_module", "no-such-package")
    status, _, err = run("run")
    assert status == 2 and "no-such-package not installed: pip install 'groupy-gconv[conformance]'" in err


def test_an_interrupted_run_writes_nothing(run, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "run_case", interrupt)
    status, _, err = run("run", "--backends", "numpy", "--cases", QUICK)
    assert status == 130 and "no report was written" in err
    assert os.listdir(tmp_path) == []


def test_an_older_report_stays_whole_if_a_new_one_fails(tmp_path):
    (tmp_path / "report.json").write_text("old")
    with pytest.raises(RuntimeError), report_directory(tmp_path):
        raise RuntimeError
    assert (tmp_path / "report.json").read_text() == "old" and os.listdir(tmp_path) == ["report.json"]


def test_other_files_in_the_report_directory_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with report_directory(tmp_path) as write:
        write({"report.json": "new"})
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", "report.json"]


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "conformance", "list", "--cases", QUICK]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(result.stdout.splitlines()) == 2
