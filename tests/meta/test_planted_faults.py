"""The suite must be able to fail: each planted fault is caught, by the property that is meant to see it."""

import pytest

from conformance.backends import load_backend
from conformance.cases import all_cases
from conformance.cases.layouts import LAYOUTS
from conformance.faults import FAULTS
from conformance.runner import FAILED, PASSED, plant, run_case
from conformance.sizes import is_in_self_test

CASES = [case for case in all_cases() if is_in_self_test(case)]

# These hold outputs and gradients against the reference too, so they see what the others see.
IN_OTHER_WORDS = {"batch-of-one", "non-finite", *(f"layout.{name}" for name in LAYOUTS)}

# Some faults can be seen by one property alone: without it they would pass.
SEEN_BY_ONE = {
    "stale-filters": {"state"},
    "gradient-by-forward-table": {"gradient.0.W.integer", "gradient.4.W.integer", "gradient.0.W.real"},
    "bias-gradient-of-one-orientation": {"gradient.0.b.integer", "gradient.4.b.integer", "gradient.0.b.real"},
    "reduced-precision": {"outputs.real"},
    "random-order-of-summation": {"determinism", "state"},
    "gradient-of-ties-to-the-first": {"gradient.x.integer"},
    "batch-of-one-in-another-order": {"batch-of-one"},
    "masks-that-multiply": {"non-finite"},
    "filter-mask-that-multiplies": {"non-finite"},
    "normalization-that-multiplies": {"non-finite"},
    "memory-order-for-index-order": {"layout.transposed", "layout.fortran", "layout.channels-last"},
    "strides-without-sign": {"layout.backwards"},
}
# A layer may be consistent with itself and yet not the layer that was asked for: faults and where else they show,
# since a hexagon read from right to left is no hexagon.
EQUIVARIANT_BUT_ON = {
    "mirrored-tap": "P6",
    "transposed-table": None,
    "ignored-mask": None,
    "induction-to-another-coset": None,
}
# What is wrong on one kind of grid, or with one kind of map, is seen on subjects of that kind alone.
SEEN_ON = {
    "transposed-volume": ("/C4HConv", "/OConv"),
    "turns-about-another-axis": ("/C4HConv", "/OConv"),
    "taps-of-the-square": ("/P6Conv",),
    "output-of-the-square": ("/P6Conv",),
    "windows-of-the-square": ("/spatial-max-pool", "-square-spatial-max-pool"),
    "statistics-of-the-square": ("/batch-norm", "-square-"),
    "masks-that-multiply": ("/P6Conv",),
    "filter-mask-that-multiplies": ("-masked-",),
    "normalization-that-multiplies": ("/batch-norm", "-square-"),
    "even-kernel-off-centre": ("/k4-", "/k2-"),
    "restriction-mixes-cosets": ("restrict", "induce"),
    "cosets-from-the-other-side": ("restrict", "induce"),
    "induction-to-another-coset": ("/induce-",),
}


def test_there_are_at_least_eight_and_their_names_differ():
    names = [fault.name for fault in FAULTS]
    assert len(names) >= 8 and len(set(names)) == len(names)
    assert all(fault.description for fault in FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_fault_is_caught(fault):
    result = plant(fault, CASES)
    assert result.outcome == PASSED, result.message
    caught_by = set(result.evidence["caught_by"])
    if fault.name in SEEN_BY_ONE:
        seen_by = SEEN_BY_ONE[fault.name]
        assert caught_by - (IN_OTHER_WORDS if seen_by.isdisjoint(IN_OTHER_WORDS) else set()) <= seen_by
    if fault.name in EQUIVARIANT_BUT_ON:
        exception = EQUIVARIANT_BUT_ON[fault.name]
        broken = [id for name, id in result.evidence["caught_by"].items() if name.startswith("equivariance")]
        assert all(exception and exception in id for id in broken)
    if fault.name in SEEN_ON:
        assert all(any(kind in id for kind in SEEN_ON[fault.name]) for id in result.evidence["caught_by"].values())


def test_the_backend_without_a_fault_passes_all_of_them():
    backend = load_backend("numpy")
    failed = [case.id for case in CASES if run_case(case, backend).outcome == FAILED]
    assert failed == []


def test_a_fault_that_no_case_can_see_is_reported():
    ignorant = [case for case in CASES if case.property_name == "filters"]
    stale = next(fault for fault in FAULTS if fault.name == "stale-filters")
    result = plant(stale, ignorant)
    assert result.outcome == FAILED and f"not caught by any of {len(ignorant)} checks" in result.message
