"""Running cases on backends: five outcomes, and the lists of expected failures."""

import time
import traceback
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import resources
from typing import Optional

from conformance.backends.base import Declined
from conformance.checks import CheckFailed

PASSED = "passed"
FAILED = "failed"
EXPECTED_FAILURE = "expected failure"
UNEXPECTED_PASS = "unexpected pass"
DECLINED = "declined"
OUTCOMES = (PASSED, FAILED, EXPECTED_FAILURE, UNEXPECTED_PASS, DECLINED)


@dataclass(frozen=True)
class Result:
    """What became of one case on one backend."""

    backend: str
    property_name: str
    subject: str
    tolerance: str
    outcome: str
    message: str = ""
    evidence: Optional[dict] = None
    seconds: float = 0.0

    @property
    def id(self):
        """The case's id."""
        return f"{self.property_name}/{self.subject}"


@dataclass
class ExpectedFailures:
    """Known failures of one backend: case ids or shell patterns, each with its reason."""

    reasons: dict = field(default_factory=dict)

    @classmethod
    def of(cls, backend_name):
        """The list kept in this package for a backend; empty if there is none."""
        file = resources.files("conformance") / "expected_failures" / f"{backend_name}.txt"
        return cls.parse(file.read_text(encoding="utf-8")) if file.is_file() else cls()

    @classmethod
    def parse(cls, text):
        """Lines 'case id or pattern  # reason'. Raises ValueError for a line without a reason."""
        reasons = {}
        for number, line in enumerate(text.splitlines(), start=1):
            pattern, _, reason = (part.strip() for part in line.partition("#"))
            if not pattern:
                continue
            if not reason:
                raise ValueError(f"expected failures, line {number}: {pattern!r} has no '# reason'.")
            reasons[pattern] = reason
        return cls(reasons)

    def reason_for(self, case_id):
        """The reason why the case is expected to fail, or None."""
        return next((reason for pattern, reason in self.reasons.items() if fnmatchcase(case_id, pattern)), None)

    def stale(self, case_ids):
        """The patterns that match none of the cases that exist."""
        return [pattern for pattern in self.reasons if not any(fnmatchcase(id, pattern) for id in case_ids)]


def run_case(case, backend, expected_failures=None):
    """Run one case on one backend; whatever it raises becomes part of the Result."""
    start = time.perf_counter()
    outcome, message, evidence = PASSED, "", None
    try:
        evidence = case.check(backend)
    except Declined as declined:
        outcome, message = DECLINED, str(declined)
    except CheckFailed as failure:
        outcome, message = FAILED, str(failure)
    except Exception as error:  # noqa: BLE001 - any error of the code under test is a result of the test
        outcome, message = FAILED, f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    reason = expected_failures.reason_for(case.id) if expected_failures else None
    if reason is not None and outcome == FAILED:
        outcome, message = EXPECTED_FAILURE, f"{reason} ({message})"
    elif reason is not None and outcome == PASSED:
        outcome, message = UNEXPECTED_PASS, f"listed as an expected failure ({reason}), but it passes"
    seconds = time.perf_counter() - start
    return Result(backend.name, case.property_name, case.subject, case.tolerance, outcome, message, evidence, seconds)


def plant(fault, cases):
    """Run cases on a planted fault: a Result that passes if a comparison caught it, with what each property saw."""
    start = time.perf_counter()
    caught = {}  # property -> the first case that failed
    for case in cases:
        if case.property_name not in caught:
            try:
                case.check(fault.backend)
            except CheckFailed as failure:
                caught[case.property_name] = f"{case.id}: {failure}"
    if caught:
        outcome, message = PASSED, "caught by " + next(iter(caught.values()))
    else:
        outcome, message = FAILED, f"not caught by any of {len(cases)} checks"
    evidence = {"fault": fault.description, "caught_by": caught}
    seconds = time.perf_counter() - start
    return Result("numpy", "planted-fault", fault.name, "must be caught", outcome, message, evidence, seconds)
