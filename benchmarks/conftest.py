"""What a run of the benchmarks takes, and what it leaves.

python -m pytest benchmarks [--quick | --suite NAME] [--device NAME] [--results FOLDER] [--page FILE] [--resume]

A run that measures all of its suite leaves results, charts and a page. One that is asked for a part of it
(-k, a file) leaves the results of that part, under a name of their own. One that does not come to its end
leaves what it has, for --resume.
"""

import math
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import pytest

from benchmarks.comparison import Comparison, NobodyTakesPart
from benchmarks.contenders import load_contenders, usable_devices
from benchmarks.limits import measure_limits
from benchmarks.machine import describe_machine, lines
from benchmarks.report import report_lines
from benchmarks.results import build_results, differences, load_results, write_results
from benchmarks.sizes import SUITES
from benchmarks.targets import OPERATIONS

_BUILD = Path("build/bench")
_FOLDERS = {"full": Path("benchmarks/results")}  # by suite; else _BUILD, and for a part of any suite
_PAGES = {"full": Path("docs/performance.md")}
_WIDTH = 200  # characters of the report, where no terminal tells


@dataclass
class Run:
    """One run.

    suite: its name; machine: as describe_machine gives it
    path: where the results go, once it is known what is asked for; whole: whether that is all of the suite
    due: how many measurements are to be made
    begin: by time.perf_counter; earlier_...: of the run that this one resumes
    """

    suite: str
    machine: dict
    comparison: Comparison
    path: Optional[Path] = None
    whole: bool = False
    due: int = 0
    begin: float = field(default_factory=time.perf_counter)
    earlier_seconds: float = 0.0
    earlier_measurements: int = 0

    @property
    def unfinished_path(self):
        """Where the results go if the run does not come to its end."""
        return self.path.with_suffix(".partial.json")

    @property
    def made(self):
        """How many measurements it has made."""
        return len(self.comparison.measurements) - self.earlier_measurements

    @property
    def seconds(self):
        """How long it took so far."""
        return time.perf_counter() - self.begin

    def results(self):
        """What it has measured, as benchmarks.results describes it."""
        return build_results(self.suite, self.machine, self.comparison, self.earlier_seconds + self.seconds)

    def resume(self):
        """Begin with what an earlier run has left. Raises ValueError if it measured something else."""
        before = load_results(self.unfinished_path)
        changed = differences(before, self.suite, self.machine)
        if changed:
            raise ValueError(f"{self.unfinished_path} cannot be gone on with: {'; '.join(changed)}.")
        self.comparison.limits, self.comparison.measurements = before["limits"], before["measurements"]
        self.earlier_seconds, self.earlier_measurements = before["seconds"], len(before["measurements"])


_RUN, _MINUTES_TOLD = pytest.StashKey[Run](), pytest.StashKey[int]()


def pytest_addoption(parser):
    group = parser.getgroup("layers")
    group.addoption("--suite", choices=SUITES, default="full", help="what is measured, see benchmarks/sizes.py")
    group.addoption("--quick", dest="suite", action="store_const", const="quick", help="the same as --suite quick")
    group.addoption("--device", choices=["cpu", "cuda"], help="measure on this one alone (default: on all there are)")
    group.addoption(
        "--results",
        type=Path,
        metavar="FOLDER",
        help=f"default: {_FOLDERS['full']} for all of the full suite, else {_BUILD}",
    )
    group.addoption(
        "--page",
        type=Path,
        metavar="FILE",
        help=f"default: {_PAGES['full']} for the full suite, else {_BUILD / 'performance.md'}",
    )
    group.addoption("--resume", action="store_true", help="go on with a run that did not come to its end")


def pytest_configure(config):
    config.addinivalue_line("markers", "measures(operation): measure it, at each point that the suite has for it")
    suite, device, usable = config.getoption("suite"), config.getoption("device"), usable_devices()
    if device and device not in usable:
        raise pytest.UsageError(f"--device {device}: neither PyTorch nor CuPy has one here; there is {usable[0]}.")
    comparison = Comparison(SUITES[suite].on([device] if device else usable), *load_contenders())
    config.stash[_RUN] = Run(suite, describe_machine(), comparison)


def pytest_report_header(config):
    run = config.stash[_RUN]
    reasons = [f"left out: {what}, since: {why}" for what, why in run.comparison.left_out.items()]
    return [*lines(run.machine), *reasons]


def pytest_generate_tests(metafunc):
    operation = _operation(metafunc.definition)
    if operation:
        metafunc.parametrize("point", metafunc.config.stash[_RUN].comparison.suite.points(operation), ids=str)


@pytest.hookimpl(tryfirst=True)  # before the terminal asks for lines on what was collected
def pytest_collection_finish(session):
    run, option = session.config.stash[_RUN], session.config.getoption
    asked = {
        (_operation(item), item.callspec.params["point"])
        for item in session.items
        if _operation(item) and not item.get_closest_marker("skip")  # which it has where the suite has no point for it
    }
    suite = run.comparison.suite
    run.whole = asked == {(operation, point) for operation in OPERATIONS for point in suite.points(operation)}
    folder = option("results") or (_FOLDERS.get(run.suite, _BUILD) if run.whole else _BUILD)
    run.path = folder / f"{run.machine['name']}{'' if run.whole else '-selection'}.json"
    if option("resume") and run.unfinished_path.exists():
        try:
            run.resume()
        except ValueError as error:
            raise pytest.UsageError(f"--resume: {error} Without --resume all is measured anew.") from error
    run.due = sum(not run.comparison.has(*wanted) for wanted in asked)


def pytest_report_collectionfinish(config):
    run = config.stash[_RUN]
    if not config.getoption("resume"):
        return None
    if run.comparison.measurements:
        return f"resuming {run.unfinished_path}, which has {len(run.comparison.measurements)} measurements"
    return f"nothing to resume: there is no {run.unfinished_path}"


def pytest_report_teststatus(report, config):
    """Between the dots, tell how many minutes are left, whenever that has become another number."""
    run = config.stash[_RUN]
    if not (report.when == "call" and report.passed and run.made):
        return None
    minutes = math.ceil((run.due - run.made) * run.seconds / run.made / 60)
    if minutes in (0, config.stash.get(_MINUTES_TOLD, None)):
        return None
    config.stash[_MINUTES_TOLD] = minutes
    return report.outcome, f". (about {minutes} min left) ", report.outcome.upper()


@pytest.fixture
def comparison(pytestconfig):
    return pytestconfig.stash[_RUN].comparison


@pytest.fixture
def time_calls(request, benchmark, comparison, point):
    """A function: time the calls that make_call(contender) gives."""

    def time_calls(make_call, contenders=None):
        if benchmark.disabled:
            pytest.skip("pytest-benchmark is disabled, so no time is taken")
        operation = _operation(request.node)
        with _measuring(comparison, operation, point):
            comparison.time(benchmark, operation, point, make_call, contenders)

    return time_calls


@pytest.fixture
def weigh(request, comparison, point):
    """A function: take the peak memory of all contenders."""

    def weigh():
        with _measuring(comparison, _operation(request.node), point):
            comparison.weigh(point)

    return weigh


@contextmanager
def _measuring(comparison, operation, point):
    """Skips what a run that is resumed has measured and what nobody takes part in; before all else come the limits.

    It is entered by the test, not by a fixture: only so pytest-benchmark notices that the test is skipped.
    """
    if comparison.has(operation, point):
        pytest.skip("measured by the run that is resumed")
    if not comparison.limits:
        for device, dtypes, threads in comparison.suite.settings():
            comparison.limits += measure_limits(dtypes, threads, device, comparison.suite.limit_seconds)
    try:
        yield
    except NobodyTakesPart as nobody:
        pytest.skip(str(nobody))


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    run = config.stash[_RUN]
    if not run.comparison.measurements:
        return
    results = run.results()
    width = shutil.get_terminal_size((_WIDTH, 0)).columns
    for line in report_lines(results, width, terminalreporter.hasmarkup):
        terminalreporter.line(line)
    if exitstatus != pytest.ExitCode.OK:
        write_results(run.unfinished_path, results)
        terminalreporter.line(f"The run is not complete; --resume goes on from {run.unfinished_path}")
        return
    write_results(run.path, results)
    run.unfinished_path.unlink(missing_ok=True)
    terminalreporter.line(f"written to {run.path}")
    if not run.whole:
        terminalreporter.line("That is a part of the suite, so there are no charts and no page.")
        return
    try:
        from benchmarks.page import publish  # needs more packages than measuring does
    except ImportError as error:
        terminalreporter.line(f"There are no charts and no page, since: {error}")
        return
    page = config.getoption("page") or _PAGES.get(run.suite, _BUILD / "performance.md")
    publish(results, run.path.parent, page)
    terminalreporter.line(f"written to {page}, with charts in {run.path.with_suffix('')}")


def _operation(node):
    """What a test measures; None if it has no mark for it."""
    mark = node.get_closest_marker("measures")
    return mark and mark.args[0]
