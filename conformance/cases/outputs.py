"""Outputs: the reference's bits on integers, within the derived bound of it on real numbers."""

from functools import partial

import numpy as np

from conformance.case import Case
from conformance.checks import BITWISE, DERIVED_BOUND, assert_identical, assert_within
from conformance.data import expected_on_integers, expected_output_on_reals, integer_data, real_data
from conformance.sizes import subjects


def cases():
    """On integers every subject; on real numbers those in evaluation mode."""
    for subject in subjects():
        yield Case("outputs.integer", subject.name, BITWISE, partial(on_integers, subject=subject))
        if not subject.training:
            yield Case("outputs.real", subject.name, DERIVED_BOUND, partial(on_reals, subject=subject))


def on_integers(backend, subject):
    """The output's bits; in training the running statistics' too."""
    data, expected = integer_data(subject), expected_on_integers(subject)
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    y = backend.forward(model, data.x, subject.training)
    if subject.training:
        statistics = backend.parameters(model)
        assert_identical(statistics["0.mean"], expected.parameters["0.mean"], "running mean")
        # The unbiased variance divides by n - 1: a rounding for the division, one for the moving average.
        due = expected.parameters["0.var"]
        assert_within(statistics["0.var"], due, 4 * np.finfo(subject.dtype).eps * np.abs(due), "running variance")
    return assert_identical(y, expected.y, "output")


def on_reals(backend, subject):
    """The output within the bound that running error analysis gives."""
    data = real_data(subject)
    expected, bound = expected_output_on_reals(subject)
    model = backend.build(subject.network, data.parameters, np.dtype(subject.dtype))
    return assert_within(backend.forward(model, data.x), expected, bound, "output")
