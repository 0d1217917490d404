"""What a run of the benchmarks takes, and what it reports.

python -m pytest benchmarks [--quick | --suite NAME] [--results FILE]
"""

from pathlib import Path

import pytest

from benchmarks.comparison import Comparison
from benchmarks.contenders import SUBJECT, load_contenders
from benchmarks.machine import describe_machine
from benchmarks.report import header_lines, table_lines, verdict_lines, write_results
from benchmarks.sizes import SUITES

_COMPARISON, _MACHINE = pytest.StashKey[Comparison](), pytest.StashKey[dict]()


def pytest_addoption(parser):
    group = parser.getgroup("layers")
    group.addoption("--suite", choices=SUITES, default="full", help="what is measured, see benchmarks/sizes.py")
    group.addoption("--quick", dest="suite", action="store_const", const="quick", help="the same as --suite quick")
    group.addoption("--results", type=Path, default=Path("build/bench/results.json"), help="default: %(default)s")


def pytest_configure(config):
    config.stash[_COMPARISON] = Comparison(SUITES[config.getoption("suite")], *load_contenders())
    config.stash[_MACHINE] = describe_machine()


def pytest_report_header(config):
    left_out = config.stash[_COMPARISON].left_out
    reasons = [f"left out: {what}, since: {why}" for what, why in left_out.items()]
    return header_lines(config.stash[_MACHINE]) + reasons


def pytest_generate_tests(metafunc):
    if "shape" in metafunc.fixturenames:
        metafunc.parametrize("shape", metafunc.config.stash[_COMPARISON].suite.shapes, ids=str)


@pytest.fixture
def comparison(pytestconfig, benchmark):
    comparison = pytestconfig.stash[_COMPARISON]
    if benchmark.disabled:
        pytest.skip("pytest-benchmark is disabled, so no time is taken")
    if SUBJECT not in comparison.contenders:
        pytest.skip(f"{SUBJECT} cannot run here; the header says why")
    return comparison


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    comparison, path = config.stash[_COMPARISON], config.getoption("results")
    if not comparison.measurements:
        return
    for line in [*table_lines(comparison.measurements), "", *verdict_lines(comparison.measurements)]:
        terminalreporter.line(line)
    if exitstatus == pytest.ExitCode.OK:
        write_results(path, config.stash[_MACHINE], comparison)
        terminalreporter.line(f"written to {path}")
    else:
        terminalreporter.line(f"{path} is not written, since the run is not complete")
