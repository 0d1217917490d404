"""Reports of a run: JSON first; the HTML page, JUnit XML and terminal table are made from the same dict."""

import json
import os
import shutil
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from conformance.runner import DECLINED, EXPECTED_FAILURE, FAILED, OUTCOMES, PASSED, UNEXPECTED_PASS


class ReportError(OSError):
    """The report directory cannot be written; the message is for the user."""


def summarize(header, backends, results, known, pictures=(), stale=()):
    """The whole report as a dict of plain values.

    header: versions and the command; backends: dicts with name, versions and unavailable_because
    results: Results of the available ones; known: how many cases there are in all
    """
    counts = {backend["name"]: dict.fromkeys(OUTCOMES, 0) for backend in backends}
    for result in results:
        counts[result.backend][result.outcome] += 1
    return {
        **header,
        "passed": not stale and all(result.outcome not in (FAILED, UNEXPECTED_PASS) for result in results),
        "backends": [
            {**backend, "known": known, "run": sum(counts[backend["name"]].values()), "counts": counts[backend["name"]]}
            for backend in backends
        ],
        "stale_expected_failures": list(stale),
        "pictures": list(pictures),
        "results": [{"id": result.id, **asdict(result)} for result in results],
    }


def by_property(report):
    """Rows of the summary: (property family, {backend name: Counter of outcomes}), in order of appearance."""
    return _count(report, lambda result: result["property_name"].split(".")[0])


def by_subject(report):
    """The same for the layers, networks and operations, whatever the sizes that they are tried at."""
    return _count(report, lambda result: result["subject"].split("/")[0])


def _count(report, kind):
    rows = {}
    for result in report["results"]:
        row = rows.setdefault(kind(result), {backend["name"]: Counter() for backend in report["backends"]})
        row[result["backend"]][result["outcome"]] += 1
    return list(rows.items())


def _set_aside(report):
    """Expected failures and declined checks that give the same reason: (backend, outcome, message, ids)."""
    groups = {}
    for result in report["results"]:
        if result["outcome"] in (EXPECTED_FAILURE, DECLINED):
            key = result["backend"], result["outcome"], result["message"]
            groups.setdefault(key, []).append(result["id"])
    return [(*key, ids) for key, ids in groups.items()]


def to_json(report):
    """The report as JSON, without the pictures' pixels."""
    pictures = [{key: value for key, value in picture.items() if key != "png"} for picture in report["pictures"]]
    return json.dumps({**report, "pictures": pictures}, indent=1, ensure_ascii=False) + "\n"


def to_junit(report):
    """The report as JUnit XML: a test suite for each backend."""
    root = ElementTree.Element("testsuites", name="conformance")
    for backend in report["backends"]:
        name, counts = backend["name"], backend["counts"]
        reason = backend["unavailable_because"]
        failures = counts[FAILED] + counts[UNEXPECTED_PASS]
        skipped = counts[DECLINED] + counts[EXPECTED_FAILURE] + (reason is not None)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=name,
            tests=str(backend["run"] + (reason is not None)),
            failures=str(failures),
            errors="0",
            skipped=str(skipped),
        )
        if reason is not None:
            case = ElementTree.SubElement(suite, "testcase", classname=name, name="available")
            ElementTree.SubElement(case, "skipped", message=reason)
        for result in report["results"]:
            if result["backend"] == name:
                _add_junit_case(suite, result)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_junit_case(suite, result):
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"{result['backend']}.{result['property_name']}",
        name=result["subject"],
        time=f"{result['seconds']:.4f}",
    )
    if result["outcome"] in (FAILED, UNEXPECTED_PASS):
        message = _printable(result["message"])
        ElementTree.SubElement(case, "failure", message=message.splitlines()[0]).text = message
    elif result["outcome"] != PASSED:
        ElementTree.SubElement(case, "skipped", message=f"{result['outcome']}: {_printable(result['message'])}")


def _printable(text):
    """XML has no place for control characters, which a message may quote."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def to_html(report):
    """The report as one self-contained page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("conformance"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    failures = [r for r in report["results"] if r["outcome"] in (FAILED, UNEXPECTED_PASS)]
    return environment.get_template("report.html").render(
        report=report,
        properties=by_property(report),
        subjects=by_subject(report),
        failures=failures,
        set_aside=_set_aside(report),
        faults=[r for r in report["results"] if r["property_name"] == "planted-fault"],
    )


@contextmanager
def report_directory(path):
    """Yield a function write({name: text}) that puts all files into the directory `path`, whole or not at all.

    Whether the directory can be written is found out on entry, before any work is done. Raises
    ReportError if it cannot.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_dir():
            raise ReportError(f"--report {path}: this is a file; name a directory.")
        home = path if path.is_dir() else path.parent
        home.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".conformance-", dir=home))
    except ReportError:
        raise
    except OSError as error:
        raise ReportError(f"--report {path}: the directory cannot be written ({error.strerror}).") from None

    def write(files):
        try:
            for name, text in files.items():
                (staging / name).write_text(text, encoding="utf-8")
            path.mkdir(exist_ok=True)
            for name in files:
                os.replace(staging / name, path / name)
        except OSError as error:
            raise ReportError(f"--report {path}: the report cannot be written ({error.strerror}).") from None

    try:
        yield write
    finally:
        shutil.rmtree(staging)
