"""The suite's own data: exact on integers, so that no tolerance is needed."""

import numpy as np
import pytest

from conformance.backends.numpy_backend import TableConvolution
from conformance.data import expected_on_integers, integer_data, real_data
from conformance.network import Conv, CosetMaxPool, parameters_of
from conformance.reference import Reference
from conformance.sizes import Subject, batch_of_one_subjects, subjects
from groupy.gconv.layer_specs import LAYER_SPECS

SIGNIFICAND = {"float32": 2**24, "float64": 2**53}
every_subject = pytest.mark.parametrize(
    "subject", subjects() + batch_of_one_subjects(), ids=lambda subject: subject.name
)


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
    """Then every partial sum, in any order, is exact: in the convolutions, forward and backward.

    The sums are taken by the NumPy backend, which is quicker than the reference and held against it elsewhere.
    """
    data = integer_data(subject)
    model = TableConvolution(subject.network, data.parameters, np.float64)
    model.forward(data.x, subject.training)
    gradient = np.asarray(data.gy, np.float64)
    for position in reversed(range(len(subject.network))):
        operation = subject.network[position]
        x, saved = model._saved[position]
        if isinstance(operation, Conv):
            W, b = saved, parameters_of(model.parameters, position).get("b")
            y = model.convolve(operation, np.abs(W), None if b is None else np.abs(b), np.abs(x))
            gx, gW, gb = model.convolution_gradients(operation, np.abs(W), np.abs(x), np.abs(gradient))
            assert fits(y, finest_fraction(x), subject.dtype)
            assert fits(gx, finest_fraction(gradient), subject.dtype)
            assert fits(gW, finest_fraction(x) * finest_fraction(gradient), subject.dtype)
            assert fits(gb, finest_fraction(gradient), subject.dtype)
        backward = model._METHODS[type(operation)][1]
        gradient, _ = getattr(model, backward)(*model._layers[position], x, saved, gradient)


in_training = pytest.mark.parametrize("subject", [s for s in subjects() if s.training], ids=lambda s: s.name)
pooling = pytest.mark.parametrize(
    "subject", [s for s in subjects() if s.network == (CosetMaxPool(),)], ids=lambda s: s.name
)


@every_subject
def test_maps_on_the_hexagonal_grid_are_zero_outside_the_hexagon(subject):
    for x in (integer_data(subject).x, real_data(subject).x):
        assert not x[..., ~subject.domain].any() and x[..., subject.domain].any()


@in_training
def test_means_in_training_are_the_same_by_division_and_by_multiplication(subject):
    """sum / n and sum * (1 / n) of the values, of their squares and of both gradients, in the subject's dtype."""
    dtype, data = np.dtype(subject.dtype).type, integer_data(subject)
    x, gy = (np.moveaxis(a[..., subject.domain], 1, 0).reshape(a.shape[1], -1) for a in (data.x, data.gy))
    deviation, n = x - x.mean(axis=1, keepdims=True), dtype(x.shape[1])
    for sums in (x.sum(axis=1), (deviation**2).sum(axis=1), gy.sum(axis=1), (gy * deviation).sum(axis=1)):
        np.testing.assert_array_equal(sums / n, sums * (1 / n))
        np.testing.assert_array_equal(sums / n, np.rint(sums / n))


@pooling
def test_gradients_are_shared_among_equal_values_without_a_fraction(subject):
    data = integer_data(subject)
    model = Reference(subject.network, data.parameters)
    model.forward(data.x)
    ((_, attained),) = model._saved
    shares = attained.sum(axis=2, keepdims=True)
    assert shares.max() > 1
    np.testing.assert_array_equal(data.gy % shares, 0)


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


def test_a_subject_whose_gradients_always_vanish_is_refused():
    masked_out = Conv("P4ConvZ2", 1, 1, 3, masked=True)  # a mask of one element, which is zero
    subject = Subject("all masked", (masked_out,), LAYER_SPECS["P4ConvZ2"].group, (1, 1, 1, 5, 5), "float32")
    with pytest.raises(ValueError, match="all masked: a gradient vanished in 100 draws: a fault of the suite"):
        integer_data(subject)
