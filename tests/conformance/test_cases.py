"""The cases from pytest, on a selection of subjects; `python -m conformance run` runs them all."""

import pytest

from conformance.cases import all_cases, matching
from conformance.runner import EXPECTED_FAILURE, PASSED, ExpectedFailures, run_case
from conformance.sizes import is_in_self_test

CASES = [c for c in all_cases() if is_in_self_test(c) or c.property_name == "negative-control"]


@pytest.fixture
def available(backend):
    reason = backend.unavailable_because()
    if reason:
        pytest.skip(reason)
    return backend


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case, available):
    result = run_case(case, available, ExpectedFailures.of(available.name))
    assert result.outcome in (PASSED, EXPECTED_FAILURE), result.message


def test_ids_are_unique_and_patterns_select_them():
    cases = all_cases()
    assert len({case.id for case in cases}) == len(cases)
    assert {c.property_name for c in matching(cases, "gradient.*.real/P4MConvP4M/*")} == {
        "gradient.x.real",
        "gradient.0.W.real",
        "gradient.0.b.real",
    }
