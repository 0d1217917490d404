"""The suite's own data: exact on integers, so that no tolerance is needed."""

import numpy as np
import pytest

from conformance.data import expected_on_integers, integer_data, real_data
from conformance.network import Conv, parameters_of
from conformance.reference import Reference
from conformance.sizes import subjects
from groupy.gconv import reference

SIGNIFICAND = {"float32": 2**24, "float64": 2**53}
every_subject = pytest.mark.parametrize("subject", subjects(), ids=lambda subject: subject.name)


def finest_fraction(*arrays):
    """The largest power of two, at most 1, of which all values are multiples."""
    unit = 1.0
    while any((np.mod(array, unit) != 0).any() for array in arrays):
        unit /= 2
    return unit


def fits(absolute_sums, unit, dtype):
    return np.max(absolute_sums, initial=0) / unit < SIGNIFICAND[dtype]


@every_subject
def test_no_sum_of_absolute_values_leaves_the_significand(subject):
    """Then every partial sum, in any order, is exact: in the convolutions, forward and backward."""
    data = integer_data(subject)
    model = Reference(subject.network, data.parameters)
    model.forward(data.x, subject.training)
    gradient = np.asarray(data.gy, np.float64)
    for position in reversed(range(len(subject.network))):
        operation = subject.network[position]
        x, saved = model._saved[position]
        if isinstance(operation, Conv):
            W, b = saved, parameters_of(model.parameters, position).get("b")
            group, stride, pad = operation.spec.group, operation.stride, operation.pad
            y = reference.gconv(np.abs(x), np.abs(W), None if b is None else np.abs(b), group, stride, pad)
            gx, gW, gb = reference.gconv_gradients(np.abs(x), np.abs(W), np.abs(gradient), group, stride, pad)
            assert fits(y, finest_fraction(x), subject.dtype)
            assert fits(gx, finest_fraction(gradient), subject.dtype)
            assert fits(gW, finest_fraction(x) * finest_fraction(gradient), subject.dtype)
            assert fits(gb, finest_fraction(gradient), subject.dtype)
        backward = Reference._METHODS[type(operation)][1]
        gradient, _ = getattr(model, backward)(*model._layers[position], x, saved, gradient)


@every_subject
def test_expected_values_are_representable_in_the_subjects_dtype(subject):
    expected = expected_on_integers(subject)
    for value in (expected.y, *expected.gradients.values()):
        np.testing.assert_array_equal(value.astype(subject.dtype).astype(np.float64), value)


@every_subject
def test_no_gradient_is_all_zero(subject):
    """A gradient that vanishes would let a missing one pass."""
    assert all(np.any(value) for value in expected_on_integers(subject).gradients.values())


@every_subject
def test_real_data_are_of_the_subjects_dtype(subject):
    data = real_data(subject)
    assert {a.dtype for a in (data.x, data.gy, *data.parameters.values())} == {np.dtype(subject.dtype)}
