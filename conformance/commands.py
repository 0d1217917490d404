"""What the command line does: choose backends, cases and pictures, run, show, write the reports."""

import importlib
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
from conformance.report import ReportError, report_directory, summarize, to_html, to_json, to_junit
from conformance.runner import (
    DECLINED,
    FAILED,
    PASSED,
    ExpectedFailures,
    plant,
    run_case,
)
from conformance.sizes import is_in_self_test, picture_subjects
from conformance.terminal import progress, show

_NEEDED = {"rich": "rich", "jinja2": "jinja2", "matplotlib": "matplotlib", "PIL": "pillow"}  # module: package


class BadUse(Exception):
    """The command cannot be carried out as given; the message is for the user."""


def list_cases(options):
    """Print the ids of the matching cases."""
    _import(options.modules)
    for case in _select(options.cases, all_cases()):
        print(case.id)
    return 0


def run(options):
    """Run the matching cases, or the planted faults; write the reports; return the exit status."""
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise BadUse(f"{', '.join(missing)} not installed: pip install 'groupy-gconv[conformance]'.")
    _import(options.modules)
    try:
        with report_directory(options.report) as write:
            start = time.perf_counter()
            report = _self_test(options) if options.self_test else _run(options)
            report["seconds"] = round(time.perf_counter() - start, 2)
            write({"report.json": to_json(report), "report.html": to_html(report), "junit.xml": to_junit(report)})
    except (ReportError, UnknownBackend, PictureError) as problem:
        raise BadUse(str(problem)) from None
    show(report, os.path.join(options.report, "report.html"))
    return 0 if report["passed"] else 1


def _run(options):
    backends, described = _choose_backends(options.backends)
    pictures = _choose_pictures(options.image)
    every_case = all_cases(pictures)
    cases = _select(options.cases, every_case)
    subjects = {case.subject for case in cases}
    shown = [picture for picture in pictures if picture_subjects([picture])[0].name in subjects]
    results, stale = [], []
    with progress(len(cases) * len(backends) + len(shown)) as advance:
        for backend in backends:
            expected_failures = ExpectedFailures.of(backend.name)
            if len(cases) == len(every_case):
                stale += expected_failures.stale([case.id for case in cases])
            for case in cases:
                advance(backend.name)
                results.append(run_case(case, backend, expected_failures))
        described_pictures = [_describe_picture(picture, backends, results, advance) for picture in shown]
    report = summarize(_header(), described, results, len(every_case), described_pictures, stale)
    report["identical_across_backends"] = _identical_across_backends(results, len(backends))
    return report


def _self_test(options):
    cases = _select(options.cases, [case for case in all_cases() if is_in_self_test(case)])
    backend = load_backend("numpy")
    with progress(len(cases) + len(FAULTS)) as advance:
        results = []
        for case in cases:  # without a fault, all of them pass
            advance("without a fault")
            results.append(run_case(case, backend))
        for fault in FAULTS:
            advance(f"fault: {fault.name}")
            results.append(plant(fault, cases))
    return summarize(_header(), [_describe(backend)], results, len(results))


def _import(modules):
    """Import modules of the user's, which may lie in the current directory. Raises BadUse."""
    if modules and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module of the user's raises, it cannot be imported
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise BadUse(f"--import {name}: the module cannot be imported ({reason}).") from error


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
    own_names = [backend.name for backend in backends]
    twice = sorted({name for name in own_names if own_names.count(name) > 1})
    if twice:
        raise BadUse(f"--backends: two of them are named {twice[0]!r}; give one another `name`, which reports go by.")
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
    }
