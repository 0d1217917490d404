"""What the command line does: choose backends, cases and pictures, run, show, write the reports."""

import os
import platform
import shlex
import sys
import time
from datetime import datetime, timezone
from importlib.util import find_spec

import groupy
from conformance.backends import KNOWN, UnknownBackend, load_backend
from conformance.cases import all_cases, matching
from conformance.faults import FAULTS
from conformance.pictures import PictureError, default_pictures, read_picture
from conformance.report import ReportError, by_property, report_directory, summarize, to_html, to_json, to_junit
from conformance.runner import (
    DECLINED,
    EXPECTED_FAILURE,
    FAILED,
    PASSED,
    UNEXPECTED_PASS,
    ExpectedFailures,
    plant,
    run_case,
)
from conformance.sizes import is_in_self_test, picture_subjects

_NEEDED = {"rich": "rich", "jinja2": "jinja2", "matplotlib": "matplotlib", "PIL": "pillow"}  # module: package
_SHOWN_FAILURES = 10  # in the terminal; the reports have them all


class BadUse(Exception):
    """The command cannot be carried out as given; the message is for the user."""


def list_cases(options):
    """Print the ids of the matching cases."""
    for case in _select(options.cases, all_cases()):
        print(case.id)
    return 0


def run(options):
    """Run the matching cases, or the planted faults; write the reports; return the exit status."""
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise BadUse(f"{', '.join(missing)} not installed: pip install 'groupy-gconv[conformance]'.")
    try:
        with report_directory(options.report) as write:
            start = time.perf_counter()
            report = _self_test(options) if options.self_test else _run(options)
            report["seconds"] = round(time.perf_counter() - start, 2)
            write({"report.json": to_json(report), "report.html": to_html(report), "junit.xml": to_junit(report)})
    except (ReportError, UnknownBackend, PictureError) as problem:
        raise BadUse(str(problem)) from None
    _show(report, os.path.join(options.report, "report.html"))
    return 0 if report["passed"] else 1


def _run(options):
    backends, described = _choose_backends(options.backends)
    pictures = _choose_pictures(options.image)
    every_case = all_cases(pictures)
    cases = _select(options.cases, every_case)
    results, stale = [], []
    with _progress(len(cases) * len(backends)) as advance:
        for backend in backends:
            expected_failures = ExpectedFailures.of(backend.name)
            if len(cases) == len(every_case):
                stale += expected_failures.stale([case.id for case in cases])
            for case in cases:
                advance(backend.name)
                results.append(run_case(case, backend, expected_failures))
        chosen = {case.subject for case in cases}
        shown = [p for p in pictures if picture_subjects([p])[0].name in chosen]
        described_pictures = [_describe_picture(p, backends, results, advance) for p in shown]
    report = summarize(_header(), described, results, len(every_case), described_pictures, stale)
    report["identical_across_backends"] = _identical_across_backends(results, len(backends))
    return report


def _self_test(options):
    cases = _select(options.cases, [case for case in all_cases() if is_in_self_test(case.subject)])
    backend = load_backend("numpy")
    with _progress(len(cases) + len(FAULTS)) as advance:
        results = []
        for case in cases:  # without a fault, all of them pass
            advance("without a fault")
            results.append(run_case(case, backend))
        for fault in FAULTS:
            advance(f"fault: {fault.name}")
            results.append(plant(fault, cases))
    return summarize(_header(), [_describe(backend)], results, len(results))


def _select(pattern, cases):
    chosen = matching(cases, pattern)
    if not chosen:
        raise BadUse(f"--cases {pattern}: no case matches; `python -m conformance list` shows them all.")
    return chosen


def _choose_backends(names):
    """The backends to run, and a description of each known or asked for, missing ones included."""
    if names is None:
        backends = [load_backend(name) for name in KNOWN]
        return [b for b in backends if b.unavailable_because() is None], [_describe(b) for b in backends]
    backends = [load_backend(name) for name in dict.fromkeys(name.strip() for name in names.split(","))]
    for backend in backends:
        reason = backend.unavailable_because()
        if reason is not None:
            raise BadUse(f"--backends {backend.name}: {reason}")
    return backends, [_describe(backend) for backend in backends]


def _describe(backend):
    reason = backend.unavailable_because()
    versions = {} if reason is not None else backend.versions()
    return {"name": backend.name, "unavailable_because": reason, "versions": versions}


def _choose_pictures(files):
    pictures = default_pictures() if files is None else [read_picture(file) for file in dict.fromkeys(files)]
    names = [picture.name for picture in pictures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadUse(f"--image: two pictures are named {twice[0]}; rename one, since reports go by the name.")
    return pictures


def _describe_picture(picture, backends, results, advance):
    from conformance.figures import picture_figure

    advance(f"drawing {picture.name}")
    own = [result for result in results if result.subject.startswith(f"picture/{picture.name}/")]
    outputs = [result for result in own if result.property_name == "outputs.integer"]
    checks = {}
    for backend in backends:
        of_backend = [result for result in own if result.backend == backend.name]
        passed = sum(result.outcome == PASSED for result in of_backend)
        checks[backend.name] = f"{passed} of {len(of_backend)} checks passed"
    # A backend whose outputs cannot be computed has no maps to show; its failure is in the results.
    working = [b for b in backends if not any(r.backend == b.name and r.outcome == FAILED for r in outputs)]
    side_by_side = [backend for backend in working if backend.name != "numpy"] or working
    return {
        "name": picture.name,
        "source": picture.source,
        "shape": picture.pixels.shape,
        "checks": checks,
        "identical": _all_identical(outputs) if len(backends) > 1 else None,
        "png": picture_figure(picture, side_by_side) if side_by_side else "",
    }


def _all_identical(results):
    """Whether all backends gave the same bits, for each case; a failed comparison has no fingerprint."""
    fingerprints = {}
    for result in results:
        fingerprints.setdefault(result.id, set()).add((result.evidence or {}).get("sha256"))
    return all(len(found) == 1 and None not in found for found in fingerprints.values())


def _identical_across_backends(results, n_backends):
    """On how many integer cases the outputs and gradients of all backends have the same bits."""
    by_case = {}
    for result in results:
        if result.property_name.endswith(".integer"):
            by_case.setdefault(result.id, []).append(result)
    complete = [own for own in by_case.values() if len(own) == n_backends > 1]
    compared = [own for own in complete if not any(result.outcome == DECLINED for result in own)]
    return {"compared": len(compared), "identical": sum(_all_identical(own) for own in compared)}


def _header():
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    return {
        "conformance": groupy.__version__,
        "command": shlex.join(["python", "-m", "conformance", *sys.argv[1:]]),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{system}, Python {platform.python_version()}",
        "device": "cpu",
    }


class _progress:
    """A progress bar on a terminal, nothing elsewhere."""

    def __init__(self, total):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description:24}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self):
        self._bar.__enter__()
        return self._advance

    def _advance(self, description):
        self._bar.update(self._task, description=description, advance=1)

    def __exit__(self, *exception):
        self._bar.__exit__(*exception)


def _show(report, html):
    """The report as a table in the terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(title="Conformance: passed / run")
    table.add_column("property")
    backends = report["backends"]
    for backend in backends:
        table.add_column(escape(backend["name"]), justify="right")
    for family, counts in by_property(report):
        table.add_row(family, *(_cell(counts[backend["name"]]) for backend in backends))
    table.add_section()
    table.add_row("all", *(_cell(backend["counts"]) if backend["run"] else "not run" for backend in backends))
    console.print(table)
    if any(result["property_name"] == "planted-fault" for result in report["results"]):
        _show_faults(console, report)
    for backend in backends:
        if backend["unavailable_because"]:
            console.print(escape(f"{backend['name']}: {backend['unavailable_because']}"), highlight=False)
    failed = [result for result in report["results"] if result["outcome"] in (FAILED, UNEXPECTED_PASS)]
    for result in failed[:_SHOWN_FAILURES]:
        name = escape(f"{result['backend']} {result['id']}")
        console.print(f"[red]{result['outcome']}[/red] {name}", highlight=False, soft_wrap=True)
        console.print(f"  {escape(result['message'].splitlines()[0])}", highlight=False)  # tracebacks are in the report
    if len(failed) > _SHOWN_FAILURES:
        console.print(f"... and {len(failed) - _SHOWN_FAILURES} more, in the report")
    for pattern in report["stale_expected_failures"]:
        console.print(f"[red]stale expected failure[/red] {escape(pattern)}: matches no case", highlight=False)
    identical = report.get("identical_across_backends", {"compared": 0})
    if identical["compared"]:
        console.print(
            f"{identical['identical']} of {identical['compared']} outputs and gradients on integers are identical in "
            f"every bit across {escape(', '.join(backend['name'] for backend in backends if backend['run']))}",
            highlight=False,
        )
    verdict = "[green]all checks passed[/green]" if report["passed"] else "[red]NOT all checks passed[/red]"
    console.print(f"{verdict} in {report['seconds']:.1f} s; report: {escape(html)}", highlight=False)


def _cell(counts):
    run, bad = sum(counts.values()), counts[FAILED] + counts[UNEXPECTED_PASS]
    if not run:
        return "-"
    aside = "".join(f" ({counts[o]} {o})" for o in (EXPECTED_FAILURE, DECLINED) if counts[o])
    return f"{counts[PASSED]} / {run}{aside}" + (f" [red]({bad} failed)[/red]" if bad else "")


def _show_faults(console, report):
    from rich.markup import escape

    for result in report["results"]:
        if result["property_name"] == "planted-fault":
            caught_by = result["evidence"]["caught_by"]
            verdict = "[green]caught[/green]    " if caught_by else "[red]NOT CAUGHT[/red]"
            console.print(f"{verdict} {result['subject']}: {escape(result['evidence']['fault'])}", highlight=False)
            if caught_by:
                first = next(iter(caught_by.values())).split(": ")[0]
                others = f" and {len(caught_by) - 1} more properties" if len(caught_by) > 1 else ""
                console.print(f"           by {escape(first)}{others}", highlight=False, soft_wrap=True)
